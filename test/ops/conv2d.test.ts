import { describe, expect, it } from 'vitest';
import type { ProductPlan } from '../../src/gpu/tuning.ts';
import { type Conv2dOptions, type ConvOptions, conv2d, conv2dOp } from '../../src/ops/conv2d.ts';
import {
  convolve,
  convolveInputGradient,
  convolveWeightGradient,
} from '../../src/ops/conv2d-kernels.ts';
import type { ConvSizes } from '../../src/ops/conv2d-sizes.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { conv2dOf } from './conv-reference.ts';
import { Random } from './nd.ts';
import { difference, proveOp, TUNINGS } from './prove.ts';

const PLAIN: Conv2dOptions = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };

function fuzz(x: Shape, weight: Shape, options: Partial<Conv2dOptions> = {}, bias = false) {
  const shapes = bias ? [x, weight, [weight[0]!]] : [x, weight];
  return { shapes, options: { ...PLAIN, ...options } };
}

proveOp({
  op: conv2dOp,
  linearIn: [0, 1],
  cases: [
    fuzz([1, 1, 1, 1], [1, 1, 1, 1]),
    fuzz([2, 5, 13, 17], [7, 5, 1, 1]),
    fuzz([2, 3, 13, 7], [9, 3, 3, 3], { padding: [1, 1] }),
    fuzz([1, 9, 11, 5], [10, 9, 3, 3], { stride: [2, 2], padding: [1, 1] }),
    fuzz([1, 7, 13, 13], [11, 7, 1, 1], { stride: [2, 2] }),
    fuzz([1, 3, 19, 23], [13, 3, 7, 7], { stride: [2, 2], padding: [3, 3] }),
    fuzz([1, 2, 9, 13], [3, 2, 5, 5], { padding: [2, 2] }),
    fuzz([1, 3, 27, 23], [9, 3, 11, 11], { stride: [4, 4], padding: [2, 2] }),
    fuzz([2, 3, 16, 16], [17, 3, 16, 16], { stride: [16, 16] }),
    fuzz([1, 1, 35, 64], [10, 1, 32, 32], { stride: [32, 32] }),
    fuzz([2, 3, 13, 11], [10, 3, 3, 3], { dilation: [2, 2], padding: [2, 2] }),
    fuzz([1, 2, 17, 13], [9, 2, 3, 2], { dilation: [3, 2], stride: [2, 3], padding: [2, 1] }),
    fuzz([3, 6, 7, 5], [20, 3, 3, 3], { groups: 2, padding: [1, 1] }),
    fuzz([2, 10, 5, 7], [10, 2, 3, 3], { groups: 5, padding: [1, 1], stride: [2, 1] }),
    fuzz([2, 5, 7, 11], [5, 1, 3, 3], { groups: 5, padding: [1, 1] }),
    fuzz([2, 3, 13, 17], [9, 1, 5, 5], { groups: 3, padding: [2, 2], stride: [2, 2] }),
    fuzz([1, 7, 13, 11], [14, 1, 7, 7], { groups: 7, padding: [3, 2], stride: [1, 2] }),
    fuzz([1, 2, 17, 13], [4, 1, 3, 3], { groups: 2, dilation: [2, 3], stride: [3, 2] }),
    fuzz([2, 2, 3, 4], [33, 2, 5, 6], { padding: [1, 1] }), // the output is one pixel
    fuzz([1, 2, 3, 2], [9, 2, 5, 4], { padding: [2, 2] }), // the kernel is larger than the image
    fuzz([2, 3, 11, 13], [9, 3, 2, 2], { stride: [4, 5] }), // some pixels are in no window
    fuzz([1, 2, 3, 5], [9, 2, 1, 1], { stride: [1, 2], padding: [3, 4] }), // some windows hold no pixel
    fuzz([2, 3, 6, 7], [9, 3, 2, 4], { padding: 'same', dilation: [1, 2] }),
    // Zeros differ from side to side, as TensorFlow's 'SAME' has them with a stride.
    fuzz([2, 5, 8, 6], [9, 5, 3, 3], {
      stride: [2, 2],
      padding: [
        [0, 1],
        [0, 1],
      ],
    }),
    fuzz([2, 3, 7, 9], [3, 1, 3, 3], {
      stride: [2, 1],
      padding: [
        [0, 2],
        [3, 1],
      ],
      groups: 3,
    }),
    fuzz([1, 67, 5, 5], [70, 67, 3, 3], { padding: [1, 1] }),
    // Planes of whole vec4s: the results are stored by fours, and their images begin anywhere in a tile.
    fuzz([3, 18, 6, 6], [22, 9, 3, 3], { groups: 2, padding: [1, 1] }),
    fuzz([5, 9, 2, 2], [10, 9, 1, 1]),
    fuzz([0, 3, 5, 5], [9, 3, 3, 3]),
    fuzz([0, 3, 5, 5], [3, 1, 3, 3], { groups: 3 }),
  ],
  // One image at a time, of odd lengths.
  splits: [
    fuzz([5, 5, 4, 7], [12, 5, 3, 3], { padding: [1, 1] }, true),
    fuzz([5, 3, 11, 13], [9, 3, 3, 3], { padding: [1, 1], stride: [2, 2] }, true),
    fuzz([4, 10, 5, 7], [10, 5, 3, 3], { padding: [1, 1], groups: 2 }),
    fuzz([7, 3, 11, 13], [6, 1, 3, 3], { padding: [1, 1], groups: 3 }, true),
  ],
  reference: conv2dOf,
});

