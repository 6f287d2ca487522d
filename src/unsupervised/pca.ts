/**
 * Principal components by randomised subspace iteration (Halko, Martinsson & Tropp 2011): the products with the data run
 * on the GPU, what is left is a few vectors, which the CPU makes orthonormal and diagonalises in float64.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { noGrad } from '../autograd/tape.ts';
import { sub } from '../ops/binary.ts';
import { type MatmulOptions, matmul } from '../ops/matmul.ts';
import { formatShape, shapeError } from '../ops/op.ts';
import { Generator, normal } from '../tensor/random.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { centreRows } from './centre.ts';
import { requireCount, samplesShape } from './check-matrix.ts';
import { columnsOf, fromColumns, orthonormalise } from './orthonormal.ts';

export interface PcaOptions {
  /** Decides the subspace at the start. */
  seed: number;
  /** Power iterations; more where the spectrum falls slowly. */
  iterations: number;
  /** Vectors carried along beyond the k asked for. */
  oversampling: number;
}

/** scikit-learn's, for few components. */
const DEFAULTS: PcaOptions = { seed: 0, iterations: 7, oversampling: 10 };

const NAME = 'pca';

/** Principal components of a matrix; from `pca`. */
export class Pca {
  /** Unit vectors [k, d], the entry of largest magnitude of each being positive (scikit-learn's svd_flip, by components). */
  readonly components: Tensor;
  /** Column means [d]. */
  readonly mean: Tensor;
  readonly singularValues: Float64Array;
  /** Variance along each component (divided by n − 1), and its share of the total. */
  readonly explainedVariance: Float64Array;
  readonly explainedVarianceRatio: Float64Array;

  constructor(components: Tensor, mean: Tensor, singularValues: Float64Array, spread: Spread) {
    const { n, squares } = spread;
    this.components = components;
    this.mean = mean;
    this.singularValues = singularValues;
    this.explainedVariance = singularValues.map((s) => (n > 1 ? s ** 2 / (n - 1) : 0));
    this.explainedVarianceRatio = singularValues.map((s) => (squares > 0 ? s ** 2 / squares : 0));
  }

  /** Coordinates of the rows of x [m, d] along the components: [m, k]. Not differentiable. */
  transform(x: Tensor): Tensor {
    const [, d] = samplesShape(NAME, x);
    if (d !== this.mean.size) {
      throw shapeError(NAME, `[m, ${this.mean.size}]`, formatShape(x.shape));
    }
    return scope(() => noGrad(() => multiply(sub(x, this.mean), this.components, 'right')));
  }

  dispose(): void {
    this.components.dispose();
    this.mean.dispose();
  }
}

interface Spread {
  readonly n: number;
  /** Of all centred values. */
  readonly squares: number;
}

/**
 * The k directions along which the rows of x [n, d] vary most. Exact where k + oversampling reaches n or d, else
 * as near as the power iterations bring it. The same seed gives the same bits on the same adapter.
 *
 * @throws HistogradError `shape`; `option`; `non-finite`, naming the row
 */
export async function pca(x: Tensor, k: number, options: Partial<PcaOptions> = {}): Promise<Pca> {
  const [n, d] = samplesShape(NAME, x);
  const { seed, iterations, oversampling } = { ...DEFAULTS, ...options };
  requireCount(NAME, 'components', k, Math.min(n, d));
  const width = Math.min(k + oversampling, n, d);
  const exact = width === Math.min(n, d);
  const { rows, mean, squares } = await centreRows(NAME, x);
  try {
    const basis = await rangeBasis(rows, width, exact ? 0 : iterations, seed);
    const projected = await product(basis, rows, 'left');
    basis.dispose();
    const { components, singularValues } = decompose(projected, width, k);
    const axes = keep(Tensor.from(x.device, components, [k, d]));
    const spread = { n, squares: squares.reduce((a, b) => a + b, 0) };
    return new Pca(axes, mean, singularValues, spread);
  } catch (error) {
    mean.dispose();
    throw error;
  } finally {
    rows.dispose();
  }
}

/** Orthonormal columns [n, width] that span most of the column space of x. */
async function rangeBasis(x: Tensor, width: number, iterations: number, seed: number) {
  const [n, d] = x.shape as [number, number];
  const basisOf = (values: Float32Array, size: number) =>
    keep(
      Tensor.from(x.device, fromColumns(orthonormalise(columnsOf(values, width))), [size, width]),
    );
  const start = scope(() => keep(normal(x.device, [d, width], new Generator(seed).next())));
  let basis = basisOf(await consume(x, start, 'plain'), n);
  for (let i = 0; i < iterations; i++) {
    const across = basisOf(await consume(x, basis, 'left'), d);
    basis = basisOf(await consume(x, across, 'plain'), n);
  }
  return basis;
}

type Side = 'plain' | 'left' | 'right';
const TRANSPOSED: Record<Side, MatmulOptions> = {
  plain: { transposeA: false, transposeB: false },
  left: { transposeA: true, transposeB: false },
  right: { transposeA: false, transposeB: true },
};

function multiply(a: Tensor, b: Tensor, side: Side): Tensor {
  return matmul(a, b, TRANSPOSED[side]);
}

async function product(a: Tensor, b: Tensor, side: Side): Promise<Float32Array> {
  const result = scope(() => keep(noGrad(() => multiply(a, b, side))));
  try {
    return await result.floats();
  } finally {
    result.dispose();
  }
}

/** The product with `b`, which is used up. */
async function consume(a: Tensor, b: Tensor, side: Side): Promise<Float32Array> {
  try {
    return await product(a, b, side);
  } finally {
    b.dispose();
  }
}

/** The singular values and right singular vectors of a matrix of `rows` rows, from the eigenvectors of its Gram matrix. */
function decompose(values: Float32Array, rows: number, k: number) {
  const matrix = Matrix.from1DArray(rows, values.length / rows, Array.from(values));
  const gram = matrix.mmul(matrix.transpose());
  const { eigenvectorMatrix, realEigenvalues } = new EigenvalueDecomposition(gram, {
    assumeSymmetric: true,
  });
  const order = realEigenvalues
    .map((value, i) => ({ value: Math.max(value, 0), i }))
    .sort((a, b) => b.value - a.value)
    .slice(0, k);
  const axes = order.map(({ i }) =>
    Float64Array.from(Matrix.rowVector(eigenvectorMatrix.getColumn(i)).mmul(matrix).to1DArray()),
  );
  const components = orthonormalise(axes).flatMap((axis) => [...flipped(axis)]);
  return {
    components: Float32Array.from(components),
    singularValues: Float64Array.from(order, ({ value }) => Math.sqrt(value)),
  };
}

/** With the entry of largest magnitude positive. */
function flipped(axis: Float64Array): Float64Array {
  const largest = axis.reduce((most, v) => (Math.abs(v) > Math.abs(most) ? v : most), 0);
  return largest < 0 ? axis.map((v) => -v) : axis;
}
