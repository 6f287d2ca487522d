import { describe, expect, it } from 'vitest';
import { modulatedConv2d } from '../../src/ops/modulated-conv2d.ts';
import type { Op } from '../../src/ops/op.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { conv2dOf, convTranspose2dOf } from './conv-reference.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp } from './prove.ts';

interface Options {
  demodulate: boolean;
  up: boolean;
}

const modulatedConv2dOp: Op<Options> = {
  name: 'modulated-conv2d',
  apply: ([x, weight, style], options) => modulatedConv2d(x!, weight!, style!, options),
};

const PLAIN = { padding: [0, 0], dilation: [1, 1], groups: 1 } as const;

/** The definition: each sample is convolved with a weight of its own. */
function reference([x, weight, style]: readonly Nd[], { demodulate, up }: Options): Nd {
  const [batch, c, h, w] = x!.shape as [number, number, number, number];
  const [o, , k] = weight!.shape as [number, number, number];
  const images = Array.from({ length: batch }, (_, n) => {
    const size = c * k * k;
    const own = nd(
      weight!.shape,
      (i) => weight!.data[i]! * style!.data[n * c + (Math.floor(i / k / k) % c)]!,
    );
    const lengths = Array.from({ length: o }, (_, row) =>
      Math.sqrt(
        own.data.subarray(row * size, (row + 1) * size).reduce((sum, v) => sum + v * v, 1e-8),
      ),
    );
    const scaled = nd(
      own.shape,
      (i) => own.data[i]! / (demodulate ? lengths[Math.floor(i / size)]! : 1),
    );
    const image = nd([1, c, h, w], (i) => x!.data[n * c * h * w + i]!);
    const half = Math.floor(k / 2);
    if (!up) return conv2dOf([image, scaled], { ...PLAIN, stride: [1, 1], padding: [half, half] });
    const turned = nd([c, o, k, k], (i) => {
      const [tap, out, from] = [i % (k * k), Math.floor(i / k / k) % o, Math.floor(i / k / k / o)];
      return scaled.data[(out * c + from) * k * k + tap]!;
    });
    return convTranspose2dOf([image, turned], { ...PLAIN, stride: [2, 2], outputPadding: [0, 0] });
  });
  const each = images[0]!;
  const shape = [batch, ...each.shape.slice(1)];
  return nd(shape, (i) => images[Math.floor(i / each.data.length)]!.data[i % each.data.length]!);
}

proveOp({
  op: modulatedConv2dOp,
  cases: [
    { x: [1, 1, 1, 1], weight: [1, 1, 1, 1], demodulate: false, up: false },
    { x: [3, 2, 7, 5], weight: [3, 2, 1, 1], demodulate: false, up: false },
    { x: [2, 5, 5, 7], weight: [9, 5, 3, 3], demodulate: true, up: false },
    { x: [2, 3, 3, 5], weight: [10, 3, 3, 3], demodulate: true, up: true },
  ].map(({ x, weight, ...options }) => ({ shapes: [x, weight, x.slice(0, 2)], options })),
  reference,
});

describe('modulated-conv2d', () => {
  it('survives a style of zeros', async () => {
    const device = await testDevice();
    const ones = (shape: Shape, size: number) =>
      Tensor.from(device, new Float32Array(size).fill(1), shape);
    const y = modulatedConv2d(
      ones([1, 2, 2, 2], 8),
      ones([3, 2, 3, 3], 54),
      Tensor.zeros(device, [1, 2]),
    );
    expect([...(await y.floats())]).toEqual(Array(12).fill(0));
  });

  it('says which shapes it needs', async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
    await expectError(
      () => modulatedConv2d(zeros(2, 3, 5, 5), zeros(4, 3, 3, 3), zeros(1, 3)),
      'shape',
      /modulated-conv2d: expected x \[N, C, H, W\].*found \[2, 3, 5, 5\] and \[4, 3, 3, 3\] and \[1, 3\]/,
    );
    await expectError(
      () => modulatedConv2d(zeros(2, 3, 5, 5), zeros(4, 3, 3, 5), zeros(2, 3)),
      'shape',
      /weight \[O, C, k, k\].*\[4, 3, 3, 5\]/,
    );
  });
});
