import { type Html, html } from '../src/report/html.ts';
import { type DispatchRun, GOAL_MICROSECONDS } from './dispatch.ts';
import { type ExtractionRun, passFloor } from './extraction-run.ts';
import { goalOf, overFastestPeer } from './goals.ts';
import { fasterThanProduct, type LadderRun } from './ladders/climb.ts';
import { ratioDown } from './ratio.ts';
import { type BenchResult, boundBy, floorOf, type Run, type Timing, workSeconds } from './run.ts';
import { commitOf, moment } from './stored.ts';

const NOTE =
  'Small: the middle half of the rounds. First use includes compilation. Of a peer: its time by the clock, and how many times ours that is, rounded down; n: its rounds, where they are fewer than ours.';

export function kernelTable(results: readonly BenchResult[], run: Run): Html {
  const peers = peerNames(results);
  const goals = goalColumn(results, run);
  const onGpu = results.some(hasGpuTime);
  const row = (result: BenchResult) => {
    const { timing } = result;
    return html`<tr><th scope="row">${result.name}</th>${timeCell(timing)}<td>${String(timing.rounds)}</td>${onGpu ? gpuCell(timing) : ''}<td>${milliseconds(timing.first)}</td>
<td>${percent(floorOf(result, run.ceilings) / workSeconds(result))}${small(boundBy(result, run.ceilings))}</td>${goals.cells(result)}${peerCells(result, peers)}</tr>`;
  };
  return table(
    [
      ...['Kernel', 'Clock, ms', 'Rounds', ...(onGpu ? ['GPU, ms'] : [])],
      ...['First use, ms', 'Of the floor'],
      ...goals.heads,
      ...peers.map(peerHead),
    ],
    results.map(row),
    `${onGpu ? 'GPU: the time between timestamps, of which the share of the floor is taken. ' : ''}Under the share: what bounds it. ${NOTE}${goals.note}`,
  );
}

export function stepTable(results: readonly BenchResult[], run: Run): Html {
  const peers = peerNames(results);
  const goals = goalColumn(results, run);
  const row = (result: BenchResult) => {
    const { median, first, rounds } = result.timing;
    const { dispatches, submissions, liveBytes, peakBytes, liveBytesFlat } = result;
    return html`<tr><th scope="row">${result.name}</th><td>${(1 / median).toPrecision(2)}</td>${timeCell(result.timing)}<td>${String(rounds)}</td><td>${milliseconds(first)}</td>
<td>${percent(floorOf(result, run.ceilings) / workSeconds(result))}</td><td>${String(dispatches)}</td><td>${String(submissions)}</td>
<td>${megabytes(liveBytes)}${liveBytesFlat ? '' : ', grows'}</td><td>${megabytes(peakBytes)}</td>${goals.cells(result)}${peerCells(result, peers)}</tr>`;
  };
  return table(
    [
      ...['Training step', 'Steps/s', 'Clock, ms', 'Rounds', 'First, ms', 'Of the floor'],
      ...['Dispatches', 'Submissions', 'Live, MB', 'Peak, MB'],
      ...goals.heads,
      ...peers.map(peerHead),
    ],
    results.map(row),
    `A step is forward, backward, gradient norm and AdamW. Its floor counts the matrix products, convolutions and attention of both passes, and the optimiser. Captured: recorded once and replayed, as training does it. Live: bytes held between steps. ${NOTE}${goals.note}`,
  );
}

/** The ratio to the fastest WebGPU peer and its goal, where there are goals for this adapter. */
function goalColumn(results: readonly BenchResult[], run: Run) {
  if (!results.some((result) => goalOf(result, run) !== null)) {
    return { heads: [], note: '', cells: () => '' };
  }
  return {
    heads: ['Fastest WebGPU peer / ours'],
    note: ' In brackets behind the ratio to the fastest WebGPU peer: what was aimed at.',
    cells(result: BenchResult): Html {
      const [ratio, goal] = [overFastestPeer(result), goalOf(result, run)];
      if (ratio === null) return html`<td></td>`;
      const missed = goal !== null && ratio < goal ? ', missed' : '';
      const aim =
        goal === null ? '' : html` <span class="spread">(${String(goal)}×${missed})</span>`;
      return html`<td>${ratioDown(ratio)}×${aim}</td>`;
    },
  };
}

/** A ladder from the plain version up. */
export function ladderTable(run: LadderRun): Html {
  const { name, rungs, ceilings, ...cost } = run;
  const times = rungs.map(workSeconds);
  const floor = floorOf(cost, ceilings);
  const onGpu = rungs.some(hasGpuTime);
  const row = ({ name, changed, timing }: LadderRun['rungs'][number], i: number) =>
    html`<tr><th scope="row">${name}</th><td class="prose">${changed}</td>${timeCell(timing)}<td>${String(timing.rounds)}</td>${onGpu ? gpuCell(timing) : ''}<td>${milliseconds(timing.first)}</td>
<td>${percent(floor / times[i]!)}</td><td>${i > 0 ? `${ratioDown(times[i - 1]! / times[i]!)}×` : ''}</td></tr>`;
  const faster = fasterThanProduct(rungs);
  return table(
    [
      ...[name, 'What changed', 'Clock, ms', 'Rounds', ...(onGpu ? ['GPU, ms'] : [])],
      ...['First use, ms', 'Of the floor', 'Gained'],
    ],
    rungs.map(row),
    `Gained: the time of the rung above it in the table over its own${onGpu ? ', on the GPU where it was timed there' : ''}. ${faster ? `What the product runs is slower than '${faster.name}', beyond the spread. ` : ''}${moment(run)}, commit ${commitOf(run)}.`,
  );
}

