import { noGrad } from '../autograd/tape.ts';
import { add, sub } from '../ops/binary.ts';
import { multiplyInto } from '../ops/matmul-kernels.ts';
import { formatShape, shapeError } from '../ops/op.ts';
import { rowPlan, threadPlan } from '../tensor/grid.ts';
import { Generator } from '../tensor/random.ts';
import { keep, scope } from '../tensor/scope.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { centreRows } from './centre.ts';
import { notFinite, requireCount, samplesShape } from './check-matrix.ts';
import { runKMeans, wide } from './k-means-kernel.ts';
import { seedCentroids } from './k-means-seeds.ts';
import { prepareRows } from './pairwise-distances.ts';

export interface KMeansOptions {
  /** Decides the seeding. */
  seed: number;
  maxIterations: number;
  /** Stop when the centroids' squared moves add up to less than this times the mean variance of a feature. */
  tolerance: number;
  /** Runs from different seedings, of which the one with the least inertia is returned. */
  restarts: number;
  /** Centroids to start from [k, d], instead of k-means++. */
  init: Tensor | null;
}

/** scikit-learn's defaults. */
const DEFAULTS: KMeansOptions = {
  seed: 0,
  maxIterations: 300,
  tolerance: 1e-4,
  restarts: 1,
  init: null,
};

export interface KMeans {
  /** [k, d]; belongs to the caller. */
  readonly centroids: Tensor;
  /** For each row of x, its nearest centroid; among equals the one with the lowest number. */
  readonly labels: Uint32Array;
  /** Sum of squared distances to the nearest centroids. */
  readonly inertia: number;
  readonly iterations: number;
  /** The inertia at each assignment; it does not increase. */
  readonly history: readonly number[];
}

const NAME = 'kMeans';
/** Rows that one thread adds up; longer clusters are cut. */
const RUN = 128;

/**
 * Clusters the rows of x [n, d] into k (Lloyd's algorithm), on the GPU but for the bookkeeping. Seeds are chosen by greedy
 * k-means++ (as scikit-learn's: the best of 2 + ln k candidates). An empty cluster takes the row farthest from its
 * centroid. The same seed gives the same bits on the same adapter. x must fit one binding.
 *
 * @throws HistogradError `shape`; `option`; `non-finite`, naming the row, or init
 */
export async function kMeans(
  x: Tensor,
  k: number,
  options: Partial<KMeansOptions> = {},
): Promise<KMeans> {
  const [n, d] = samplesShape(NAME, x);
  const { seed, maxIterations, tolerance, restarts, init } = { ...DEFAULTS, ...options };
  requireCount(NAME, 'clusters', k, n);
  requireCount(NAME, 'maxIterations', maxIterations, 1e9);
  requireCount(NAME, 'restarts', restarts, 1e9);
  if (init && !sameShape(init.shape, [k, d])) {
    throw shapeError(NAME, `init [${k}, ${d}]`, formatShape(init.shape));
  }
  const { rows, mean, squares } = await centreRows(NAME, x);
  const generator = new Generator(seed);
  const enough = (tolerance * squares.reduce((a, b) => a + b, 0)) / (n * d);
  let best: KMeans | null = null;
  try {
    for (let run = 0; run < (init ? 1 : restarts); run++) {
      const centroids = init
        ? scope(() => keep(noGrad(() => sub(init, mean))))
        : await seedCentroids(rows, k, generator);
      const found = await lloyd(rows, centroids, maxIterations, enough).catch((error: unknown) => {
        centroids.dispose();
        throw error;
      });
      if (best && best.inertia <= found.inertia) centroids.dispose();
      else {
        best?.centroids.dispose();
        best = found;
      }
    }
    const { centroids } = best!;
    const moved = scope(() => keep(noGrad(() => add(centroids, mean))));
    return { ...best!, centroids: moved };
  } finally {
    best?.centroids.dispose();
    rows.dispose();
    mean.dispose();
  }
}

