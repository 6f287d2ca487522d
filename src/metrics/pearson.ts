import { HistogradError } from '../errors.ts';
import { studentTwoSided } from './student-t.ts';

function requireSameLength(name: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  if (x.length === y.length) return;
  throw new HistogradError(
    'metrics-length',
    `${name}: the two samples must have the same length, found ${x.length} and ${y.length}.`,
    'Pass one value of each variable per sample, in the same order.',
  );
}

/**
 * Pearson's correlation of two samples, in float64.
 *
 * NaN (undefined) when either sample is constant, holds a non-finite value, or has fewer than two values.
 * Throws `metrics-length` when the lengths differ.
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  requireSameLength('pearson', x, y);
  return x.length === 0 ? Number.NaN : pearsonColumns(x, y, 1)[0]!;
}

/**
 * Pearson's correlation of every column of two row-major `[n, columns]` matrices -> `[columns]`.
 * Each value as {@link pearson} would give for that pair of columns. Throws `metrics-length`, `metrics-shape`.
 */
export function pearsonColumns(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  columns: number,
): Float64Array {
  requireSameLength('pearsonColumns', x, y);
  const n = x.length / columns;
  if (!Number.isInteger(columns) || columns < 1 || !Number.isInteger(n)) {
    throw new HistogradError(
      'metrics-shape',
      `pearsonColumns: ${x.length} values cannot form rows of ${columns} columns.`,
      'Pass row-major matrices [n, columns].',
    );
  }
  // Two passes over rows, in the order of memory: a pass per column misses the cache at 20,000 genes.
  const meanX = new Float64Array(columns);
  const meanY = new Float64Array(columns);
  for (let i = 0; i < x.length; i++) {
    const c = i % columns;
    meanX[c]! += x[i]!;
    meanY[c]! += y[i]!;
  }
  for (let c = 0; c < columns; c++) {
    meanX[c]! /= n;
    meanY[c]! /= n;
  }
  const xx = new Float64Array(columns);
  const yy = new Float64Array(columns);
  const xy = new Float64Array(columns);
  // Constancy is tested on the values, not on the variance: the rounded mean of equal values can differ from
  // them, and that noise would correlate.
  const variesX = new Uint8Array(columns);
  const variesY = new Uint8Array(columns);
  for (let i = 0; i < x.length; i++) {
    const c = i % columns;
    const a = x[i]! - meanX[c]!;
    const b = y[i]! - meanY[c]!;
    if (x[i] !== x[c]) variesX[c] = 1;
    if (y[i] !== y[c]) variesY[c] = 1;
    xx[c]! += a * a;
    yy[c]! += b * b;
    xy[c]! += a * b;
  }
  return xy.map((value, c) =>
    variesX[c] && variesY[c]
      ? Math.max(-1, Math.min(1, value / Math.sqrt(xx[c]! * yy[c]!)))
      : Number.NaN,
  );
}

/**
 * Two-sided p-value of a Pearson correlation `r` of `n` samples under normality:
 * t = r sqrt((n - 2) / (1 - r²)) against Student's t with n - 2 degrees of freedom (as `scipy.stats.pearsonr`).
 * NaN when `r` is NaN or n < 3; 0 when |r| = 1.
 */
export function pearsonPValue(r: number, n: number): number {
  const dof = n - 2;
  return studentTwoSided(r * Math.sqrt(dof / (1 - r * r)), dof);
}

/** Ranks from 1, equal values sharing the mean of their ranks (as `scipy.stats.rankdata`). */
function averageRanks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(order.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let k = start; k < end; k++) ranks[order[k]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

/**
 * Spearman's rank correlation: Pearson's of the average ranks. NaN and errors as {@link pearson}.
 */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): number {
  requireSameLength('spearman', x, y);
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]!) || !Number.isFinite(y[i]!)) return Number.NaN;
  }
  return pearson(averageRanks(x), averageRanks(y));
}
