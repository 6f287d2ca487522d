import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { type BatchNormOptions, batchNorm, batchNormOp } from '../../src/ops/batch-norm.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, Random } from './nd.ts';
import { difference, type FuzzCase, proveOp, TUNINGS } from './prove.ts';

/** Options as they stand in the goldens. */
interface Json extends Omit<BatchNormOptions, 'runningMean' | 'runningVar'> {
  runningMean: number[] | null;
  runningVar: number[] | null;
}

const TRAINING = { training: true, momentum: 0.1, eps: 1e-5, runningMean: null, runningVar: null };

function evaluation(channels: number): Json {
  const runningMean = Array.from({ length: channels }, (_, c) => Math.fround(0.3 * c - 1));
  const runningVar = Array.from({ length: channels }, (_, c) => Math.fround(0.5 + (c % 5)));
  return { training: false, momentum: 0.1, eps: 1e-3, runningMean, runningVar };
}

/** The values of channel c of x [N, C, ...], by flat index. */
function channelIndices({ shape }: Nd, c: number): number[] {
  const [samples, channels] = shape as [number, number];
  const positions = sizeOf(shape.slice(2));
  const found: number[] = [];
  for (let n = 0; n < samples; n++)
    for (let p = 0; p < positions; p++) found.push((n * channels + c) * positions + p);
  return found;
}

function momentsOf(x: Nd, c: number): { mean: number; squares: number; count: number } {
  const values = channelIndices(x, c).map((i) => x.data[i]!);
  const mean = values.reduce((total, v) => total + v, 0) / values.length;
  const squares = values.reduce((total, v) => total + (v - mean) ** 2, 0);
  return { mean, squares, count: values.length };
}

function reference([x, weight, bias]: readonly Nd[], options: Json): Nd {
  const data = new Float64Array(x!.data.length);
  for (let c = 0; c < x!.shape[1]!; c++) {
    const { mean: batchMean, squares, count } = momentsOf(x!, c);
    const mean = options.training ? batchMean : options.runningMean![c]!;
    const variance = options.training ? squares / count : options.runningVar![c]!;
    for (const i of channelIndices(x!, c)) {
      const h = (x!.data[i]! - mean) / Math.sqrt(variance + options.eps);
      data[i] = h * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
    }
  }
  return { shape: x!.shape, data };
}

function affine(shape: Shape, options: Json): FuzzCase<Json> {
  const c = shape[1]!;
  return { shapes: [shape, [c], [c]], options };
}

proveOp({
  op: batchNormOp,
  options: ({ runningMean, runningVar, ...rest }: Json, device): BatchNormOptions => ({
    ...rest,
    runningMean: runningMean && Tensor.from(device, runningMean),
    runningVar: runningVar && Tensor.from(device, runningVar),
  }),
  cases: [
    affine([7, 1], TRAINING),
    affine([197, 64], TRAINING),
    affine([49, 197], TRAINING),
    affine([3, 3, 1031], TRAINING), // a run longer than the block of a thread
    affine([5, 3, 7, 7], TRAINING),
    affine([4, 1, 8, 16], TRAINING),
    affine([2, 3, 70, 70], TRAINING), // several runs to a plane
    affine([0, 3, 2, 2], TRAINING),
    affine([3, 2, 0], evaluation(2)),
    affine([5, 3, 7, 7], evaluation(3)),
    affine([1, 64], evaluation(64)),
    affine([2, 197, 4], evaluation(197)),
    { shapes: [[3, 2, 6]], options: TRAINING },
  ],
  splits: [
    affine([9, 5, 8, 8], TRAINING),
    affine([150, 2, 7], TRAINING),
    affine([197, 16], evaluation(16)),
  ],
  reference,
});