export function dispatchTable(run: DispatchRun): Html {
  const row = (title: string, { least, median, quartiles }: DispatchRun['eager']) =>
    html`<tr><th scope="row">${title}</th><td>${least.toFixed(1)}</td><td>${median.toFixed(1)}</td><td>${quartiles.map((each) => each.toFixed(1)).join(' … ')}</td></tr>`;
  const { dispatches, submissions, rounds } = run;
  return table(
    ['A step', 'Least, µs', 'Median, µs', 'Middle half, µs'],
    [row('as it is', run.eager), row('replayed', run.captured)],
    `Microseconds of the processor per dispatch, encoded and submitted: ${dispatches} dispatches in ${submissions === 1 ? 'one submission' : `${submissions} submissions`}, ${rounds} rounds. The least is what it costs when nothing else has the core; aimed at are ${GOAL_MICROSECONDS} µs, replayed. ${moment(run)}, commit ${commitOf(run)}.`,
  );
}

export function extractionTable(runs: readonly ExtractionRun[]): Html {
  const rows = runs.flatMap((run) => {
    const { network, batch, pipeline, cost, timings, differences } = run;
    const names = [...new Set([...Object.keys(timings), ...Object.keys(differences)])];
    return names.map((name, i) => {
      const timing = timings[name];
      const { decode, compute, both } = pipeline;
      const own = [
        `${network}, batch ${batch}`,
        ...[decode, compute, both].map((rate) => rate.toFixed(1)),
      ];
      const cells = timing
        ? html`${timeCell(timing)}<td>${(batch / timing.median).toFixed(1)}</td><td>${(cost.flops / timing.median / 1e9).toFixed(1)}</td>
<td>${name.endsWith('CPU') ? '' : percent(passFloor(run) / timing.median)}</td>`
        : html`<td>not timed</td><td></td><td></td><td></td>`;
      const [title, ...rates] = i === 0 ? own : ['', '', '', ''];
      return html`<tr><th scope="row">${title!}</th>${rates.map((rate) => html`<td>${rate}</td>`)}<td>${name}</td>${cells}<td>${differences[name]?.toExponential(0) ?? ''}</td></tr>`;
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
    ? `${first.threads} decoding threads, ${first.slide}. The CPU provider is an anchor: the same cores without WebGPU. ${moment(first)}, commit ${commitOf(first)}.`
    : '';
  return table(heads, rows, note);
}

/** Columns of words, not of numbers. */
const PROSE = ['What changed', 'Chosen'];

export function table(heads: readonly string[], rows: readonly Html[], note: string): Html {
  return html`<figure class="table"><div class="scroll"><table>
<thead><tr>${heads.map((head) => (PROSE.includes(head) ? html`<th scope="col" class="prose">${head}</th>` : html`<th scope="col">${head}</th>`))}</tr></thead>
<tbody>${rows}</tbody></table></div><p class="note">${note}</p></figure>`;
}

export function peerNames(results: readonly BenchResult[]): string[] {
  return [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
}

const peerHead = (name: string) => `${name}, ms`;

function peerCells({ timing, peers }: BenchResult, names: readonly string[]): Html[] {
  return names.map((name) => {
    const peer = peers[name];
    if (!peer) return html`<td></td>`;
    const rounds = peer.rounds < timing.rounds ? `n ${peer.rounds}` : '';
    return html`<td>${milliseconds(peer.median)} (${ratioDown(peer.median / timing.median)}×)${small([spread(peer), rounds].filter(Boolean).join(', '))}</td>`;
  });
}

function timeCell(timing: Timing): Html {
  return html`<td>${milliseconds(timing.median)}${small(spread(timing))}</td>`;
}

function gpuCell({ gpu, gpuQuartiles, rounds }: Timing): Html {
  if (gpu === null) return html`<td></td>`;
  return html`<td>${milliseconds(gpu)}${gpuQuartiles ? small(spread({ quartiles: gpuQuartiles, rounds })) : ''}</td>`;
}

const hasGpuTime = ({ timing }: { readonly timing: Timing }) => timing.gpu !== null;

/** Two times have no quartiles. */
function spread({ quartiles, rounds }: Pick<Timing, 'quartiles' | 'rounds'>): string {
  return rounds > 2 ? quartiles.map(milliseconds).join(' … ') : '';
}

function small(text: string): Html | string {
  return text && html`<br><span class="spread">${text}</span>`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.095 ? 1 : 0)} %`;
}

export function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  if (ms >= 1000) return Math.round(ms).toLocaleString('en');
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}

function megabytes(bytes: number): string {
  return Math.round(bytes / 1e6).toLocaleString('en');
}