const GROUPED: ConvSizes = {
  batch: 2,
  groups: 2,
  inputs: 10,
  outputs: 26,
  size: [9, 7],
  outSize: [5, 4],
  kernel: [3, 3],
  stride: [2, 2],
  dilation: [1, 1],
  padding: [1, 1],
};
/** More than a tile of pixels, of channels and of the window; lines of odd length, planes of whole vec4s. */
const LARGE: ConvSizes = {
  batch: 2,
  groups: 1,
  inputs: 37,
  outputs: 42,
  size: [8, 9],
  outSize: [8, 9],
  kernel: [3, 3],
  stride: [1, 1],
  dilation: [1, 1],
  padding: [1, 1],
};

describe('the convolution kernels', () => {
  // 'rows' is for adapters without subgroups of one size; 'tiled' must do for few rows as well; 'texels' is chosen for large work.
  it.each<[ProductPlan, ConvSizes]>([
    [{ kernel: 'rows', workgroup: 8 }, GROUPED],
    [{ kernel: 'tiled', threads: [16, 8], blocks: [1, 2], slice: 16 }, GROUPED],
    [{ kernel: 'tiled', threads: [8, 4], blocks: [2, 1], slice: 32 }, GROUPED],
    [{ kernel: 'tiled', threads: [4, 8], blocks: [2, 2], slice: 8 }, GROUPED],
    [{ kernel: 'texels' }, GROUPED],
    [{ kernel: 'texels' }, LARGE],
  ])('give the same as the usual ones: %j', async (choice, sizes) => {
    const device = await testDevice();
    const { batch, groups, inputs, outputs } = sizes;
    const random = new Random(2);
    const draw = (...shape: number[]) =>
      Tensor.from(
        device,
        Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
        shape,
      );
    const x = draw(batch, inputs, ...sizes.size);
    const weight = draw(outputs, inputs / groups, ...sizes.kernel);
    const bias = draw(outputs);
    const dy = draw(batch, outputs, ...sizes.outSize);
    const compute = async (kernel?: ProductPlan) => {
      const [y, dx, dw] = [dy, x, weight].map(({ shape }) => Tensor.empty(device, shape));
      convolve(x, weight, bias, y!, sizes, kernel);
      convolveInputGradient(dy, weight, null, dx!, sizes, kernel);
      convolveWeightGradient(x, dy, dw!, sizes, kernel);
      return Promise.all([y!, dx!, dw!].map((t) => t.floats()));
    };
    const usual = await compute();
    const found = await compute(choice);
    const problems = found.map((values, i) =>
      difference(values, usual[i]!, { relative: 2e-6, floor: 0 }),
    );
    expect(problems).toEqual([null, null, null]);
  });
});

