import code from '../../shaders/nmf.wgsl';
import { noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { matmul } from '../ops/matmul.ts';
import { formatShape, shapeError } from '../ops/op.ts';
import { max, mean } from '../ops/reduce.ts';
import { affine, neg, sqrt, square } from '../ops/unary.ts';
import { elementwisePlan, rowPlan } from '../tensor/grid.ts';
import { Generator, normal } from '../tensor/random.ts';
import { keep, scope } from '../tensor/scope.ts';
import { type Shape, sameShape, Tensor } from '../tensor/tensor.ts';
import { notFinite, requireCount, samplesShape } from './check-matrix.ts';

const kernel = defineKernel('nmf', code);

export interface NmfOptions {
  /** Decides the factors at the start. */
  seed: number;
  maxIterations: number;
  /** Stop when the error has fallen by less than this times the first error since the last check. */
  tolerance: number;
  /** Iterations from one check to the next. */
  checkEvery: number;
  /** Factors to start from, w [n, rank] and h [rank, m]; without zeros, which the updates cannot leave. */
  init: { readonly w: Tensor; readonly h: Tensor } | null;
}

/** scikit-learn's defaults. */
const DEFAULTS: NmfOptions = {
  seed: 0,
  maxIterations: 200,
  tolerance: 1e-4,
  checkEvery: 10,
  init: null,
};

export interface Nmf {
  /** [n, rank] and [rank, m], none negative; they belong to the caller. */
  readonly w: Tensor;
  readonly h: Tensor;
  /** |v − w h| (Frobenius). */
  readonly error: number;
  readonly iterations: number;
  /** The error at the start and at each check. */
  readonly history: readonly number[];
}

const NAME = 'nmf';
const CHUNK = 1024;

/**
 * Factors v [n, m], which must not be negative, into w [n, rank] · h [rank, m] with none negative: the multiplicative updates
 * that do not increase |v − w h| (Lee & Seung 2001), w before h, from |N(0, 1)| · sqrt(mean(v) / rank) (as scikit-learn's
 * solver `mu`, init `random`). On the GPU; the same seed gives the same bits on the same adapter.
 *
 * @throws HistogradError `shape`; `option`; `non-finite`; `negative`
 */
export async function nmf(
  v: Tensor,
  rank: number,
  options: Partial<NmfOptions> = {},
): Promise<Nmf> {
  const [n, m] = samplesShape(NAME, v);
  const { seed, maxIterations, tolerance, checkEvery, init } = { ...DEFAULTS, ...options };
  requireCount(NAME, 'a rank', rank, Math.min(n, m));
  requireCount(NAME, 'maxIterations', maxIterations, 1e9);
  requireCount(NAME, 'checkEvery', checkEvery, 1e9);
  const average = await checkedMean('v', v);
  if (init) {
    checkShape(init.w, [n, rank]);
    checkShape(init.h, [rank, m]);
    for (const name of ['w', 'h'] as const) await checkedMean(`init.${name}`, init[name]);
  }
  const generator = new Generator(seed);
  const draw = (shape: [number, number]) => random(v, shape, generator, Math.sqrt(average / rank));
  const w = init ? copied(init.w) : draw([n, rank]);
  const h = init ? copied(init.h) : draw([rank, m]);
  try {
    const history = [await errorOf(v, w, h)];
    let iterations = 0;
    while (iterations < maxIterations) {
      const until = Math.min(maxIterations, iterations + checkEvery);
      for (; iterations < until; iterations++) noGrad(() => iterate(v, w, h));
      const error = await errorOf(v, w, h);
      const fallen = history.at(-1)! - error;
      history.push(error);
      if (fallen < tolerance * history[0]!) break;
    }
    return { w, h, error: history.at(-1)!, iterations, history };
  } catch (error) {
    w.dispose();
    h.dispose();
    throw error;
  }
}

function iterate(v: Tensor, w: Tensor, h: Tensor): void {
  const right = { transposeA: false, transposeB: true };
  const left = { transposeA: true, transposeB: false };
  scope(() => update(w, matmul(v, h, right), matmul(w, matmul(h, h, right))));
  scope(() => update(h, matmul(w, v, left), matmul(matmul(w, w, left), h)));
}

function update(factor: Tensor, numerator: Tensor, denominator: Tensor): void {
  factor.device.run(kernel, 'update', {
    buffers: {
      factor: factor.buffer,
      numerator: numerator.buffer,
      denominator: denominator.buffer,
    },
    params: { count: factor.size, chunk: 0 },
    ...elementwisePlan(factor.device, factor.size),
  });
}

/** |v − w h|; the sums of runs of 1024 elements are added up in float64. */
async function errorOf(v: Tensor, w: Tensor, h: Tensor): Promise<number> {
  const runs = Math.ceil(v.size / CHUNK);
  const sums = scope(() => {
    const wh = noGrad(() => matmul(w, h));
    const partial = keep(Tensor.empty(v.device, [runs], 'f32', 'partial sums'));
    v.device.run(kernel, 'squares', {
      buffers: { v: v.buffer, wh: wh.buffer, partial_sums: partial.buffer },
      params: { count: v.size, chunk: CHUNK },
      ...rowPlan(v.device, runs, CHUNK),
    });
    return partial;
  });
  try {
    return Math.sqrt((await sums.floats()).reduce((total, s) => total + s, 0));
  } finally {
    sums.dispose();
  }
}

/** The mean of what must be finite and not negative. */
async function checkedMean(name: string, v: Tensor): Promise<number> {
  const checks = scope(() =>
    noGrad(() => ({ average: keep(mean(v)), negated: keep(max(neg(v))), largest: keep(max(v)) })),
  );
  try {
    const [average, negated, largest] = await Promise.all([
      checks.average.item(),
      checks.negated.item(),
      checks.largest.item(),
    ]);
    if (![average, negated, largest].every(Number.isFinite)) {
      throw notFinite(NAME, `a value of ${name}`);
    }
    if (negated > 0) {
      throw new HistogradError(
        'negative',
        `${NAME}: ${name} has negative values, the smallest is ${-negated}.`,
        'Shift, clip or take absolute values first, as fits their meaning.',
      );
    }
    return average;
  } finally {
    for (const tensor of Object.values(checks)) tensor.dispose();
  }
}

function random({ device }: Tensor, shape: [number, number], generator: Generator, scale: number) {
  return scope(() => {
    const values = normal(device, shape, generator.next());
    return keep(noGrad(() => absolute(affine(values, scale))));
  });
}

function absolute(x: Tensor): Tensor {
  return sqrt(square(x));
}

function checkShape(x: Tensor, shape: Shape): void {
  if (!sameShape(x.shape, shape)) {
    throw shapeError(NAME, `init ${formatShape(shape)}`, formatShape(x.shape));
  }
}

function copied(x: Tensor): Tensor {
  const copy = keep(Tensor.empty(x.device, x.shape, 'f32', 'factor'));
  x.device.copy(x.buffer, copy.buffer, 4 * x.size);
  return copy;
}
