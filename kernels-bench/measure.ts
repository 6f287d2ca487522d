/** Times: warm-up, then medians over rounds in which all contestants take turns. */
import { quantile, sum } from 'simple-statistics';
import type { Timing } from './run.ts';

/** Somebody's way of doing a piece of work. */
export interface Contestant {
  readonly name: string;
  /** Does the work `times` times and waits until the GPU is done. */
  run(times: number): Promise<void>;
  /** GPU time of the work done `times` times, in seconds, where it can be had. */
  gpuTime?(times: number): Promise<number | null>;
  dispose(): void;
}

export interface Effort {
  /** A round lasts at least so long, so that waiting does not count; seconds. */
  readonly roundSeconds: number;
  readonly rounds: number;
  /** Where the rounds would take longer than this, there are fewer, but at least one; seconds. */
  readonly budgetSeconds: number;
}

/** From here on a single run is long enough to count as a round, and waiting for the GPU does not matter. */
const LONG_SECONDS = 1;

interface Lane {
  contestant: Contestant;
  first: number;
  /** Expected of a turn; seconds. */
  turn: number;
  runs: number;
  wall: number[];
  gpu: number[];
}

/** Times contestants in turns: each round runs each of them once, so that drift of the machine meets all. */
export async function race(
  contestants: readonly Contestant[],
  { roundSeconds, rounds, budgetSeconds }: Effort,
): Promise<Timing[]> {
  const lanes: Lane[] = [];
  for (const contestant of contestants) {
    const first = await seconds(() => contestant.run(1));
    const warm = await seconds(() => contestant.run(1));
    const runs = Math.max(1, Math.ceil(roundSeconds / warm));
    const long = warm >= LONG_SECONDS;
    const turn = long ? warm : (contestant.gpuTime ? 2 : 1) * runs * warm;
    lanes.push({ contestant, first, turn, runs, wall: long ? [warm] : [], gpu: [] });
  }
  const affordable = Math.floor(budgetSeconds / sum(lanes.map(({ turn }) => turn)));
  const missing = lanes.some(({ wall }) => wall.length === 0) ? 1 : 0;
  const more = Math.min(rounds, Math.max(missing, affordable));
  for (let round = 0; round < more; round++) {
    // Another begins each time: whoever follows the slowest may find caches and clock as that one left them.
    const first = round % lanes.length;
    for (const lane of [...lanes.slice(first), ...lanes.slice(0, first)]) await takeTurn(lane);
  }
  return lanes.map(({ wall, gpu, runs, first }) => ({
    median: quantile(wall, 0.5),
    quartiles: [quantile(wall, 0.25), quantile(wall, 0.75)],
    rounds: wall.length,
    runs,
    first,
    gpu: gpu.length > 0 ? quantile(gpu, 0.5) : null,
  }));
}

async function takeTurn({ contestant, runs, wall, gpu }: Lane): Promise<void> {
  const time = (await seconds(() => contestant.run(runs))) / runs;
  wall.push(time);
  const onGpu = time < LONG_SECONDS ? await contestant.gpuTime?.(runs) : null;
  if (onGpu) gpu.push(onGpu / runs);
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