describe.each(TUNINGS)('conv2d, $tuning', ({ open }) => {
  it('spreads a NaN over the windows that see it, and no further', async () => {
    const device = await open();
    const values = Array.from({ length: 2 * 25 }, (_, i) => (i === 12 ? Number.NaN : i));
    const x = Tensor.from(device, values, [1, 2, 5, 5]);
    for (const groups of [1, 2]) {
      const weight = Tensor.from(device, new Float32Array((18 * 9 * 2) / groups).fill(1), [
        18,
        2 / groups,
        3,
        3,
      ]);
      const found = await conv2d(x, weight, null, { padding: 1, groups }).floats();
      const seen = (i: number) =>
        Math.abs((i % 5) - 2) <= 1 && Math.abs(Math.floor(i / 5) - 2) <= 1;
      const mixed = groups === 1 ? 18 : 9; // output channels that see the first channel
      expect(found.findIndex((v, i) => Number.isNaN(v) !== (i < mixed * 25 && seen(i % 25)))).toBe(
        -1,
      );
    }
  });
});

describe('conv2d', () => {
  const run = async (x: Shape, weight: Shape, options: ConvOptions = {}, bias?: Shape) => {
    const device = await testDevice();
    const zeros = (shape: Shape) => Tensor.zeros(device, shape);
    return conv2d(zeros(x), zeros(weight), bias ? zeros(bias) : null, options);
  };

  it('takes numbers and pairs, as PyTorch does', async () => {
    const y = await run([2, 3, 9, 8], [4, 3, 3, 2], { stride: [2, 1], padding: 1 });
    expect(y.shape).toEqual([2, 4, 5, 9]);
    const uneven = await run([1, 3, 6, 7], [4, 3, 3, 3], {
      padding: [
        [0, 1],
        [2, 0],
      ],
    });
    expect(uneven.shape).toEqual([1, 4, 5, 7]);
    expect((await run([1, 3, 6, 7], [4, 3, 4, 3], { padding: 'same' })).shape).toEqual([
      1, 4, 6, 7,
    ]);
  });

  it('says which shapes it needs', async () => {
    await expectError(() => run([3, 9, 9], [4, 3, 3, 3]), 'shape', /expected x \[N, C, H, W\]/);
    await expectError(
      () => run([1, 6, 9, 9], [4, 6, 3, 3], { groups: 2 }),
      'shape',
      /weight \[O, 3, kH, kW\].* for 6 channels in 2 groups, found \[1, 6, 9, 9\] and \[4, 6, 3, 3\]/,
    );
    await expectError(() => run([1, 3, 9, 9], [4, 3, 3, 3], {}, [5]), 'shape', /and \[5\]/);
    await expectError(
      () => run([1, 3, 2, 9], [4, 3, 3, 3], { dilation: 2, padding: 1 }),
      'shape',
      /at least 5 x 5 pixels, padding included.*found 4 x 11/,
    );
  });

  it('says which options it needs', async () => {
    const refuse = (options: ConvOptions, text: RegExp) =>
      expectError(() => run([1, 3, 9, 9], [4, 3, 3, 3], options), 'option', text);
    await refuse({ stride: 0 }, /stride must be an integer of at least 1.*found \[0, 0\]/);
    await refuse({ padding: 0.5 }, /padding must be an integer of at least 0/);
    const uneven = [
      [0, 1],
      [0, -1],
    ] as const;
    await refuse({ padding: uneven }, /padding must be .* found \[0, -1\]/);
    await refuse({ dilation: [1, -1] }, /dilation must be/);
    await refuse(
      { groups: 2 },
      /groups must divide the 3 input and the 4 output channels, found 2/,
    );
    await refuse({ padding: 'same', stride: 2 }, /'same' needs stride 1, found \[2, 2\]/);
  });
});
