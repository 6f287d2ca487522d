import { formatCount, formatInteger } from '../../report/format.ts';
import type { FileVerdict, Intake } from '../protocol.ts';
import { NumberField } from './field.tsx';
import type { AppState } from './state.ts';

const OPENS: Record<NonNullable<Intake['opens']>, string> = {
  slides: 'Slides with expression: ready to train on.',
  spots: 'Tissue sections with spots and counts: ready to train on.',
  'slide-and-model': 'A slide and a trained model: ready to predict.',
  'features-and-model': 'Features and a trained model: ready to predict.',
};

const ROLES: Record<FileVerdict['role'], string> = {
  features: 'patch features',
  expression: 'expression table',
  patients: 'patient table',
  'section image': 'section image',
  slide: 'slide',
  spots: 'spot positions',
  counts: 'counts',
  model: 'trained model',
  weights: 'extractor weights',
  ignored: 'not used',
};

/** What the dropped files were taken for, what is missing, and the button that opens them. */
export function Verdicts({ app }: { app: AppState }) {
  const { files } = app;
  const intake = files.intake.value;
  const error = files.error.value ?? intake?.problem ?? null;
  return (
    <div class="verdicts stack" aria-busy={files.inspecting.value}>
      <p aria-live="polite">
        {files.inspecting.value
          ? `Looking into ${formatCount(files.files.value.length, 'file')}…`
          : intake?.opens && !error && <strong>{OPENS[intake.opens]}</strong>}
      </p>
      {error && !files.inspecting.value && (
        <div class="note warn" role="alert">
          <strong>{error.problem}</strong>
          <p>{error.advice}</p>
        </div>
      )}
      {intake && <VerdictTable verdicts={intake.files} />}
      {intake?.needsMpp && !files.inspecting.value && (
        <NumberField
          label="Resolution, micrometres per pixel"
          hint="The image does not say it. Scanners: about 0.25 at 40×, 0.5 at 20×, 1 at 10×."
          value={files.mpp.value}
          wrong={Number.isNaN(files.mpp.value) ? null : files.mppWrong.value}
          onChange={(mpp) => {
            files.mpp.value = mpp;
          }}
        />
      )}
      {intake?.opens === 'spots' && (
        <NumberField
          label="How many genes"
          hint={
            intake.geneCount === null
              ? 'The most expressed are taken.'
              : `The most expressed of ${formatInteger(intake.geneCount)} are taken.`
          }
          whole
          value={files.genes.value}
          wrong={files.genesWrong.value}
          onChange={(genes) => {
            files.genes.value = genes;
          }}
        />
      )}
      <div class="row">
        <button
          type="button"
          class="button primary"
          disabled={!app.canOpen.value || files.options.value === null}
          onClick={() => {
            if (files.options.value) void app.openFiles(files.options.value);
          }}
        >
          Open these files
        </button>
        <button type="button" class="button quiet" onClick={() => files.clear()}>
          Start over
        </button>
      </div>
    </div>
  );
}

/** Names shown in a row before the rest is counted. */
const SHOWN = 4;

function VerdictTable({ verdicts }: { verdicts: readonly FileVerdict[] }) {
  return (
    <table class="data">
      <caption class="visually-hidden">What the files were taken for</caption>
      <thead>
        <tr>
          <th scope="col">Taken for</th>
          <th scope="col">Files</th>
          <th scope="col">Remark</th>
        </tr>
      </thead>
      <tbody>
        {groupVerdicts(verdicts).map(({ role, note, names }) => (
          <tr key={`${role} ${note}`}>
            <td>
              <span class={role === 'ignored' ? 'badge' : 'badge accent'}>{ROLES[role]}</span>
            </td>
            <td class="file-names">
              {names.slice(0, SHOWN).join(', ')}
              {names.length > SHOWN && (
                <details>
                  <summary>and {formatInteger(names.length - SHOWN)} more</summary>
                  {names.slice(SHOWN).join(', ')}
                </details>
              )}
            </td>
            <td class="soft">{note}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface VerdictGroup extends Pick<FileVerdict, 'role' | 'note'> {
  readonly names: string[];
}

/** Files with the same verdict share a row; those that are not used come last. Names without the folder that all are in. */
function groupVerdicts(verdicts: readonly FileVerdict[]): VerdictGroup[] {
  const [first] = verdicts[0]?.name.split('/') ?? [];
  const folder = verdicts.every(({ name }) => name.startsWith(`${first}/`)) ? `${first}/` : '';
  const groups = new Map<string, VerdictGroup>();
  for (const { role, note, name } of verdicts) {
    const key = `${role}\n${note}`;
    const group = groups.get(key) ?? { role, note, names: [] };
    groups.set(key, group);
    group.names.push(name.slice(folder.length));
  }
  return [...groups.values()].sort(
    (a, b) => Number(a.role === 'ignored') - Number(b.role === 'ignored'),
  );
}
