/** Operations that move elements without computing: reshape, permute, slice, concat. */
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { defineOp, formatShape, formatShapes, shapeError } from './op.ts';
import { contiguousStrides, copyBox } from './strided-copy.ts';

/** Copies `length` entries of the axis from `fromStart` in x to `toStart` in out. */
function copyAlong(
  x: Tensor,
  out: Tensor,
  [outer, length, inner]: readonly [number, number, number],
  from: { length: number; start: number },
  to: { length: number; start: number },
): void {
  copyBox(x, out, {
    dims: [outer, length, inner],
    from: { strides: [from.length * inner, inner, 1], start: from.start * inner },
    to: { strides: [to.length * inner, inner, 1], start: to.start * inner },
  });
}

export const reshapeOp = defineOp<{ shape: Shape }>({
  name: 'reshape',
  inputs: 'x [...]',
  output: 'the shape asked for',
  cost: '0',
  shape([x], { shape }) {
    const whole = shape.every((n) => Number.isInteger(n) && n >= 0);
    if (!whole || sizeOf(shape) !== sizeOf(x!)) {
      throw shapeError(
        'reshape',
        `${sizeOf(x!)} elements as in ${formatShape(x!)}`,
        formatShape(shape),
      );
    }
    return shape;
  },
  forward: ([x], _, output) => x!.device.copy(x!.buffer, output.buffer, 4 * x!.size),
  gradient: ({ grad, inputs: [x] }) => [grad.view(x!.shape)],
});

export interface PermuteOptions {
  dims: readonly number[];
}

export const permuteOp = defineOp<PermuteOptions>({
  name: 'permute',
  inputs: 'x [...]',
  output: 'its axes in the order asked for',
  cost: '0',
  shape([x], { dims }) {
    const sorted = [...dims].sort((a, b) => a - b);
    if (sorted.length !== x!.length || sorted.some((d, i) => d !== i)) {
      throw shapeError('permute', `a permutation of the ${x!.length} axes`, `[${dims.join(', ')}]`);
    }
    return dims.map((d) => x![d]!);
  },
  forward: ([x], { dims }, output) => permuteInto(x!, dims, output),
  gradient({ grad, inputs: [x], options: { dims } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'permute gradient');
    permuteInto(
      grad,
      dims.map((_, i) => dims.indexOf(i)),
      dx,
    );
    return [dx];
  },
});

function permuteInto(x: Tensor, dims: readonly number[], output: Tensor): void {
  const strides = contiguousStrides(x.shape);
  copyBox(x, output, {
    dims: output.shape,
    from: { strides: dims.map((d) => strides[d]!), start: 0 },
    to: { strides: contiguousStrides(output.shape), start: 0 },
  });
}

export interface SliceOptions {
  axis: number;
  start: number;
  end: number;
}

export const sliceOp = defineOp<SliceOptions>({
  name: 'slice',
  inputs: 'x [...]',
  output: '[...] with end − start along the axis',
  cost: '0',
  shape([x], { axis, start, end }) {
    const { at, length } = aroundAxis('slice', x!, axis);
    const whole = Number.isInteger(start) && Number.isInteger(end);
    if (!(whole && start >= 0 && start <= end && end <= length)) {
      const expected = `whole numbers 0 <= start <= end <= ${length}`;
      throw shapeError('slice', expected, `start ${start}, end ${end}`);
    }
    return x!.map((n, i) => (i === at ? end - start : n));
  },
  forward([x], { axis, start, end }, output) {
    const { outer, length, inner } = aroundAxis('slice', x!.shape, axis);
    const box = [outer, end - start, inner] as const;
    copyAlong(x!, output, box, { length, start }, { length: end - start, start: 0 });
  },
  gradient({ grad, inputs: [x], options: { axis, start, end } }) {
    const { outer, length, inner } = aroundAxis('slice', x!.shape, axis);
    const dx = Tensor.zeros(grad.device, x!.shape);
    const box = [outer, end - start, inner] as const;
    copyAlong(grad, dx, box, { length: end - start, start: 0 }, { length, start });
    return [dx];
  },
});

export interface ConcatOptions {
  axis: number;
}

export const concatOp = defineOp<ConcatOptions>({
  name: 'concat',
  inputs: 'any number of [...]',
  output: '[...] with the sum along the axis',
  cost: '0',
  shape(shapes, { axis }) {
    const [first, ...others] = shapes;
    const { at } = aroundAxis('concat', first!, axis);
    const fits = (s: Shape) =>
      s.length === first!.length && s.every((n, i) => i === at || n === first![i]);
    if (!others.every(fits)) {
      throw shapeError('concat', `shapes equal but for axis ${axis}`, formatShapes(shapes));
    }
    return first!.map((n, i) => (i === at ? shapes.reduce((total, s) => total + s[at]!, 0) : n));
  },
  forward(inputs, { axis }, output) {
    const { length: total } = aroundAxis('concat', output.shape, axis);
    let start = 0;
    for (const x of inputs) {
      const { outer, length, inner } = aroundAxis('concat', x.shape, axis);
      copyAlong(x, output, [outer, length, inner], { length, start: 0 }, { length: total, start });
      start += length;
    }
  },
  gradient({ grad, inputs, options: { axis } }) {
    const { length: total } = aroundAxis('concat', grad.shape, axis);
    let start = 0;
    return inputs.map((x) => {
      const { outer, length, inner } = aroundAxis('concat', x.shape, axis);
      const dx = Tensor.empty(grad.device, x.shape, 'f32', 'concat gradient');
      copyAlong(grad, dx, [outer, length, inner], { length: total, start }, { length, start: 0 });
      start += length;
      return dx;
    });
  },
});

/** The same elements in row-major order under another shape. */
export const reshape = (x: Tensor, shape: Shape) => reshapeOp.apply([x], { shape });
/** Reorders the axes: axis i of the result is axis dims[i] of x (torch.permute). Up to eight axes that do not stay neighbours. */
export const permute = (x: Tensor, dims: readonly number[]) => permuteOp.apply([x], { dims });
/** Entries start … end − 1 of one axis. */
export const slice = (x: Tensor, axis: number, start: number, end: number) =>
  sliceOp.apply([x], { axis, start, end });
/** Joins tensors along an axis. */
export const concat = (tensors: readonly Tensor[], axis: number) =>
  concatOp.apply(tensors, { axis });
