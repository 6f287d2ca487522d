/**
 * Ridge regression from the mean patch feature of a slide to all genes, in closed form: the floor that
 * a trained model has to beat. Features are standardised. The penalty is the one of a grid with the
 * smallest error in five-fold cross-validation on the training slides, in blocks of consecutive slides: neighbours
 * in the list may share tissue (windows of one section), and leaving out single ones would choose too small a penalty.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { StateTensor } from '../nn/module.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { bagMeans, trainingMeans } from './bag-means.ts';
import { type Bags, ExpressionModel, type Prediction, type TrainingSet } from './model.ts';

export interface RidgeOptions {
  /** Penalties to choose from are 10^from … 10^to, times the number of features. */
  from: number;
  to: number;
}

export const RIDGE: RidgeOptions = { from: -3, to: 3 };

export class Ridge extends ExpressionModel {
  readonly trainable = false;
  readonly options: RidgeOptions;
  /** The penalty that was chosen. */
  penalty = Number.NaN;

  constructor(options: RidgeOptions) {
    super();
    this.options = options;
  }

  override async prepare(training: TrainingSet): Promise<void> {
    const n = training.count;
    const means = await trainingMeans(training);
    const d = means.length / n;
    const genes = training.targets.length / n;
    const { x, mean, deviation } = standardised(means, n, d);
    const intercept = columnMeans(training.targets, n, genes);
    const y = new Matrix(n, genes);
    for (let i = 0; i < n; i++)
      for (let g = 0; g < genes; g++) y.set(i, g, training.targets[i * genes + g]! - intercept[g]!);
    this.penalty = choosePenalty(x, y, penalties(this.options, d));
    const weights = ridgeSolver(x, y)(this.penalty);
    this.memory.set('mean', vector(mean));
    this.memory.set('deviation', vector(deviation));
    this.memory.set('weights', { shape: [d, genes], data: Float32Array.from(weights.to1DArray()) });
    this.memory.set('intercept', vector(intercept));
  }

  async predict(bags: Bags): Promise<Prediction> {
    return { expression: this.#apply(await bagMeans(bags)) };
  }

  override async predictPatches(features: Tensor): Promise<Float32Array> {
    return this.#apply(await features.floats());
  }

  #apply(rows: Float32Array): Float32Array {
    const mean = this.recall('mean').data;
    const deviation = this.recall('deviation').data;
    const weights = this.recall('weights').data;
    const intercept = this.recall('intercept').data;
    const d = mean.length;
    const genes = intercept.length;
    const n = rows.length / d;
    const expression = new Float32Array(n * genes);
    const row = new Float64Array(genes);
    for (let i = 0; i < n; i++) {
      row.set(intercept);
      for (let j = 0; j < d; j++) {
        const x = (rows[i * d + j]! - mean[j]!) / deviation[j]!;
        for (let g = 0; g < genes; g++) row[g]! += x * weights[j * genes + g]!;
      }
      expression.set(row, i * genes);
    }
    return expression;
  }
}

const BLOCKS = 5;

function penalties({ from, to }: RidgeOptions, d: number): number[] {
  return Array.from({ length: 2 * (to - from) + 1 }, (_, i) => 10 ** (from + i / 2) * d);
}

function choosePenalty(x: Matrix, y: Matrix, candidates: readonly number[]): number {
  const n = x.rows;
  const blocks = Math.min(BLOCKS, n);
  if (blocks < 2) return candidates.at(-1)!;
  const errors = candidates.map(() => 0);
  for (let b = 0; b < blocks; b++) {
    const inside = (i: number) => Math.floor((i * blocks) / n) === b;
    const rows = Array.from({ length: n }, (_, i) => i);
    const rest = rows.filter((i) => !inside(i));
    const held = rows.filter(inside);
    const solve = ridgeSolver(
      x.selection(rest, range(x.columns)),
      y.selection(rest, range(y.columns)),
    );
    const heldX = x.selection(held, range(x.columns));
    const heldY = y.selection(held, range(y.columns));
    candidates.forEach((penalty, c) => {
      errors[c]! += Matrix.sub(heldX.mmul(solve(penalty)), heldY).norm('frobenius') ** 2;
    });
  }
  return candidates[errors.indexOf(Math.min(...errors))]!;
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** The weights (XᵀX + penalty I)⁻¹ XᵀY as a function of the penalty, from one decomposition of the smaller Gram matrix. */
function ridgeSolver(x: Matrix, y: Matrix): (penalty: number) => Matrix {
  const wide = x.columns > x.rows;
  const transposed = x.transpose();
  const gram = wide ? x.mmul(transposed) : transposed.mmul(x);
  const { eigenvectorMatrix: axes, realEigenvalues } = new EigenvalueDecomposition(gram, {
    assumeSymmetric: true,
  });
  const rotated = axes.transpose().mmul(wide ? y : transposed.mmul(y));
  return (penalty) => {
    const shrunk = rotated.clone();
    for (const [j, s] of realEigenvalues.entries()) {
      shrunk.mulRow(j, 1 / (Math.max(s, 0) + penalty));
    }
    const solution = axes.mmul(shrunk);
    return wide ? transposed.mmul(solution) : solution;
  };
}

function vector(values: Float64Array): StateTensor {
  return { shape: [values.length], data: Float32Array.from(values) };
}

function columnMeans(values: Float32Array, n: number, columns: number): Float64Array {
  const means = new Float64Array(columns);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < columns; c++) means[c]! += values[i * columns + c]! / n;
  return means;
}

function standardised(values: Float32Array, n: number, d: number) {
  const mean = columnMeans(values, n, d);
  const deviation = new Float64Array(d);
  for (let j = 0; j < d; j++) {
    let squares = 0;
    for (let i = 0; i < n; i++) squares += (values[i * d + j]! - mean[j]!) ** 2;
    deviation[j] = Math.sqrt(squares / n) || 1;
  }
  const x = new Matrix(n, d);
  x.apply((i, j) => x.set(i, j, (values[i * d + j]! - mean[j]!) / deviation[j]!));
  return { x, mean, deviation };
}
