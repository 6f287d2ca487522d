/** References that move elements: every output element says where it comes from. */
import { contiguousStrides } from '../../src/ops/strided-copy.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { type Nd, nd } from './nd.ts';

/** The index along each axis of flat element `flat`. */
export function unravel(flat: number, shape: Shape): number[] {
  return contiguousStrides(shape).map((stride, d) => Math.floor(flat / stride) % shape[d]!);
}

function ravel(index: readonly number[], shape: Shape): number {
  return contiguousStrides(shape).reduce((flat, stride, d) => flat + stride * index[d]!, 0);
}

/** The element of x at an index; null where it is outside. */
export function elementAt(x: Nd, index: readonly number[]): number | null {
  if (index.some((i, d) => i < 0 || i >= x.shape[d]!)) return null;
  return x.data[ravel(index, x.shape)]!;
}

/** The array of `shape` whose element at an index is x's at `source(index)`, or `outside`. */
export function moved(
  x: Nd,
  shape: Shape,
  source: (index: number[]) => readonly number[],
  outside = Number.NaN,
): Nd {
  return nd(shape, (flat) => elementAt(x, source(unravel(flat, shape))) ?? outside);
}
