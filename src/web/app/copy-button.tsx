import { useSignal } from '@preact/signals';
import { announce } from './announce.ts';

/** Copies a text and says so. */
export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const done = useSignal<string | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      done.value = 'Copied';
    } catch {
      done.value = 'The browser does not allow copying here: select the text instead';
    }
    announce(done.value);
    setTimeout(() => {
      done.value = null;
    }, 4000);
  };
  return (
    <button type="button" class="button" onClick={() => void copy()}>
      {done.value ?? label}
    </button>
  );
}
