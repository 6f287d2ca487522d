/** Every bench in turns with the peers, and with an earlier commit where one is asked for. */
import pc from 'picocolors';
import { HistogradError } from '../src/errors.ts';
import type { AdapterClass } from '../src/gpu/adapter.ts';
import type { DeviceOptions } from '../src/gpu/device.ts';
import type { Bench } from './bench.ts';
import { benches } from './benches/all.ts';
import type { Earlier } from './earlier.ts';
import { isWebGpuPeer } from './goals.ts';
import { type Contestant, type Effort, race } from './measure.ts';
import { OwnWork } from './own-work.ts';
import type { Peer } from './peers.ts';
import type { BenchResult, Timing } from './run.ts';

export interface Rivals {
  readonly peers: readonly Peer[];
  readonly earlier: Earlier | null;
}

export interface Timed {
  readonly results: readonly BenchResult[];
  /** Of the earlier commit, by the ids of the benches that it has. */
  readonly before: ReadonlyMap<string, Timing>;
}

/** @throws HistogradError `usage` when no name or id contains the filter */
export function chooseBenches(
  { quick, filter }: { quick?: boolean; filter?: string },
  on: AdapterClass,
): Bench[] {
  const chosen = benches.filter(
    (bench) =>
      (!bench.on || bench.on === on) &&
      (!quick || bench.quick) &&
      (!filter || `${bench.id} ${bench.name}`.toLowerCase().includes(filter.toLowerCase())),
  );
  if (chosen.length > 0) return quick ? chosen.map((bench) => ({ ...bench, others: [] })) : chosen;
  throw new HistogradError(
    'usage',
    `No bench has '${filter}' in its name or id.`,
    `There are: ${benches.map(({ name }) => name).join('; ')}.`,
  );
}

export async function runBenches(
  request: DeviceOptions,
  chosen: readonly Bench[],
  rivals: Rivals,
  effort: Effort,
): Promise<Timed> {
  const results: BenchResult[] = [];
  const before = new Map<string, Timing>();
  for (const [i, bench] of chosen.entries()) {
    process.stderr.write(pc.dim(`[${i + 1}/${chosen.length}] ${bench.name}\n`));
    const timed = await timeBench(request, bench, rivals, effort);
    results.push(...timed.results);
    if (timed.earlier) before.set(bench.id, timed.earlier);
  }
  return { results, before };
}

async function timeBench(
  request: DeviceOptions,
  bench: Bench,
  { peers, earlier }: Rivals,
  effort: Effort,
): Promise<{ results: BenchResult[]; earlier: Timing | null }> {
  const own: [Bench, OwnWork][] = [];
  for (const each of [bench, ...(bench.others ?? [])]) {
    own.push([each, await OwnWork.open(request, each)]);
  }
  const rivals = peers.flatMap(({ name, prepare }) => {
    const theirs = prepare(bench.id);
    return theirs ? [{ name, field: isWebGpuPeer(name) ? 'peer' : 'anchor', ...theirs }] : [];
  });
  const before = await earlier?.openLane(request, bench.name);
  const contestants = [...own.map(([, work]) => work), ...rivals, ...(before ? [before] : [])];
  const all = await race(contestants, effort);
  const timingOf = (contestant: Contestant) => all[contestants.indexOf(contestant)]!;
  const theirs = Object.fromEntries(rivals.map((rival) => [rival.name, timingOf(rival)]));
  const results = own.map(([{ id, name }, contestant], i) => ({
    id,
    name,
    ...contestant.work.cost,
    timing: timingOf(contestant),
    peers: i === 0 ? theirs : {},
    ...contestant.counts,
    liveBytes: contestant.device.memory.live,
    peakBytes: contestant.device.memory.peak,
    liveBytesFlat: contestant.flat,
  }));
  for (const each of contestants) each.dispose();
  return { results, earlier: before ? timingOf(before) : null };
}
