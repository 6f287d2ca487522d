/** Copies of boxes between tensors, outside the tape; permute, slice, concat and the reductions' gradients use it. */
import code from '../../shaders/strided-copy.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('strided-copy', code);

export interface Box {
  /** Extent of the box, up to four dimensions. */
  dims: readonly number[];
  /** Strides in elements along `dims`, in the source and in the destination. */
  from: { strides: readonly number[]; start: number };
  to: { strides: readonly number[]; start: number };
}

export function contiguousStrides(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = strides[d + 1]! * shape[d + 1]!;
  return strides;
}

export function copyBox(x: Tensor, out: Tensor, box: Box): void {
  const pad = (values: readonly number[], fill: number) => [
    ...Array<number>(4 - values.length).fill(fill),
    ...values,
  ];
  const count = sizeOf(box.dims);
  const overrides =
    x.device.class === 'cpu' ? { WORKGROUP: 16, ELEMENTS: 32 } : { WORKGROUP: 256, ELEMENTS: 1 };
  x.device.run(kernel, 'copy', {
    buffers: { x: x.buffer, out: out.buffer },
    params: {
      dims: pad(box.dims, 1),
      x_strides: pad(box.from.strides, 0),
      out_strides: pad(box.to.strides, 0),
      x_start: box.from.start,
      out_start: box.to.start,
      count,
    },
    overrides,
    groups: Math.ceil(count / (overrides.WORKGROUP * overrides.ELEMENTS)),
  });
}

/** Repeats x [outer, inner] along a new middle axis: the adjoint of a sum. */
export function spreadAxis(
  x: Tensor,
  shape: Shape,
  [outer, n, inner]: readonly [number, number, number],
): Tensor {
  const out = Tensor.empty(x.device, shape, 'f32', 'sum gradient');
  copyBox(x, out, {
    dims: [outer, n, inner],
    from: { strides: [inner, 0, 1], start: 0 },
    to: { strides: [n * inner, inner, 1], start: 0 },
  });
  return out;
}
