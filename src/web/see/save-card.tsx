/** Everything that can be taken along as a file. */
import { useState } from 'preact/hooks';
import { asEngineError } from '../app/errors.ts';
import type { EngineError } from '../protocol.ts';
import { saveBlob } from './save.ts';

export interface SaveItem {
  readonly name: string;
  readonly hint: string;
  readonly file: string;
  /** Null where it cannot be made now. */
  readonly make: (() => Promise<Blob>) | null;
}

export interface SaveCardProps {
  readonly items: readonly SaveItem[];
  readonly onError: (error: EngineError) => void;
}

export function SaveCard({ items, onError }: SaveCardProps) {
  const [busy, setBusy] = useState<string | null>(null);
  const [done, setDone] = useState('');
  const save = async ({ name, file, make }: SaveItem) => {
    if (!make || busy !== null) return;
    setBusy(name);
    setDone('');
    try {
      saveBlob(await make(), file);
      setDone(`Saved ${file}`);
    } catch (thrown) {
      onError(asEngineError(thrown));
    }
    setBusy(null);
  };
  return (
    <section class="card see-save" aria-label="Save">
      <h2>Save</h2>
      <ul>
        {items.map((item) => (
          <li key={item.name}>
            <button
              type="button"
              class="button"
              disabled={!item.make}
              aria-disabled={busy !== null}
              aria-busy={busy === item.name}
              onClick={() => save(item)}
            >
              {busy === item.name ? 'Preparing…' : item.name}
            </button>
            <span class="soft small">{item.hint}</span>
          </li>
        ))}
      </ul>
      <p class="soft small" role="status">
        {done}
      </p>
    </section>
  );
}
