/** Results as tables for the terminal. */
import Table from 'cli-table3';
import pc from 'picocolors';
import { fasterThanProduct, type LadderRun } from './ladders/climb.ts';
import { ratioDown } from './ratio.ts';
import {
  type BenchResult,
  boundBy,
  floorOf,
  isStep,
  type Run,
  type Timing,
  workSeconds,
} from './run.ts';

/** What an earlier commit took in the same run, by the ids of the benches. */
interface Before {
  readonly commit: string;
  readonly timings: ReadonlyMap<string, Timing>;
}

/** Times, share of the floor, and ratios to the peers and to an earlier commit; and what training steps need besides. */
export function benchTable({ results, ceilings }: Run, before: Before | null): string {
  const peers = [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
  const onGpu = hasGpuTimes(results);
  const table = plainTable([
    'work',
    'wall clock',
    'quartiles',
    'rounds',
    ...(onGpu ? ['GPU time'] : []),
    'first use',
    'rate',
    'of floor',
    ...peers.map((peer) => peer.replaceAll(/,? /g, '\n')),
    ...(before ? [before.commit] : []),
  ]);
  for (const result of results) {
    const { timing } = result;
    const work = workSeconds(result);
    table.push([
      result.name,
      milliseconds(timing.median),
      spread(timing),
      String(timing.rounds),
      ...(onGpu ? [gpuTime(timing)] : []),
      milliseconds(timing.first),
      rate(result, work, ceilings),
      percent(floorOf(result, ceilings) / work),
      ...peers.map((peer) => ratio(result.peers[peer], timing)),
      ...(before ? [ratio(before.timings.get(result.id), timing)] : []),
    ]);
  }
  const steps = results.filter(isStep);
  const basis = onGpu
    ? '\nrate and share of the floor: of kernels by GPU time, of training steps by wall clock; ratios: wall clock'
    : '';
  return `${table}${basis}${steps.length > 0 ? `\n${stepTable(steps)}` : ''}`;
}

/** The rungs of a ladder, each with what it gained over the one below; and a warning where the product is not the fastest. */
export function ladderTable({ name, flops, bytes, ceilings, rungs }: LadderRun): string {
  const onGpu = hasGpuTimes(rungs);
  const table = plainTable([
    name,
    'wall clock',
    'quartiles',
    'rounds',
    ...(onGpu ? ['GPU time'] : []),
    'first use',
    'of floor',
    'gained',
    'over the first',
  ]);
  const times = rungs.map(workSeconds);
  for (const [i, { name: rung, timing }] of rungs.entries()) {
    const time = times[i]!;
    table.push([
      `${i + 1} ${rung}`,
      milliseconds(timing.median),
      spread(timing),
      String(timing.rounds),
      ...(onGpu ? [gpuTime(timing)] : []),
      milliseconds(timing.first),
      percent(floorOf({ flops, bytes }, ceilings) / time),
      i > 0 ? `${ratioDown(times[i - 1]! / time)}x` : '',
      `${ratioDown(times[0]! / time)}x`,
    ]);
  }
  const faster = fasterThanProduct(rungs);
  const warning = faster && `WARNING: what the product runs is slower than '${faster.name}'`;
  return [table.toString(), ...(warning ? [pc.yellow(warning)] : [])].join('\n');
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

/** How many times as long the other takes; with its rounds where those are others. */
function ratio(other: Timing | undefined, own: Timing): string {
  if (!other) return '';
  const rounds = other.rounds === own.rounds ? '' : `, n ${other.rounds}`;
  return `${milliseconds(other.median)}, ${ratioDown(other.median / own.median)}x${rounds}`;
}

const hasGpuTimes = (timed: readonly { readonly timing: Timing }[]) =>
  timed.some(({ timing }) => timing.gpu !== null);

function gpuTime({ gpu }: Timing): string {
  return gpu === null ? '' : milliseconds(gpu);
}

/** Two times have no quartiles. */
export function spread({ quartiles, rounds }: Timing): string {
  return rounds < 3 ? '' : quartiles.map(milliseconds).join(' … ');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

export function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
