/** Results as tables for the terminal. */
import Table from 'cli-table3';
import type { LadderRun } from './ladders/climb.ts';
import { type BenchResult, boundBy, floorOf, isStep, type Run, type Timing } from './run.ts';

/** What an earlier commit took in the same run, by the ids of the benches. */
interface Before {
  readonly commit: string;
  readonly timings: ReadonlyMap<string, Timing>;
}

/** Times, share of the floor, and ratios to the peers and to an earlier commit; and what training steps need besides. */
export function benchTable({ results, ceilings }: Run, before: Before | null): string {
  const peers = [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
  const table = plainTable([
    'work',
    'median',
    'quartiles',
    'first',
    'rate',
    'of floor',
    ...peers.map((peer) => peer.replaceAll(/,? /g, '\n')),
    ...(before ? [before.commit] : []),
  ]);
  for (const result of results) {
    const { median, quartiles, first } = result.timing;
    table.push([
      result.name,
      milliseconds(median),
      quartiles.map(milliseconds).join(' … '),
      milliseconds(first),
      rate(result, median, ceilings),
      `${((100 * floorOf(result, ceilings)) / median).toFixed(0)} %`,
      ...peers.map((peer) => ratio(result.peers[peer]?.median, median)),
      ...(before ? [ratio(before.timings.get(result.id)?.median, median)] : []),
    ]);
  }
  const steps = results.filter(isStep);
  return steps.length > 0 ? `${table}\n${stepTable(steps)}` : table.toString();
}

/** The rungs of a ladder, each with what it gained over the one below. */
export function ladderTable({ name, flops, bytes, ceilings, rungs }: LadderRun): string {
  const table = plainTable([name, 'median', 'first', 'of floor', 'gained', 'over the first']);
  const medians = rungs.map(({ timing }) => timing.median);
  for (const [i, rung] of rungs.entries()) {
    const { median, first } = rung.timing;
    table.push([
      `${i + 1} ${rung.name}`,
      milliseconds(median),
      milliseconds(first),
      `${((100 * floorOf({ flops, bytes }, ceilings)) / median).toFixed(0)} %`,
      i > 0 ? `${(medians[i - 1]! / median).toFixed(2)}x` : '',
      `${(medians[0]! / median).toFixed(1)}x`,
    ]);
  }
  return table.toString();
}

function stepTable(steps: readonly BenchResult[]): string {
  const table = plainTable([
    'training step',
    'steps/s',
    'dispatches',
    'submissions',
    'live',
    'peak',
  ]);
  for (const { name, timing, dispatches, submissions, liveBytes, ...rest } of steps) {
    table.push([
      name,
      (1 / timing.median).toPrecision(2),
      String(dispatches),
      String(submissions),
      `${megabytes(liveBytes)}${rest.liveBytesFlat ? '' : ', grows'}`,
      megabytes(rest.peakBytes),
    ]);
  }
  return table.toString();
}

export function plainTable(head: string[]): Table.Table {
  return new Table({ head, style: { head: [], border: [] } });
}

function rate(result: BenchResult, seconds: number, ceilings: Run['ceilings']): string {
  return boundBy(result, ceilings) === 'compute'
    ? `${(result.flops / seconds / 1e9).toFixed(1)} GFLOP/s`
    : `${(result.bytes / seconds / 1e9).toFixed(1)} GB/s`;
}

/** How many times as long the other takes. */
function ratio(other: number | undefined, own: number): string {
  if (other === undefined) return '';
  const times = other / own;
  return `${milliseconds(other)}, ${times.toFixed(times < 0.95 ? 2 : 1)}x`;
}

export function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
