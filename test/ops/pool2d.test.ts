import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import type { PairLike } from '../../src/ops/conv2d-sizes.ts';
import {
  type AvgPool2dOptions,
  adaptiveAvgPool2dOp,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dOp,
  avgPool2d,
  avgPool2dOp,
  globalAvgPool2d,
  type MaxPool2dOptions,
  maxPool2d,
  maxPool2dOp,
} from '../../src/ops/pool2d.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, type Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

type Options = AvgPool2dOptions & MaxPool2dOptions;

const both = (pair: PairLike): readonly [number, number] =>
  typeof pair === 'number' ? [pair, pair] : pair;

/** The places that each output of one direction sees, those in the padding included. */
function fixedPlaces(options: Options, d: 0 | 1, size: number): number[][] {
  const { kernelSize, padding = 0, dilation = 1, ceilMode = false } = options;
  const [k, s, p, step] = [kernelSize, options.stride ?? kernelSize, padding, dilation].map(
    (pair) => both(pair)[d],
  ) as [number, number, number, number];
  const found: number[][] = [];
  // A window is whole, or in ceil mode at least begins before the padding at the end.
  for (let begin = -p; begin < size + p; begin += s) {
    const places = Array.from({ length: k }, (_, j) => begin + j * step);
    const whole = places.at(-1)! < size + p;
    const missing =
      ceilMode && begin < size && found.length > 0 && begin - s + (k - 1) * step < size + p - 1;
    if (whole || missing) found.push(places.filter((i) => i < size + p));
  }
  return found;
}

function adaptivePlaces(outputs: number, size: number): number[][] {
  return Array.from({ length: outputs }, (_, o) => {
    const [begin, end] = [Math.floor((o * size) / outputs), Math.ceil(((o + 1) * size) / outputs)];
    return Array.from({ length: end - begin }, (_, i) => begin + i);
  });
}

/** `pool` of the values of each window; null stands for the padding. */
function pooled(
  x: Nd,
  lines: readonly number[][],
  columns: readonly number[][],
  pool: (values: (number | null)[]) => number,
): Nd {
  const [samples, channels, height, width] = x.shape as [number, number, number, number];
  const shape = [samples, channels, lines.length, columns.length];
  return nd(shape, (i) => {
    const column = columns[i % columns.length]!;
    const line = lines[Math.floor(i / columns.length) % lines.length]!;
    const plane = Math.floor(i / (columns.length * lines.length)) * height * width;
    const inside = (y: number, x: number) => y >= 0 && y < height && x >= 0 && x < width;
    return pool(
      line.flatMap((py) =>
        column.map((px) => (inside(py, px) ? x.data[plane + py * width + px]! : null)),
      ),
    );
  });
}

const largest = (values: (number | null)[]) =>
  Math.max(...values.map((v) => (v === null ? -Infinity : v)));

function mean(values: (number | null)[], countPadding = true): number {
  const total = values.reduce<number>((sum, v) => sum + (v ?? 0), 0);
  return total / (countPadding ? values.length : values.filter((v) => v !== null).length);
}

function fixed(pool: (values: (number | null)[], options: Options) => number) {
  return ([x]: readonly Nd[], options: Options): Nd =>
    pooled(
      x!,
      fixedPlaces(options, 0, x!.shape[2]!),
      fixedPlaces(options, 1, x!.shape[3]!),
      (values) => pool(values, options),
    );
}

function adaptive(pool: (values: (number | null)[]) => number) {
  return ([x]: readonly Nd[], { outputSize }: { outputSize: PairLike }): Nd => {
    const [height, width] = both(outputSize);
    return pooled(
      x!,
      adaptivePlaces(height, x!.shape[2]!),
      adaptivePlaces(width, x!.shape[3]!),
      pool,
    );
  };
}

const fixedCases: { shapes: Shape[]; options: Options }[] = [
  { shapes: [[2, 3, 1, 1]], options: { kernelSize: 1 } },
  { shapes: [[1, 2, 49, 31]], options: { kernelSize: 3, stride: 2, padding: 1 } },
  { shapes: [[4, 17, 5, 9]], options: { kernelSize: 3, stride: 2, padding: 1 } }, // many planes
  { shapes: [[3, 1, 17, 197]], options: { kernelSize: 2, stride: 2 } },
  { shapes: [[1, 5, 7, 12]], options: { kernelSize: [5, 2], stride: [1, 3], padding: [2, 1] } },
  { shapes: [[1, 3, 8, 11]], options: { kernelSize: 3, stride: 2, padding: 1, ceilMode: true } },
  { shapes: [[1, 1, 7, 10]], options: { kernelSize: 2, stride: 4 } },
  { shapes: [[0, 3, 5, 5]], options: { kernelSize: 3 } },
];

/** Whose planes do not begin where a binding may. */
const manyPlanes = { shapes: [[20, 7, 5, 3]], options: { kernelSize: 3, stride: 2, padding: 1 } };
const manyAdaptive = [2, 1].map((outputSize) => ({
  shapes: [[20, 7, 5, 3]],
  options: { outputSize },
}));

/** No two values so close that a difference of 0.01 along a direction could exchange them. */
function distinct(random: Random, shape: Shape): Float32Array {
  const count = sizeOf(shape);
  return Float32Array.from(random.permutation(count), (v) => (v - count / 2) * 0.25);
}

