/** Times: warm-up, then medians over rounds in which all contestants take turns. */
import { quantile } from 'simple-statistics';
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
}

/** Times contestants in turns: each round runs each of them once, so that drift of the machine meets all. */
export async function race(
  contestants: readonly Contestant[],
  { roundSeconds, rounds }: Effort,
): Promise<Timing[]> {
  const lanes = [];
  for (const contestant of contestants) {
    const first = await seconds(() => contestant.run(1));
    const warm = await seconds(() => contestant.run(1));
    const runs = Math.max(1, Math.ceil(roundSeconds / warm));
    lanes.push({ contestant, first, runs, wall: [] as number[], gpu: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contestant, runs, wall, gpu } of lanes) {
      wall.push((await seconds(() => contestant.run(runs))) / runs);
      const time = await contestant.gpuTime?.(runs);
      if (time) gpu.push(time / runs);
    }
  }
  return lanes.map(({ wall, gpu, runs, first }) => ({
    median: quantile(wall, 0.5),
    quartiles: [quantile(wall, 0.25), quantile(wall, 0.75)],
    rounds,
    runs,
    first,
    gpu: gpu.length > 0 ? quantile(gpu, 0.5) : null,
  }));
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
