import { noGrad } from '../autograd/tape.ts';
import { gatherRows } from '../ops/gather-rows.ts';
import { threadPlan } from '../tensor/grid.ts';
import { type Generator, uniform } from '../tensor/random.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { runKMeans, TRIALS, wide } from './k-means-kernel.ts';

/** Greedy k-means++: each next seed is drawn in proportion to the squared distances, the best of several draws. */
export async function seedCentroids(x: Tensor, k: number, generator: Generator): Promise<Tensor> {
  const { device } = x;
  const n = x.shape[0]!;
  const trials = Math.min(TRIALS, 2 + Math.floor(Math.log(k)));
  const draws = uniform(device, [k * trials], generator.next());
  const random = await draws.floats();
  draws.dispose();
  const seeds = [Math.floor(random[0]! * n)];
  let nearest = column(await distancesTo(x, seeds), 0, n);
  while (seeds.length < k) {
    const own = random.subarray(seeds.length * trials, (seeds.length + 1) * trials);
    const candidates = drawCandidates(nearest, own, seeds);
    const distances = await distancesTo(x, candidates);
    let best = { seed: -1, total: Infinity, nearest };
    for (const [t, seed] of candidates.entries()) {
      const after = column(distances, t, n).map((v, i) => Math.min(v, nearest[i]!));
      const total = after.reduce((a, b) => a + b, 0);
      if (total < best.total) best = { seed, total, nearest: after };
    }
    seeds.push(best.seed);
    nearest = best.nearest;
  }
  return scope(() => keep(noGrad(() => gatherRows(x, seeds))));
}

function column(distances: Float32Array, t: number, n: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => distances[TRIALS * i + t]!);
}

function drawCandidates(
  weights: Float64Array,
  random: Float32Array,
  seeds: readonly number[],
): number[] {
  let total = 0;
  const sums = weights.map((w) => {
    total += w;
    return total;
  });
  // All rows are equal to some seed: any other row will do.
  if (total === 0) return [weights.findIndex((_, i) => !seeds.includes(i))];
  return Array.from(random, (u) => {
    const wanted = u * total;
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  });
}

/** Squared distances of all rows to up to eight of them: [n, 8]. */
async function distancesTo(x: Tensor, candidates: readonly number[]): Promise<Float32Array> {
  const [n, d] = x.shape as [number, number];
  const all = Array.from({ length: TRIALS }, (_, t) => candidates[t] ?? candidates[0]!);
  const out = Tensor.empty(x.device, [n, TRIALS], 'f32', 'distances');
  const plan = wide(threadPlan(x.device, n), d);
  runKMeans('seeds', { x, x4: x, out }, { n, k: 0, d }, plan, all);
  try {
    return await out.floats();
  } finally {
    out.dispose();
  }
}
