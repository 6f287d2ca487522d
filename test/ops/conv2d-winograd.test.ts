/** Winograd's algorithm against the kernels that multiply the windows themselves, and float64. It is chosen for large work only. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import {
  convolve,
  convolveInputGradient,
  convolveWeightGradient,
} from '../../src/ops/conv2d-kernels.ts';
import type { ConvSizes, Pair } from '../../src/ops/conv2d-sizes.ts';
import {
  suitsWinograd,
  winogradForward,
  winogradInputGradient,
  winogradWeightGradient,
} from '../../src/ops/conv2d-winograd.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';
import { conv2dOf } from './conv-reference.ts';
import { dot, nd, norm, Random } from './nd.ts';
import { difference } from './prove.ts';

function sizesOf(
  [batch, inputs, ...size]: readonly [number, number, number, number],
  outputs: number,
  padding: Pair,
): ConvSizes {
  const outSize: Pair = [size[0] + 2 * padding[0] - 2, size[1] + 2 * padding[1] - 2];
  const plain = { groups: 1, kernel: [3, 3], stride: [1, 1], dilation: [1, 1] } as const;
  return { batch, inputs, outputs, size, outSize, padding, ...plain };
}

/** Normal numbers for x, weight, bias and dy. */
function draw({ batch, inputs, outputs, size, outSize }: ConvSizes, seed: number) {
  const random = new Random(seed);
  const make = (shape: Shape) => ({
    shape,
    data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  });
  return {
    x: make([batch, inputs, ...size]),
    weight: make([outputs, inputs, 3, 3]),
    bias: make([outputs]),
    dy: make([batch, outputs, ...outSize]),
  };
}

const WINOGRAD = {
  forward: winogradForward,
  inputGradient: winogradInputGradient,
  weightGradient: winogradWeightGradient,
};

type Algorithm = typeof WINOGRAD;

/** With a choice of the kernel the windows themselves are multiplied. */
const WINDOWS: Algorithm = {
  forward: (...args) => convolve(...args, { kernel: 'subgroup' }),
  inputGradient: (...args) => convolveInputGradient(...args, { kernel: 'subgroup' }),
  weightGradient: (...args) => convolveWeightGradient(...args, { kernel: 'subgroup' }),
};

