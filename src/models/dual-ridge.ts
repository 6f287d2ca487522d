/**
 * Ridge regression for many splits of the same samples. With more features than samples, as embeddings of spots have, the
 * dual form needs the products of samples with each other only; these are computed once and serve every split and penalty.
 */
import { HistogradError } from '../errors.ts';

export class DualRidge {
  readonly count: number;
  readonly width: number;
  /** Products of all samples with each other [count, count]. */
  readonly #gram: Float64Array;

  /**
   * @param features [count, width] row-major, on comparable scales: all weights are penalised alike
   * @throws HistogradError `shape` when the features are not `count` rows
   */
  constructor(features: Float32Array, count: number) {
    const width = features.length / count;
    if (!Number.isInteger(width) || width === 0) {
      throw new HistogradError(
        'shape',
        `DualRidge: ${features.length} values are no table of ${count} rows.`,
        'Pass the features row by row, one row per sample.',
      );
    }
    this.count = count;
    this.width = width;
    this.#gram = products(features, count, width);
  }

  /**
   * Fits on some samples and predicts others. The intercept is not penalised.
   *
   * @param targets [count, genes] row-major; only the rows in `train` are read
   * @param penalty λ of min ‖Xw − y‖² + λ‖w‖², above 0
   * @returns [test.length, genes]
   * @throws HistogradError `option` for another penalty or too few samples, `shape` for targets that do not fit
   */
  predict(
    targets: Float32Array,
    train: readonly number[],
    test: readonly number[],
    penalty: number,
  ): Float32Array {
    const genes = targets.length / this.count;
    if (!Number.isInteger(genes) || genes === 0) {
      throw new HistogradError(
        'shape',
        `DualRidge: ${targets.length} target values are no table of ${this.count} rows.`,
        'Pass one row of targets per sample.',
      );
    }
    if (!(penalty > 0) || train.length === 0) {
      throw new HistogradError(
        'option',
        `DualRidge: penalty ${penalty} with ${train.length} training samples.`,
        'Give a penalty above 0 and at least one training sample.',
      );
    }
    const n = train.length;
    const gram = this.#gram;
    const at = (i: number, j: number) => gram[i * this.count + j]!;
    // Centring the features on the training samples, in terms of products.
    const towards = (i: number) => train.reduce((sum, j) => sum + at(i, j), 0) / n;
    const trainMeans = Float64Array.from(train, towards);
    const total = trainMeans.reduce((sum, value) => sum + value, 0) / n;

    const system = new Float64Array(n * n);
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++) {
        system[a * n + b] = at(train[a]!, train[b]!) - trainMeans[a]! - trainMeans[b]! + total;
      }
      system[a * n + a]! += penalty;
    }
    const mean = new Float64Array(genes);
    for (const i of train) for (let g = 0; g < genes; g++) mean[g]! += targets[i * genes + g]! / n;
    const weights = new Float64Array(n * genes);
    for (let a = 0; a < n; a++) {
      for (let g = 0; g < genes; g++) {
        weights[a * genes + g] = targets[train[a]! * genes + g]! - mean[g]!;
      }
    }
    solvePositive(system, weights, n, genes);

    const predicted = new Float32Array(test.length * genes);
    const row = new Float64Array(genes);
    for (const [t, i] of test.entries()) {
      row.set(mean);
      const own = towards(i);
      for (let a = 0; a < n; a++) {
        const product = at(i, train[a]!) - own - trainMeans[a]! + total;
        addScaled(row, 0, weights, a * genes, genes, product);
      }
      predicted.set(row, t * genes);
    }
    return predicted;
  }
}

function products(features: Float32Array, count: number, width: number): Float64Array {
  const rows = Array.from({ length: count }, (_, i) =>
    Float64Array.from(features.subarray(i * width, (i + 1) * width)),
  );
  const gram = new Float64Array(count * count);
  for (const [i, a] of rows.entries()) {
    for (let j = 0; j <= i; j++) {
      const b = rows[j]!;
      let sum = 0;
      for (let k = 0; k < width; k++) sum += a[k]! * b[k]!;
      gram[i * count + j] = sum;
      gram[j * count + i] = sum;
    }
  }
  return gram;
}

/** Replaces `x` [n, columns] by the solution of `a` z = x, by Cholesky's decomposition in place (lower triangle of `a`). */
function solvePositive(a: Float64Array, x: Float64Array, n: number, columns: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / a[j * n + j]!;
    }
  }
  const divide = (i: number) => {
    const diagonal = a[i * n + i]!;
    for (let c = i * columns; c < (i + 1) * columns; c++) x[c]! /= diagonal;
  };
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) addScaled(x, i * columns, x, k * columns, columns, -a[i * n + k]!);
    divide(i);
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) {
      addScaled(x, i * columns, x, k * columns, columns, -a[k * n + i]!);
    }
    divide(i);
  }
}

function addScaled(
  to: Float64Array,
  at: number,
  from: Float64Array,
  start: number,
  count: number,
  factor: number,
): void {
  for (let c = 0; c < count; c++) to[at + c]! += factor * from[start + c]!;
}
