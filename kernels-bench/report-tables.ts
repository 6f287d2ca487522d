import { type Html, html } from '../src/report/html.ts';
import { type ExtractionRun, passFloor } from './extraction-run.ts';
import type { LadderRun } from './ladders/climb.ts';
import { type BenchResult, boundBy, floorOf, type Run } from './run.ts';

type Ceilings = Run['ceilings'];

export function kernelTable(results: readonly BenchResult[], ceilings: Ceilings): Html {
  const peers = peerNames(results);
  const row = (result: BenchResult) => {
    const { median, first } = result.timing;
    return html`<tr><th scope="row">${result.name}</th><td>${milliseconds(median)}</td><td>${milliseconds(first)}</td>
<td>${percent(floorOf(result, ceilings) / median)}</td><td>${boundBy(result, ceilings)}</td>${peerCells(result, peers)}</tr>`;
  };
  return table(
    ['Kernel', 'Median, ms', 'First use, ms', 'Of the floor', 'Bound by', ...peers.map(peerHead)],
    results.map(row),
    'First use includes compilation. Of a peer: its time, and how many times ours that is.',
  );
}

export function stepTable(results: readonly BenchResult[], ceilings: Ceilings): Html {
  const peers = peerNames(results);
  const row = (result: BenchResult) => {
    const { median, first } = result.timing;
    const { dispatches, submissions, liveBytes, peakBytes, liveBytesFlat } = result;
    return html`<tr><th scope="row">${result.name}</th><td>${(1 / median).toPrecision(2)}</td><td>${milliseconds(median)}</td><td>${milliseconds(first)}</td>
<td>${percent(floorOf(result, ceilings) / median)}</td><td>${String(dispatches)}</td><td>${String(submissions)}</td>
<td>${megabytes(liveBytes)}${liveBytesFlat ? '' : ', grows'}</td><td>${megabytes(peakBytes)}</td>${peerCells(result, peers)}</tr>`;
  };
  return table(
    [
      'Training step',
      'Steps/s',
      'Median, ms',
      'First, ms',
      'Of the floor',
      'Dispatches',
      'Submissions',
      'Live, MB',
      'Peak, MB',
      ...peers.map(peerHead),
    ],
    results.map(row),
    'A step is forward, backward, gradient norm and AdamW. Its floor counts the matrix products, convolutions and attention of both passes, and the optimiser. Live: bytes held between steps.',
  );
}

/** A ladder from the plain version up. */
export function ladderTable({ name, rungs, ceilings, ...cost }: LadderRun): Html {
  const medians = rungs.map(({ timing }) => timing.median);
  const floor = floorOf(cost, ceilings);
  const row = (
    { name, changed, timing: { median, first } }: LadderRun['rungs'][number],
    i: number,
  ) =>
    html`<tr><th scope="row">${name}</th><td class="prose">${changed}</td><td>${milliseconds(median)}</td><td>${milliseconds(first)}</td>
<td>${percent(floor / median)}</td><td>${i > 0 ? `${(medians[i - 1]! / median).toPrecision(2)}×` : ''}</td></tr>`;
  return table(
    [name, 'What changed', 'Median, ms', 'First use, ms', 'Of the floor', 'Gained'],
    rungs.map(row),
    'Gained: the time of the rung above it in the table over its own.',
  );
}

export function extractionTable(runs: readonly ExtractionRun[]): Html {
  const rows = runs.flatMap((run) => {
    const { network, batch, pipeline, cost, timings, differences } = run;
    const names = [...new Set([...Object.keys(timings), ...Object.keys(differences)])];
    return names.map((name, i) => {
      const time = timings[name]?.median;
      const { decode, compute, both } = pipeline;
      const own = [
        `${network}, batch ${batch}`,
        ...[decode, compute, both].map((rate) => rate.toFixed(1)),
      ];
      const cells = time
        ? [
            milliseconds(time),
            (batch / time).toFixed(1),
            (cost.flops / time / 1e9).toFixed(1),
            name.endsWith('CPU') ? '' : percent(passFloor(run) / time),
          ]
        : ['not timed', '', '', ''];
      const [title, ...rates] = i === 0 ? own : ['', '', '', ''];
      return html`<tr><th scope="row">${title!}</th>${rates.map((rate) => html`<td>${rate}</td>`)}<td>${name}</td>${cells.map((cell) => html`<td>${cell}</td>`)}<td>${differences[name]?.toExponential(0) ?? ''}</td></tr>`;
    });
  });
  const heads = [
    'Network',
    'Decode, tiles/s',
    'Extract',
    'Overlapped',
    'Network alone in',
    'A pass, ms',
    'Tiles/s',
    'GFLOP/s',
    'Of the floor',
    'Differs by',
  ];
  const [first] = runs;
  const note = first
    ? `${first.threads} decoding threads, ${first.slide}. The CPU provider is an anchor: the same cores without WebGPU.`
    : '';
  return table(heads, rows, note);
}

function table(heads: readonly string[], rows: readonly Html[], note: string): Html {
  return html`<figure class="table"><div class="scroll"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div><p class="note">${note}</p></figure>`;
}

export function peerNames(results: readonly BenchResult[]): string[] {
  return [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
}

const peerHead = (name: string) => `${name}, ms`;

function peerCells(result: BenchResult, peers: readonly string[]): Html[] {
  return peers.map((peer) => {
    const time = result.peers[peer]?.median;
    const times = time && time / result.timing.median;
    return html`<td>${time && times ? `${milliseconds(time)} (${times.toPrecision(times < 1 ? 1 : 2)}×)` : ''}</td>`;
  });
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  if (ms >= 1000) return Math.round(ms).toLocaleString('en');
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

function megabytes(bytes: number): string {
  return Math.round(bytes / 1e6).toLocaleString('en');
}
