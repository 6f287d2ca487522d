/** Every bench in turns with the peers, and with an earlier commit where one is asked for. */
import pc from 'picocolors';
import { HistogradError } from '../src/errors.ts';
import type { AdapterClass } from '../src/gpu/adapter.ts';
import type { DeviceOptions } from '../src/gpu/device.ts';
import type { Bench } from './bench.ts';
import { benches } from './benches/all.ts';
import type { Earlier } from './earlier.ts';
import { type Effort, race } from './measure.ts';
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

/** @throws HistogradError `usage` when no name contains the filter */
export function chooseBenches(
  { quick, filter }: { quick?: boolean; filter?: string },
  on: AdapterClass,
): Bench[] {
  const chosen = benches.filter(
    (bench) =>
      (!bench.on || bench.on === on) &&
      (!quick || bench.quick) &&
      (!filter || bench.name.toLowerCase().includes(filter.toLowerCase())),
  );
  if (chosen.length > 0) return chosen;
  throw new HistogradError(
    'usage',
    `No bench has '${filter}' in its name.`,
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
    const { result, earlier } = await timeBench(request, bench, rivals, effort);
    results.push(result);
    if (earlier) before.set(bench.id, earlier);
  }
  return { results, before };
}

async function timeBench(
  request: DeviceOptions,
  bench: Bench,
  { peers, earlier }: Rivals,
  effort: Effort,
): Promise<{ result: BenchResult; earlier: Timing | null }> {
  const own = await OwnWork.open(request, bench);
  const others = peers.flatMap((peer) => {
    const theirs = peer.prepare(bench.id);
    return theirs ? [{ name: peer.name, ...theirs }] : [];
  });
  const before = await earlier?.openLane(request, bench.name);
  const contestants = [own, ...others, ...(before ? [before] : [])];
  const [timing, ...rest] = await race(contestants, effort);
  const { live, peak } = own.device.memory;
  const { cost } = own.work;
  for (const each of contestants) each.dispose();
  const result = {
    id: bench.id,
    name: bench.name,
    ...cost,
    timing: timing!,
    peers: Object.fromEntries(others.map(({ name }, i) => [name, rest[i]!])),
    ...own.counts,
    liveBytes: live,
    peakBytes: peak,
    liveBytesFlat: own.flat,
  };
  return { result, earlier: before ? rest.at(-1)! : null };
}
