/**
 * Ridge regression from the mean patch feature of a slide to all genes, in closed form: the floor that
 * a trained model has to beat. Features are standardised; the penalty is the one of a grid with
 * the smallest leave-one-out error on the training slides (exact, from the hat matrix).
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { HistogradError } from '../errors.ts';
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

  loss(): Tensor {
    throw new HistogradError('not-trainable', 'Ridge has no loss to descend.', 'Call prepare() with the training set.');
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
    // K = X Xᵀ = U diag(s) Uᵀ; then the residuals of every penalty, leave-one-out, cost little each.
    const kernel = x.mmul(x.transpose());
    const { eigenvectorMatrix: u, realEigenvalues: s } = new EigenvalueDecomposition(kernel, { assumeSymmetric: true });
    const rotated = u.transpose().mmul(y);
    let least = Number.POSITIVE_INFINITY;
    let dual = new Matrix(n, genes);
    for (let exponent = this.options.from; exponent <= this.options.to; exponent += 0.5) {
      const penalty = 10 ** exponent * d;
      const scaled = rotated.clone();
      scaled.apply((i, g) => scaled.set(i, g, rotated.get(i, g) / (Math.max(s[i]!, 0) + penalty)));
      const alpha = u.mmul(scaled);
      // The residual is penalty · alpha, and the leave-one-out residual divides it by 1 − hᵢᵢ.
      let error = 0;
      for (let i = 0; i < n; i++) {
        let leverage = 1 / n;
        for (let j = 0; j < n; j++) leverage += (u.get(i, j) ** 2 * Math.max(s[j]!, 0)) / (Math.max(s[j]!, 0) + penalty);
        const rest = Math.max(1 - leverage, 1e-9);
        for (let g = 0; g < genes; g++) error += ((penalty * alpha.get(i, g)) / rest) ** 2;
      }
      if (error < least) {
        least = error;
        dual = alpha;
        this.penalty = penalty;
      }
    }
    const weights = x.transpose().mmul(dual);
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

function vector(values: Float64Array): StateTensor {
  return { shape: [values.length], data: Float32Array.from(values) };
}

function columnMeans(values: Float32Array, n: number, columns: number): Float64Array {
  const means = new Float64Array(columns);
  for (let i = 0; i < n; i++) for (let c = 0; c < columns; c++) means[c]! += values[i * columns + c]! / n;
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
