import { type Shape, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';
import { contiguousStrides, copyBox } from './strided-copy.ts';

export interface ExpandOptions {
  /** The new shape; −1 keeps an axis. Axes are matched from the last one. */
  shape: Shape;
}

export const expandOp = defineOp<ExpandOptions>({
  name: 'expand',
  inputs: 'x [...]',
  output: 'the shape asked for',
  cost: '0',
  shape([x], { shape }) {
    const added = shape.length - x!.length;
    const fits = (n: number, d: number) => {
      const own = x![d - added];
      if (own === undefined) return Number.isInteger(n) && n >= 0;
      return n === -1 || n === own || (own === 1 && Number.isInteger(n) && n >= 0);
    };
    if (added < 0 || !shape.every(fits)) {
      throw shapeError(
        'expand',
        `a shape whose last axes are those of ${formatShape(x!)}, or any where that has 1`,
        formatShape(shape),
      );
    }
    return shape.map((n, d) => (n === -1 ? x![d - added]! : n));
  },
  forward([x], _, output) {
    const added = output.rank - x!.rank;
    const own = contiguousStrides(x!.shape);
    const strides = output.shape.map((_, d) =>
      d < added || x!.shape[d - added] === 1 ? 0 : own[d - added]!,
    );
    copyBox(x!, output, {
      dims: output.shape,
      from: { strides, start: 0 },
      to: { strides: contiguousStrides(output.shape), start: 0 },
    });
  },
  gradient({ grad, inputs: [x] }) {
    const own = [...Array<number>(grad.rank - x!.rank).fill(1), ...x!.shape];
    let dx = grad;
    // One sum for each run of neighbouring axes that were repeated.
    for (let end = 0, start = 0; start < own.length; start = end + 1) {
      end = start;
      while (end < own.length && own[end] !== grad.shape[end]) end++;
      if (end === start) continue;
      const n = sizeOf(grad.shape.slice(start, end));
      const inner = sizeOf(grad.shape.slice(end));
      dx = reduceSum(dx.view([sizeOf(own.slice(0, start)), n, inner]), 1);
    }
    return [dx.view(x!.shape)];
  },
});

/** Repeats x along axes of extent 1 and along new leading axes (torch.expand, but a copy); −1 keeps an axis. */
export const expand = (x: Tensor, shape: Shape): Tensor =>
  expandOp.apply([x], { shape: [...shape] });
