import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { formatCount, formatInteger } from '../../report/format.ts';
import type { TrainingDraft } from './draft.ts';
import { NumberField } from './field.tsx';
import { type GeneMode, searchGenes } from './gene-choice.ts';

interface GeneFieldProps {
  draft: TrainingDraft;
  genes: readonly string[];
}

export function GeneField({ draft, genes }: GeneFieldProps) {
  return (
    <fieldset class="card stack">
      <legend class="heading">Genes</legend>
      <Mode draft={draft} mode="all" label={`All ${formatInteger(genes.length)} genes`} />
      <Mode draft={draft} mode="variable" label="The most variable genes">
        <NumberField
          label="How many"
          hint="Genes that differ most between the samples: where there is something to learn."
          whole
          value={draft.variableCount.value}
          wrong={draft.ranked.value ? draft.genes.value.wrong : null}
          onChange={(count) => {
            draft.variableCount.value = count;
          }}
        />
      </Mode>
      <Mode draft={draft} mode="pick" label="Search and pick">
        <Picker draft={draft} genes={genes} />
      </Mode>
      <Mode draft={draft} mode="paste" label="Paste a list">
        <Pasted draft={draft} />
      </Mode>
    </fieldset>
  );
}

interface ModeProps {
  draft: TrainingDraft;
  mode: GeneMode;
  label: string;
  children?: ComponentChildren;
}

/** One way to choose; what it needs shows when it is chosen. */
function Mode({ draft, mode, label, children }: ModeProps) {
  const id = useId();
  const chosen = draft.geneMode.value === mode;
  return (
    <div class="choice gene-mode">
      <input
        id={id}
        type="radio"
        name="gene-mode"
        checked={chosen}
        onChange={() => {
          draft.geneMode.value = mode;
        }}
      />
      <div>
        <label for={id}>{label}</label>
        {chosen && children}
      </div>
    </div>
  );
}

const SHOWN = 40;

function Picker({ draft, genes }: GeneFieldProps) {
  const query = useSignal('');
  const id = useId();
  const picked = draft.picked.value;
  const found = searchGenes(genes, query.value, (name) => name).slice(0, SHOWN);
  const toggle = (gene: string) => {
    draft.picked.value = picked.includes(gene)
      ? picked.filter((name) => name !== gene)
      : [...picked, gene];
  };
  return (
    <div class="gene-picker">
      {picked.length > 0 && (
        <ul class="chips" aria-label="Picked genes">
          {picked.map((gene) => (
            <li key={gene}>
              <button
                type="button"
                class="chip"
                aria-label={`Take ${gene} off the list`}
                onClick={() => toggle(gene)}
              >
                {gene} ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="field">
        <label for={id}>Search genes</label>
        <input
          id={id}
          type="search"
          autocomplete="off"
          spellcheck={false}
          value={query.value}
          onInput={({ currentTarget }) => {
            query.value = currentTarget.value;
          }}
          onKeyDown={(event) => {
            // Enter takes the first gene found, instead of starting the training.
            if (event.key !== 'Enter') return;
            event.preventDefault();
            if (found[0] && query.value !== '') toggle(found[0]);
          }}
        />
      </div>
      <ul class="gene-options" aria-label="Genes found">
        {found.map((gene) => (
          <li key={gene}>
            <label>
              <input
                type="checkbox"
                checked={picked.includes(gene)}
                onChange={() => toggle(gene)}
              />
              {gene}
            </label>
          </li>
        ))}
      </ul>
      <p class="small soft" aria-live="polite">
        {found.length === 0
          ? 'No gene of these data has that in its name.'
          : found.length === SHOWN
            ? `The first ${SHOWN} are shown: type more of the name.`
            : formatCount(found.length, 'gene')}
      </p>
    </div>
  );
}

function Pasted({ draft }: { draft: TrainingDraft }) {
  const id = useId();
  const { names, wrong, unknown } = draft.genes.value;
  return (
    <div class="field">
      <label for={id}>Gene names</label>
      <textarea
        id={id}
        rows={4}
        spellcheck={false}
        value={draft.pasted.value}
        aria-describedby={`${id}-found`}
        onInput={({ currentTarget }) => {
          draft.pasted.value = currentTarget.value;
        }}
      />
      <span
        id={`${id}-found`}
        class={wrong && draft.pasted.value ? 'wrong' : 'hint'}
        aria-live="polite"
      >
        {wrong ?? `${formatCount(names?.length ?? 0, 'gene')} found`}
        {!wrong && unknown.length > 0 && `; not in these data: ${listed(unknown)}`}
      </span>
    </div>
  );
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${formatInteger(names.length - 5)} more` : shown;
}
