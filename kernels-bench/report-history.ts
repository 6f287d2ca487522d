/** How times changed from run to run on one adapter. */
import { type Html, html } from '../src/report/html.ts';
import { ratioDown } from './ratio.ts';
import { milliseconds, table } from './report-tables.ts';
import { type BenchResult, floorOf, type Run, type Timing, workSeconds } from './run.ts';
import { commitOf, moment } from './stored.ts';

/** @param runs of one adapter, the oldest first; at least two */
export function historyTable(runs: readonly Run[]): Html {
  const [before, now] = [runs.at(-2)!, runs.at(-1)!];
  const row = (result: BenchResult) => {
    const earlier = find(before, result)?.timing;
    const shares = runs.flatMap((run) => {
      const then = find(run, result);
      return then ? [floorOf(then, run.ceilings) / workSeconds(then)] : [];
    });
    return html`<tr><th scope="row">${result.name}</th><td>${earlier ? milliseconds(earlier.median) : ''}</td><td>${milliseconds(result.timing.median)}</td>
<td>${earlier ? change(earlier, result.timing) : 'new'}</td><td>${sparkline(shares)}</td></tr>`;
  };
  return table(
    ['History', 'Before, ms', 'Now, ms', 'Times as fast', 'Share of the floor, run by run'],
    now.results.map(row),
    `Before: ${moment(before)}, commit ${commitOf(before)}. Now: ${moment(now)}, commit ${commitOf(now)}. ${runs.length} runs in all. Medians by the clock; grey where the middle halves of the rounds overlap. Between two runs the machine may have changed its pace; npm run bench -- --compare runs two commits in turns.`,
  );
}

const find = ({ results }: Run, { id, name }: BenchResult) =>
  results.find((each) => each.id === id && each.name === name);

function change(before: Timing, now: Timing): Html {
  const text = `${ratioDown(before.median / now.median)}×`;
  const [low, high] = [before.quartiles, now.quartiles].sort(([a], [b]) => a - b);
  return high![0] <= low![1] ? html`<span class="spread">${text}</span>` : html`${text}`;
}

const [WIDTH, HEIGHT, EDGE] = [120, 22, 3];

/** From zero to the largest; the last value is written beside it. */
function sparkline(shares: readonly number[]): Html {
  const most = Math.max(...shares);
  const at = (share: number, i: number) => {
    const x = EDGE + ((WIDTH - 2 * EDGE) * i) / Math.max(1, shares.length - 1);
    return `${x.toFixed(1)},${(HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * share) / most).toFixed(1)}`;
  };
  const [x, y] = at(shares.at(-1)!, shares.length - 1).split(',');
  const said = shares.map((share) => `${(100 * share).toFixed(0)} %`).join(', ');
  return html`<svg class="sparkline" width="${String(WIDTH)}" height="${String(HEIGHT)}" role="img" aria-label="${said}"><polyline points="${shares.map(at).join(' ')}" fill="none" stroke="currentColor" stroke-width="1.4"/><circle cx="${x!}" cy="${y!}" r="2.4" fill="currentColor"/></svg> ${(100 * shares.at(-1)!).toFixed(0)} %`;
}
