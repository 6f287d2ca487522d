/** The windows of Swin transformers (Liu et al., ICCV 2021): one copy each way. */
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { contiguousStrides, copyBox } from './strided-copy.ts';

export interface WindowPartitionOptions {
  /** Height and width of a window. */
  size: number;
}

export interface WindowReverseOptions {
  size: number;
  height: number;
  width: number;
}

/** Copies between a map [B, H, W, C] and its windows, either way. */
function move(map: Shape, size: number, x: Tensor, out: Tensor, toWindows: boolean): void {
  const [b, h, w, c] = map as [number, number, number, number];
  const [across, down] = [w / size, h / size];
  const dims = [b, down, across, size, size, c];
  const row = w * c;
  const ofMap = { strides: [h * row, size * row, size * c, row, c, 1], start: 0 };
  const ofWindows = { strides: contiguousStrides(dims), start: 0 };
  const [from, to] = toWindows ? [ofMap, ofWindows] : [ofWindows, ofMap];
  copyBox(x, out, { dims, from, to });
}

function tiles(h: number, w: number, size: number): boolean {
  return Number.isInteger(size) && size > 0 && h % size === 0 && w % size === 0;
}

export const windowPartitionOp = defineOp<WindowPartitionOptions>({
  name: 'window-partition',
  inputs: 'x [B, H, W, C]',
  output: '[B·(H/w)·(W/w), w·w, C]',
  cost: '0',
  shape([x], { size }) {
    const [b, h, w, c] = x as [number, number, number, number];
    if (x!.length !== 4 || !tiles(h, w, size)) {
      throw shapeError(
        'window-partition',
        `[B, H, W, C] with H and W multiples of ${size} (pad it first)`,
        formatShape(x!),
      );
    }
    return [(b * h * w) / size ** 2, size ** 2, c];
  },
  forward: ([x], { size }, output) => move(x!.shape, size, x!, output, true),
  gradient({ grad, inputs: [x], options: { size } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'window-partition gradient');
    move(x!.shape, size, grad, dx, false);
    return [dx];
  },
});

export const windowReverseOp = defineOp<WindowReverseOptions>({
  name: 'window-reverse',
  inputs: 'windows [B·(H/w)·(W/w), w·w, C]',
  output: '[B, H, W, C]',
  cost: '0',
  shape([x], { size, height, width }) {
    const [count, cells, c] = x as [number, number, number];
    const each = (height * width) / size ** 2;
    const fits = tiles(height, width, size) && each > 0 && count % each === 0;
    if (x!.length !== 3 || cells !== size ** 2 || !fits) {
      throw shapeError(
        'window-reverse',
        `[B·(H/w)·(W/w), w·w, C] for H ${height}, W ${width} and w ${size}`,
        formatShape(x!),
      );
    }
    return [count / each, height, width, c];
  },
  forward: ([x], { size }, output) => move(output.shape, size, x!, output, false),
  gradient({ grad, inputs: [x], options: { size } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'window-reverse gradient');
    move(grad.shape, size, grad, dx, true);
    return [dx];
  },
});

/** Cuts maps x [B, H, W, C] into windows of size × size: [B·(H/size)·(W/size), size², C], row by row. */
export const windowPartition = (x: Tensor, size: number): Tensor =>
  windowPartitionOp.apply([x], { size });

/** Puts the windows of `windowPartition` together again: [B, height, width, C]. */
export const windowReverse = (
  windows: Tensor,
  size: number,
  height: number,
  width: number,
): Tensor => windowReverseOp.apply([windows], { size, height, width });