describe.each(TUNINGS)('batch-norm, $tuning', ({ open }) => {
  const make = async (shape: Shape, value: (random: Random, i: number) => number) => {
    const random = new Random(11);
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => value(random, i));
    const x: Nd = { shape, data: Float64Array.from(data) };
    return { device: await open(), x, input: (device: Device) => Tensor.from(device, data, shape) };
  };

  it('normalises two values per channel', async () => {
    const { device, x, input } = await make([2, 5], (random) => random.normal());
    const y = batchNorm(input(device), null, null, TRAINING);
    const allowance = { relative: 1e-5, floor: 0 };
    expect(difference(await y.floats(), reference([x], TRAINING).data, allowance)).toBeNull();
  });

  // Merging must not lose the first values, however far off: each is the shift of its whole block.
  it.each([
    ['nearly constant around 1000', () => 1000],
    ['an outlier first', (i: number) => (i === 0 ? 0 : 1000)],
    ['means that differ between samples', (i: number) => (i < 3000 ? 1000 : 1000.25)],
  ])('has exact statistics: %s', async (_, centre) => {
    const { device, x, input } = await make(
      [3, 1, 60, 50],
      (random, i) => centre(i) + 0.01 * random.normal(),
    );
    const mean = Tensor.zeros(device, [1]);
    const variance = Tensor.from(device, [1]);
    const options = { ...TRAINING, runningMean: mean, runningVar: variance };
    const y = batchNorm(input(device), null, null, options);
    const expected = reference([x], TRAINING).data;
    expect(difference(await y.floats(), expected, { relative: 1e-5, floor: 2e-6 })).toBeNull();
    const { mean: m, squares, count } = momentsOf(x, 0);
    expect(Math.abs((await mean.item()) / (0.1 * m) - 1)).toBeLessThan(1e-6);
    expect(
      Math.abs((await variance.item()) / (0.9 + (0.1 * squares) / (count - 1)) - 1),
    ).toBeLessThan(1e-5);
  });

  it('moves the running statistics at each call', async () => {
    const { device, x, input } = await make([5, 3, 4, 4], (random, i) => random.normal() + i / 100);
    const mean = Tensor.from(device, [1, -2, 3]);
    const variance = Tensor.from(device, [1, 2, 0.5]);
    const options = { ...TRAINING, momentum: 0.25, runningMean: mean, runningVar: variance };
    const before = [
      [1, -2, 3],
      [1, 2, 0.5],
    ] as const;
    batchNorm(input(device), null, null, options);
    batchNorm(input(device), null, null, options);
    for (let c = 0; c < 3; c++) {
      const { mean: m, squares, count } = momentsOf(x, c);
      const moved = (old: number, now: number) => 0.75 * (0.75 * old + 0.25 * now) + 0.25 * now;
      expect((await mean.floats())[c]).toBeCloseTo(moved(before[0][c]!, m), 5);
      expect((await variance.floats())[c]).toBeCloseTo(
        moved(before[1][c]!, squares / (count - 1)),
        5,
      );
    }
    batchNorm(input(device), null, null, { ...options, training: false });
    batchNorm(Tensor.zeros(device, [0, 3, 4, 4]), null, null, options);
    expect((await mean.floats())[0]).toBeCloseTo(0.75 ** 2 + 0.4375 * momentsOf(x, 0).mean, 5);
  });

  it('keeps a NaN within its channel', async () => {
    const { device, input } = await make([3, 2, 49], (random, i) =>
      i === 60 ? Number.NaN : random.normal(),
    );
    const runningMean = Tensor.zeros(device, [2]);
    const runningVar = Tensor.from(device, [1, 1]);
    const y = batchNorm(input(device), null, null, { ...TRAINING, runningMean, runningVar });
    const found = await y.floats();
    const at = (c: number) => channelIndices({ shape: y.shape, data: new Float64Array() }, c);
    expect(at(0).some((i) => Number.isNaN(found[i]!))).toBe(false);
    expect(at(1).every((i) => Number.isNaN(found[i]!))).toBe(true);
    for (const statistic of [runningMean, runningVar])
      expect([...(await statistic.floats())].map(Number.isNaN)).toEqual([false, true]);
  });
});

describe('batch-norm', () => {
  const options = { training: true };

  it('needs more than one value per channel when training', async () => {
    const x = Tensor.zeros(await testDevice(), [1, 3, 1, 1]);
    const text = /expected more than 1 value per channel when training, found \[1, 3, 1, 1\]/;
    await expectError(() => batchNorm(x, null, null, options), 'shape', text);
  });

  it('needs a weight, a bias and statistics for each channel', async () => {
    const device = await testDevice();
    const [x, three, four] = [[2, 3, 5], [3], [4]].map((shape) => Tensor.zeros(device, shape));
    const wrong = /x \[N, C, \.\.\.\] with weight \[C\].*found \[2, 3, 5\] and \[3\] and \[4\]/;
    await expectError(() => batchNorm(x!, three!, four!, options), 'shape', wrong);
    await expectError(() => batchNorm(x!, three!, null, options), 'shape', /or neither/);
    await expectError(() => batchNorm(three!, null, null, options), 'shape', /found \[3\]/);
    const statistics = { runningMean: three!, runningVar: four! };
    await expectError(
      () => batchNorm(x!, null, null, statistics),
      'shape',
      /running statistics of shape \[3\], found \[4\]/,
    );
  });

  it('needs running statistics in evaluation', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(() => batchNorm(x, null, null, {}), 'option', /Give runningMean/);
  });
});
