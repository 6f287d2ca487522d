/** Convolutions in float64, straight from their definitions. */

import type { ConvTranspose2dOptions } from '../../src/ops/conv-transpose2d.ts';
import type { Conv2dOptions } from '../../src/ops/conv2d.ts';
import { type Nd, nd } from './nd.ts';

type Four = [number, number, number, number];

function zeros(shape: Four): {
  array: Nd;
  index: (a: number, b: number, c: number, d: number) => number;
} {
  const [, m, h, w] = shape;
  return { array: nd(shape, () => 0), index: (a, b, c, d) => ((a * m + b) * h + c) * w + d };
}

function addBias(y: Nd, bias: Nd | undefined): Nd {
  const [, channels, h, w] = y.shape as Four;
  if (!bias) return y;
  return nd(y.shape, (i) => y.data[i]! + bias.data[Math.floor(i / (h * w)) % channels]!);
}

/** Every pair of an input pixel and an output pixel that a tap of the kernel connects. */
function connect(
  [, , height, width]: Four,
  [outputs, depth, kh, kw]: Four,
  [, , outHeight, outWidth]: Four,
  o: { stride: readonly number[]; dilation: readonly number[]; groups: number },
  [top, left]: readonly number[],
  visit: (
    output: number,
    input: number,
    tap: Four,
    pixel: [number, number],
    at: [number, number],
  ) => void,
): void {
  for (let output = 0; output < outputs; output++) {
    const group = Math.floor(output / (outputs / o.groups));
    for (let c = 0; c < depth; c++)
      for (let u = 0; u < kh; u++)
        for (let v = 0; v < kw; v++)
          for (let i = 0; i < outHeight; i++)
            for (let j = 0; j < outWidth; j++) {
              const h = i * o.stride[0]! + u * o.dilation[0]! - top!;
              const w = j * o.stride[1]! + v * o.dilation[1]! - left!;
              if (h < 0 || w < 0 || h >= height || w >= width) continue;
              visit(output, group * depth + c, [output, c, u, v], [h, w], [i, j]);
            }
  }
}

export function conv2dOf(inputs: readonly Nd[], options: Conv2dOptions): Nd {
  const [x, weight, bias] = inputs as [Nd, Nd, Nd?];
  const shape = x.shape as Four;
  const kernel = weight.shape as Four;
  const { stride, dilation, padding } = options;
  const reach = [0, 1].map((d) => dilation[d]! * (kernel[2 + d]! - 1) + 1);
  const borders = reach.map((n, d) => {
    if (padding === 'same') return [Math.floor((n - 1) / 2), Math.ceil((n - 1) / 2)];
    const sides = padding[d as 0 | 1];
    return typeof sides === 'number' ? [sides, sides] : sides;
  });
  const before = borders.map(([n]) => n!);
  const size = [0, 1].map((d) => {
    const both = borders[d]![0]! + borders[d]![1]!;
    return Math.floor((shape[2 + d]! + both - reach[d]!) / stride[d]!) + 1;
  });
  const y = zeros([shape[0], kernel[0], size[0]!, size[1]!]);
  const from = zeros(shape).index;
  const tapAt = zeros(kernel).index;
  connect(shape, kernel, y.array.shape as Four, options, before, (o, c, tap, [h, w], [i, j]) => {
    for (let n = 0; n < shape[0]; n++)
      y.array.data[y.index(n, o, i, j)]! += weight.data[tapAt(...tap)]! * x.data[from(n, c, h, w)]!;
  });
  return addBias(y.array, bias);
}

export function convTranspose2dOf(inputs: readonly Nd[], options: ConvTranspose2dOptions): Nd {
  const [x, weight, bias] = inputs as [Nd, Nd, Nd?];
  const shape = x.shape as Four;
  const kernel = weight.shape as Four;
  const { stride, dilation, padding, outputPadding, groups } = options;
  const size = [0, 1].map(
    (d) =>
      (shape[2 + d]! - 1) * stride[d]! -
      2 * padding[d]! +
      dilation[d]! * (kernel[2 + d]! - 1) +
      outputPadding[d]! +
      1,
  );
  const y = zeros([shape[0], kernel[1] * groups, size[0]!, size[1]!]);
  const from = zeros(shape).index;
  const tapAt = zeros(kernel).index;
  connect(y.array.shape as Four, kernel, shape, options, padding, (o, c, tap, [h, w], [i, j]) => {
    for (let n = 0; n < shape[0]; n++)
      y.array.data[y.index(n, c, h, w)]! += weight.data[tapAt(...tap)]! * x.data[from(n, o, i, j)]!;
  });
  return addBias(y.array, bias);
}
