/** Times: warm-up, then medians over rounds in which the contestants take turns. */
import { quantile, sum } from 'simple-statistics';
import { shuffle } from '../src/data/shuffle.ts';
import type { Timing } from './run.ts';

/** Somebody's way of doing a piece of work. */
export interface Contestant {
  readonly name: string;
  /** Only the fastest of a field is sure to stay to the end; whoever has none stays. */
  readonly field?: string | undefined;
  /** Runs after the first, until it does what it does ever after; 1 without it. */
  readonly warmUps?: number;
  /** Does the work `times` times and waits until the GPU is done. */
  run(times: number): Promise<void>;
  /** GPU time of the work done `times` times, in seconds, where it can be had. */
  gpuTime?(times: number): Promise<number | null>;
  dispose(): void;
}

export interface Effort {
  /** A turn lasts at least so long, so that waiting does not count; seconds. */
  readonly roundSeconds: number;
  /** As many as fit into the budget, up to this. */
  readonly rounds: number;
  /** There are so many, whatever they take. */
  readonly least: number;
  /** Seconds, for all turns of all contestants. */
  readonly budgetSeconds: number;
}

/** From here on waiting for the GPU does not matter, and its own clock is not asked. */
const LONG_SECONDS = 1;
/** Turns of more than this are taken three times. */
const VERY_LONG_SECONDS = 5;
const VERY_LONG_ROUNDS = 3;
/** Nobody leaves before. */
const FIRST_ROUNDS = 2;
/** Whoever takes so many times as long as the fastest of its field may leave. */
const FAR_BEHIND = 2;

interface Standing {
  readonly contestant: Contestant;
  readonly first: number;
  /** Of a turn. */
  readonly runs: number;
  readonly turns: number[];
  readonly wall: number[];
  readonly gpu: number[];
  /** Turns that it may take. */
  allowed: number;
}

/** Seconds, from any moment on. */
type Clock = () => number;
const CLOCK: Clock = () => performance.now() / 1000;

/**
 * Times contestants in turns: each round runs each of them once, so that drift of the machine meets all. The order is shuffled
 * each time: whoever follows the slowest may find caches and clock as that one left them.
 */
export async function race(
  contestants: readonly Contestant[],
  effort: Effort,
  clock: Clock = CLOCK,
): Promise<Timing[]> {
  const standings: Standing[] = [];
  for (const contestant of contestants) {
    standings.push(await warmUp(contestant, effort.roundSeconds, clock));
  }
  for (let round = 0; standings.some(({ allowed }) => allowed > round); round++) {
    for (const i of shuffle(standings.length, round)) {
      if (standings[i]!.allowed > round) await takeTurn(standings[i]!, clock);
    }
    if (round === FIRST_ROUNDS - 1) allowTurns(standings, effort);
  }
  return standings.map(({ wall, gpu, runs, first }) => ({
    median: quantile(wall, 0.5),
    quartiles: [quantile(wall, 0.25), quantile(wall, 0.75)],
    rounds: wall.length,
    runs,
    first,
    gpu: gpu.length > 0 ? quantile(gpu, 0.5) : null,
    ...(gpu.length > 0 && { gpuQuartiles: [quantile(gpu, 0.25), quantile(gpu, 0.75)] }),
  }));
}

async function warmUp(contestant: Contestant, seconds: number, clock: Clock): Promise<Standing> {
  const first = await timed(clock, () => contestant.run(1));
  let warm = first;
  for (let i = 0; i < (contestant.warmUps ?? 1); i++) {
    warm = await timed(clock, () => contestant.run(1));
  }
  const runs = Math.max(1, Math.ceil(seconds / warm));
  return { contestant, first, runs, turns: [], wall: [], gpu: [], allowed: FIRST_ROUNDS };
}

async function takeTurn({ contestant, ...lists }: Standing, clock: Clock): Promise<void> {
  const { runs, turns, wall, gpu } = lists;
  const start = clock();
  await contestant.run(runs);
  const time = (clock() - start) / runs;
  wall.push(time);
  const onGpu = time < LONG_SECONDS ? await contestant.gpuTime?.(runs) : null;
  if (onGpu) gpu.push(onGpu / runs);
  turns.push(clock() - start);
}

/** After the first rounds: all go on where the budget lasts; else those far behind have finished, and the rest shares it. */
function allowTurns(
  standings: readonly Standing[],
  { rounds, least, budgetSeconds }: Effort,
): void {
  const allow = (wanted: number, dismissed: readonly Standing[]) => {
    for (const each of standings) {
      const most = quantile(each.turns, 0.5) > VERY_LONG_SECONDS ? VERY_LONG_ROUNDS : wanted;
      each.allowed = dismissed.includes(each) ? FIRST_ROUNDS : Math.min(wanted, most);
    }
    return sum(standings.map(({ allowed, turns }) => allowed * quantile(turns, 0.5)));
  };
  if (allow(rounds, []) <= budgetSeconds) return;
  const behind = standings.filter((each) => isFarBehind(each, standings));
  for (let wanted = rounds; wanted >= least; wanted--) {
    if (allow(wanted, behind) <= budgetSeconds) return;
  }
}

function isFarBehind({ contestant: { field }, wall }: Standing, all: readonly Standing[]): boolean {
  if (field === undefined) return false;
  const rivals = all.filter((each) => each.contestant.field === field);
  const fastest = Math.min(...rivals.map((each) => quantile(each.wall, 0.5)));
  return quantile(wall, 0.5) >= FAR_BEHIND * fastest;
}

async function timed(clock: Clock, work: () => Promise<void>): Promise<number> {
  const start = clock();
  await work();
  return clock() - start;
}
