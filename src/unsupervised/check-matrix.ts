import { HistogradError } from '../errors.ts';
import { formatShape, shapeError } from '../ops/op.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** The shape [n, d] of a matrix of samples; throws unless it is one, float32, with something in it. */
export function samplesShape(name: string, x: Tensor): [n: number, d: number] {
  if (x.rank !== 2 || x.size === 0 || x.dtype !== 'f32') {
    throw shapeError(
      name,
      'a float32 matrix [samples, features] that is not empty',
      `${x.dtype} ${formatShape(x.shape)}`,
    );
  }
  return x.shape as [number, number];
}

/** Throws unless 1 ≤ k ≤ most. */
export function requireCount(name: string, what: string, k: number, most: number): void {
  if (Number.isInteger(k) && k >= 1 && k <= most) return;
  const isNumber = typeof k === 'number';
  throw new HistogradError(
    'option',
    `${name}: expected ${what} from 1 to ${most}, found ${isNumber ? k : JSON.stringify(k)}.`,
    isNumber
      ? 'Ask for fewer, or give more samples.'
      : `Give the number by itself: ${name}(x, 3), or with options behind it.`,
  );
}

export function notFinite(name: string, what: string): HistogradError {
  return new HistogradError(
    'non-finite',
    `${name}: ${what} is not finite, or so large that its square is not.`,
    'Remove or impute such values first.',
  );
}