async function lloyd(
  x: Tensor,
  centroids: Tensor,
  maxIterations: number,
  enough: number,
): Promise<KMeans> {
  const history: number[] = [];
  const measure = async () => {
    const found = await assign(x, centroids);
    history.push(found.distances.reduce((total, v) => total + v, 0));
    return found;
  };
  let before = await centroids.floats();
  if (!before.every(Number.isFinite)) throw notFinite(NAME, 'a value of init');
  let { labels, distances } = await measure();
  let iterations = 0;
  while (iterations < maxIterations) {
    iterations++;
    updateCentroids(x, fillEmpty(labels, distances, centroids.shape[0]!), centroids);
    const next = await measure();
    const after = await centroids.floats();
    const moved = after.reduce((total, v, i) => total + (v - before[i]!) ** 2, 0);
    const stable = next.labels.every((label, i) => label === labels[i]);
    ({ labels, distances } = next);
    before = after;
    if (stable || moved <= enough) break;
  }
  return { centroids, labels, inertia: history.at(-1)!, iterations, history };
}

interface Assignment {
  labels: Uint32Array;
  distances: Float32Array;
}

async function assign(x: Tensor, centroids: Tensor): Promise<Assignment> {
  const { device } = x;
  const [n, d] = x.shape as [number, number];
  const k = centroids.shape[0]!;
  const labels = keep(Tensor.empty(device, [n], 'u32', 'labels'));
  const distances = keep(Tensor.empty(device, [n], 'f32', 'distances'));
  scope(() => {
    const whole = { start: 0, count: k };
    const { squares } = prepareRows(centroids, whole, Tensor.zeros(device, [d]));
    const product = Tensor.empty(device, [n, k], 'f32', 'products');
    const sizes = { batch: 1, m: n, n: k, k: d, transposeA: false, transposeB: true };
    multiplyInto(x, centroids, null, product, sizes);
    const both = { x, x4: x, nearest: centroids, nearest4: centroids };
    const tensors = { ...both, squares, product, labels, out: distances };
    runKMeans('assign', tensors, { n, k, d }, wide(rowPlan(device, n, Math.max(k, d)), d));
  });
  try {
    const [found, squares] = await Promise.all([labels.data(), distances.floats()]);
    return { labels: Uint32Array.from(found), distances: squares };
  } finally {
    labels.dispose();
    distances.dispose();
  }
}

/** Gives each empty cluster the row farthest from its centroid, of those whose cluster has others. */
function fillEmpty(labels: Uint32Array, distances: Float32Array, k: number): Uint32Array {
  const counts = new Uint32Array(k);
  for (const label of labels) counts[label]!++;
  if (counts.every((count) => count > 0)) return labels;
  const filled = labels.slice();
  const left = distances.slice();
  for (let cluster = 0; cluster < k; cluster++) {
    if (counts[cluster]! > 0) continue;
    let farthest = -1;
    for (let i = 0; i < left.length; i++) {
      const distance = left[i]!;
      if (distance > (farthest < 0 ? 0 : left[farthest]!) && counts[filled[i]!]! > 1) farthest = i;
    }
    if (farthest < 0) break; // fewer different rows than clusters
    counts[filled[farthest]!]!--;
    counts[cluster] = 1;
    filled[farthest] = cluster;
    left[farthest] = 0;
  }
  return filled;
}

/** Sets the centroids to the means of their rows: sorted by cluster, added up in runs, then run by run. */
function updateCentroids(x: Tensor, labels: Uint32Array, centroids: Tensor): void {
  const { device } = x;
  const [k, d] = centroids.shape as [number, number];
  const counts = new Uint32Array(k);
  for (const label of labels) counts[label]!++;
  const next = new Uint32Array(k);
  const starts: number[] = [];
  const runStarts = [0];
  let at = 0;
  counts.forEach((count, cluster) => {
    next[cluster] = at;
    for (let r = 0; r < count; r += RUN) starts.push(at + r);
    runStarts.push(starts.length);
    at += count;
  });
  const runs = starts.length;
  starts.push(at);
  const order = new Uint32Array(labels.length);
  labels.forEach((label, i) => {
    order[next[label]!++] = i;
  });
  scope(() => {
    const upload = (values: ArrayLike<number>) => Tensor.from(device, Uint32Array.from(values));
    const out = Tensor.empty(device, [runs, d], 'f32', 'partial sums');
    const first = { x, order: upload(order), starts: upload(starts), out };
    runKMeans('partial', first, { n: runs, k, d }, threadPlan(device, runs * d));
    const second = { x: out, starts: upload(runStarts), counts: upload(counts), centroids };
    runKMeans('means', second, { n: runs, k, d }, threadPlan(device, k * d));
  });
}