async function compute(
  device: Device,
  sizes: ConvSizes,
  { x, weight, bias, dy }: ReturnType<typeof draw>,
  { forward, inputGradient, weightGradient }: Algorithm,
) {
  const [a, w, b, g] = [x, weight, bias, dy].map(({ data, shape }) =>
    Tensor.from(device, data, shape),
  ) as [Tensor, Tensor, Tensor, Tensor];
  const [y, dx, dw] = [g, a, w].map(({ shape }) => Tensor.empty(device, shape)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  forward(a, w, b, y, sizes);
  inputGradient(g, w, null, dx, sizes);
  weightGradient(a, g, dw, sizes);
  return {
    y: await y.floats(),
    dx: await dx.floats(),
    dw: await dw.floats(),
  };
}

/** Images whose sides are a whole number of tiles, and not; whose lines are whole vec4s, and not. */
const CASES = [
  sizesOf([2, 8, 8, 8], 12, [1, 1]),
  sizesOf([1, 4, 3, 3], 4, [0, 0]),
  sizesOf([3, 12, 7, 7], 36, [1, 1]),
  sizesOf([2, 36, 5, 14], 8, [1, 1]),
  sizesOf([2, 4, 14, 5], 40, [2, 2]),
  sizesOf([1, 20, 9, 18], 16, [0, 1]),
  sizesOf([5, 16, 1, 2], 8, [2, 1]),
  sizesOf([1, 8, 6, 13], 4, [2, 0]),
  sizesOf([1, 8, 2, 3], 4, [5, 4]), // some windows hold no pixel
];

describe("convolutions by Winograd's algorithm", () => {
  it.each(CASES)('are those of the windows: %j', async (sizes) => {
    const device = await testDevice();
    const numbers = draw(sizes, 1);
    const found = await compute(device, sizes, numbers, WINOGRAD);
    const expected = await compute(device, sizes, numbers, WINDOWS);
    const allowance = { relative: 4e-6, floor: 0 };
    expect([
      difference(found.y, expected.y, allowance),
      difference(found.dx, expected.dx, allowance),
      difference(found.dw, expected.dw, allowance),
    ]).toEqual([null, null, null]);
  });

  it('have gradients that belong to what is computed', async () => {
    const sizes = sizesOf([2, 24, 10, 11], 20, [1, 1]);
    const numbers = draw(sizes, 2);
    const { y, dx, dw } = await compute(await testDevice(), sizes, numbers, WINOGRAD);
    const { x, weight, bias, dy } = numbers;
    const [height, width] = sizes.outSize;
    const plane = height * width;
    const linear = y.map((v, i) => v - bias.data[Math.floor(i / plane) % sizes.outputs]!);
    const allowed = 1e-6 * norm(dy.data) * norm(linear);
    const expected = dot(dy.data, linear);
    expect(Math.abs(dot(dx, x.data) - expected)).toBeLessThan(allowed);
    expect(Math.abs(dot(dw, weight.data) - expected)).toBeLessThan(allowed);
  });

  it('round about twice as much as the windows do', async () => {
    const sizes = sizesOf([1, 128, 12, 12], 8, [1, 1]);
    const numbers = draw(sizes, 3);
    const { x, weight, bias } = numbers;
    const exact = conv2dOf(
      [x, weight, bias].map(({ shape, data }) => nd(shape, (i) => data[i]!)),
      { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 },
    ).data;
    const device = await testDevice();
    const error = async (algorithm: Algorithm) => {
      const { y } = await compute(device, sizes, numbers, algorithm);
      return norm(y.map((v, i) => v - exact[i]!)) / norm(exact);
    };
    const windows = await error(WINDOWS);
    const winograd = await error(WINOGRAD);
    expect(windows).toBeLessThan(6e-7);
    expect(winograd).toBeLessThan(1.2e-6);
  });

  it.each([
    [sizesOf([5, 16, 15, 18], 16, [1, 1]), 2 ** 20], // a tensor is bound whole, its tiles are not
    [sizesOf([9, 4, 28, 28], 4, [1, 1]), 2 ** 19], // nor are tensors; whole vec4s
    [sizesOf([9, 4, 27, 25], 4, [1, 1]), 2 ** 19],
  ])(
    'take a part of the batch at a time where bindings are small: %j',
    async (sizes, bindingBytes) => {
      const numbers = draw(sizes, 4);
      const device = await Device.open({ bindingBytes });
      const found = await compute(device, sizes, numbers, WINOGRAD);
      const expected = await compute(await testDevice(), sizes, numbers, WINOGRAD);
      expect(found.y).toEqual(expected.y);
      expect(found.dx).toEqual(expected.dx);
      // Its sum over all tiles is cut, so that it rounds as differently as between the algorithms above.
      expect(difference(found.dw, expected.dw, { relative: 4e-6, floor: 0 })).toBeNull();
      device.close();
    },
  );

  it('spread a NaN over the tiles that see it, and no further', async () => {
    const sizes = sizesOf([2, 4, 12, 12], 4, [1, 1]);
    const numbers = draw(sizes, 5);
    numbers.x.data[5 * 12 + 6] = Number.NaN; // the windows of rows and columns 4 to 7 see it
    const { y } = await compute(await testDevice(), sizes, numbers, WINOGRAD);
    const inTile = (i: number) => {
      const [row, column] = [Math.floor(i / 12) % 12, i % 12];
      return i < 4 * 144 && row >> 2 === 1 && column >> 2 === 1;
    };
    expect(y.findIndex((v, i) => Number.isNaN(v) !== inTile(i))).toBe(-1);
  });
});

const PASSES = ['forward', 'input gradient', 'weight gradient'] as const;

describe('suitsWinograd', () => {
  it('wants many channels, and for pixels many tiles', async () => {
    const device = await testDevice('cpu');
    const here = device.subgroupSize === 8; // where products read textures
    const all = (sizes: ConvSizes) => PASSES.map((what) => suitsWinograd(device, sizes, what));
    const usual = sizesOf([8, 64, 56, 56], 64, [1, 1]);
    expect(all(usual)).toEqual([here, here, here]);
    expect(all(sizesOf([1, 512, 7, 7], 512, [1, 1]))).toEqual([false, false, here]);
    for (const sizes of [
      sizesOf([8, 32, 56, 56], 32, [1, 1]),
      sizesOf([8, 66, 56, 56], 64, [1, 1]),
      sizesOf([0, 64, 56, 56], 64, [1, 1]),
      { ...usual, stride: [2, 2], outSize: [28, 28] } as const,
      { ...usual, dilation: [2, 2], padding: [2, 2] } as const,
      { ...usual, kernel: [1, 3] } as const,
      { ...usual, groups: 2 },
      sizesOf([1, 2048, 56, 56], 2048, [1, 1]), // 604 MB of weights
    ]) {
      expect(all(sizes)).toEqual([false, false, false]);
    }
  });

  it('goes by the images that a pass tiles', async () => {
    const device = await testDevice('cpu');
    const here = device.subgroupSize === 8;
    const side = (pixels: number) => sizesOf([1, 64, pixels, pixels], 64, [0, 0]);
    const suits = (sizes: ConvSizes) => PASSES.map((what) => suitsWinograd(device, sizes, what));
    const bytes = (pixels: number) => 4 * 36 * 64 * Math.ceil(pixels / 4) ** 2;
    const most = Math.min(device.texelBytes, device.bindingBytes / 2) - 4 * 36 * 1024;
    const outSide = 4 * Math.floor(Math.sqrt(most / (4 * 36 * 64)));
    expect(bytes(outSide)).toBeLessThanOrEqual(most);
    expect(bytes(outSide + 2)).toBeGreaterThan(most);
    expect(suits(side(outSide + 2))).toEqual([here, false, here]); // x has 2 pixels more than y
    expect(suits(side(outSide))).toEqual([here, here, here]);
  });

  it('is for CPU rasterisers', async () => {
    const device = await testDevice('gpu');
    expect(suitsWinograd(device, sizesOf([8, 64, 56, 56], 64, [1, 1]), 'forward')).toBe(false);
  });
});
