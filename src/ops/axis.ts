/** How operations see a tensor of any rank: around an axis, or as rows. */
import { type Shape, sizeOf } from '../tensor/tensor.ts';
import { formatShape, shapeError } from './op.ts';

export interface Around {
  /** The axis, counted from the front. */
  at: number;
  outer: number;
  length: number;
  inner: number;
}

/** A shape as [outer, length, inner] around an axis; a negative axis counts from the end. */
export function aroundAxis(name: string, shape: Shape, axis: number): Around {
  const at = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(at) || at < 0 || at >= shape.length) {
    throw shapeError(
      name,
      `an axis below ${shape.length}`,
      `axis ${axis} of ${formatShape(shape)}`,
    );
  }
  return {
    at,
    outer: sizeOf(shape.slice(0, at)),
    length: shape[at]!,
    inner: sizeOf(shape.slice(at + 1)),
  };
}

/** A shape [..., n] as rows of n elements. */
export function asRows(shape: Shape): { rows: number; n: number } {
  return { rows: sizeOf(shape.slice(0, -1)), n: shape.at(-1) ?? 1 };
}