proveOp({
  op: maxPool2dOp,
  cases: [
    ...fixedCases,
    {
      shapes: [[1, 2, 13, 9]],
      options: { kernelSize: 3, stride: 2, padding: 1, dilation: [3, 2] },
    },
  ],
  splits: [manyPlanes],
  reference: fixed(largest),
  draw: distinct,
});

proveOp({
  op: avgPool2dOp,
  cases: [
    ...fixedCases,
    ...fixedCases.slice(1, 5).map(({ shapes, options }) => ({
      shapes,
      options: { ...options, countIncludePad: false },
    })),
  ],
  splits: [manyPlanes],
  reference: fixed((values, { countIncludePad }) => mean(values, countIncludePad)),
  linearIn: [0],
});

const adaptiveCases: { shapes: Shape[]; options: { outputSize: PairLike } }[] = [
  { shapes: [[2, 3, 7, 7]], options: { outputSize: 1 } },
  { shapes: [[1, 2, 112, 113]], options: { outputSize: 1 } },
  { shapes: [[1, 3, 31, 14]], options: { outputSize: 7 } },
  { shapes: [[1, 2, 5, 13]], options: { outputSize: [7, 4] } },
  { shapes: [[0, 2, 4, 4]], options: { outputSize: 2 } },
];

proveOp({
  op: adaptiveMaxPool2dOp,
  cases: adaptiveCases,
  splits: manyAdaptive,
  reference: adaptive(largest),
  draw: distinct,
});

proveOp({
  op: adaptiveAvgPool2dOp,
  cases: adaptiveCases,
  splits: manyAdaptive,
  reference: adaptive((values) => mean(values)),
  linearIn: [0],
});

describe.each(TUNINGS)('pooling, $tuning', ({ open }) => {
  it('lets a NaN be the maximum, and gives it the gradient', async () => {
    const values = Array.from({ length: 16 }, (_, i) => (i === 5 ? Number.NaN : i));
    const x = Parameter.of(Tensor.from(await open(), values, [1, 1, 4, 4]));
    const y = scope(() => {
      const y = maxPool2d(x, 2);
      backwardFrom(y, Tensor.from(x.device, [1, 2, 3, 4], y.shape));
      return y;
    });
    expect([...(await y.floats())]).toEqual([Number.NaN, 7, 13, 15]);
    const expected = new Float32Array(16);
    [5, 7, 13, 15].forEach((place, i) => {
      expected[place] = i + 1;
    });
    expect(await x.grad!.floats()).toEqual(expected);
  });

  it('pads the maximum with nothing, and gives ties to the first', async () => {
    const x = Parameter.of(Tensor.from(await open(), [-Infinity, -2, -2, -3], [1, 1, 2, 2]));
    const y = scope(() => {
      const y = maxPool2d(x, 2, { stride: 1, padding: 1 });
      backwardFrom(y, Tensor.from(x.device, new Float32Array(9).fill(1), y.shape));
      return y;
    });
    expect([...(await y.floats())]).toEqual([-Infinity, -2, -2, -2, -2, -2, -2, -2, -3]);
    expect([...(await x.grad!.floats())]).toEqual([1, 4, 3, 1]);
  });

  it('takes the mean of whole planes', async () => {
    const x = Tensor.from(await open(), [1, 2, 3, 4, -1, -2, 5, Number.NaN], [1, 2, 2, 2]);
    const y = globalAvgPool2d(x);
    expect(y.shape).toEqual([1, 2]);
    expect([...(await y.floats())]).toEqual([2.5, Number.NaN]);
  });
});

describe('pooling', () => {
  it('says which windows fit', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [1, 1, 4, 4]);
    const few = /max-pool2d: expected images that hold windows of \[5, 5\].*found \[1, 1, 4, 4\]/;
    await expectError(() => maxPool2d(x, 5), 'shape', few);
    await expectError(() => maxPool2d(x, 3, { padding: 2, dilation: 5 }), 'option', /padding 2/);
    const apart = { padding: 1, dilation: 5, stride: 1 };
    await expectError(() => maxPool2d(x, 2, apart), 'shape', /dilation \[5, 5\]/);
    await expectError(
      () => avgPool2d(x, 2, { stride: 0 }),
      'option',
      /stride must be an integer of at least 1/,
    );
    await expectError(() => avgPool2d(Tensor.zeros(device, [4, 4]), 2), 'shape', /found \[4, 4\]/);
  });

  it('refuses sizes that its arithmetic does not hold', async () => {
    const device = await testDevice();
    const long = Tensor.zeros(device, [1, 1, 1, 2 ** 19]);
    await expectError(() => maxPool2d(long, 1), 'shape', /strides below 524288 pixels/);
    const below = Tensor.zeros(device, [1, 1, 1, 2 ** 16 - 1]);
    await expectError(
      () => adaptiveMaxPool2d(below, [1, 2 ** 15]),
      'shape',
      /the result \(1 x 32768\) are below 2\^31, found \[1, 1, 1, 65535\]/,
    );
    // The largest that are allowed: the last window is where the products are largest.
    const values = Float32Array.from({ length: 2 ** 16 - 1 }, (_, i) => i);
    const x = Tensor.from(device, values, [1, 1, 1, 2 ** 16 - 1]);
    const found = await adaptiveMaxPool2d(x, [1, 2 ** 15 - 1]).floats();
    expect(found.at(-1)).toBe(2 ** 16 - 2);
    expect(found.findIndex((v, i) => v !== Math.ceil(((i + 1) * 65535) / 32767) - 1)).toBe(-1);
  });
});
