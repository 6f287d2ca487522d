import { formatDuration } from '../../report/format.ts';
import { VERSION } from '../../version.ts';
import type { BenchRow } from '../protocol.ts';
import { CopyButton } from './copy-button.tsx';
import type { AppState } from './state.ts';

export function KernelsScreen({ app }: { app: AppState }) {
  const rows = app.benchRows.value;
  const adapter = app.adapter.value;
  return (
    <>
      <p class="lead">
        How fast the hand-written GPU programs (kernels) run on this computer, in this browser.
        Close other tabs for steady figures.
      </p>
      <section class="card stack" aria-label="Benchmarks">
        <p class="soft">
          {adapter.state === 'found'
            ? `On ${adapter.card.name} (${adapter.card.driver || adapter.card.kind}).`
            : adapter.state === 'looking'
              ? 'Looking for a graphics processor…'
              : adapter.error.problem}
        </p>
        <div class="row">
          <button
            type="button"
            class="button primary"
            disabled={!app.canOpen.value}
            onClick={() => void app.measure()}
          >
            {rows ? 'Measure again' : 'Measure'}
          </button>
          {rows && <CopyButton label="Copy results" text={() => asText(app, rows)} />}
        </div>
        {app.training.value && <p class="note">A training is running: pause it first.</p>}
        {rows && <Results rows={rows} />}
      </section>
    </>
  );
}

function Results({ rows }: { rows: readonly BenchRow[] }) {
  return (
    <table class="data">
      <caption class="visually-hidden">Kernel benchmarks</caption>
      <thead>
        <tr>
          <th scope="col">Kernel</th>
          <th scope="col" class="number">
            Time
          </th>
          <th scope="col" class="number">
            Rate
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, milliseconds, figure }) => (
          <tr key={name}>
            <td>{name}</td>
            <td class="number">{formatDuration(milliseconds / 1000)}</td>
            <td class="number">{figure}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Tab-separated, with what it was measured on. */
function asText({ adapter: { value: adapter } }: AppState, rows: readonly BenchRow[]): string {
  const card = adapter.state === 'found' ? adapter.card : null;
  return [
    `histograd ${VERSION}, ${card ? `${card.name} (${card.kind}, ${card.driver})` : 'unknown adapter'}`,
    navigator.userAgent,
    'kernel\tmilliseconds\tfigure',
    ...rows.map(({ name, milliseconds, figure }) => `${name}\t${milliseconds}\t${figure}`),
  ].join('\n');
}
