import { afterAll, describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { linearTopKMean, linearTopKMeanOp } from '../../src/ops/linear-top-k-mean.ts';
import type { TopKMeanOptions } from '../../src/ops/top-k.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, Random } from './nd.ts';
import { difference, proveOp, TUNINGS } from './prove.ts';

interface Json {
  ks: number[];
  mask: number[][] | null;
}

/** Tokens far apart along a direction in which every gene looks one way or the other: small steps change no order. */
function draw(random: Random, shape: Shape, input: number): number[] {
  const [a, b = 1, d = 1] = shape as [number, number?, number?];
  if (input === 0) {
    const ranks = Array.from({ length: a }, () => random.permutation(b)).flat();
    const base = (i: number) => 0.5 * (ranks[Math.floor(i / d)]! - b / 2) + 0.1;
    return Array.from({ length: sizeOf(shape) }, (_, i) => base(i) + 0.02 * random.uniform());
  }
  if (input === 1) {
    const signs = Array.from({ length: a }, () => (random.uniform() < 0.5 ? -1 : 1));
    return Array.from(
      { length: a * b },
      (_, i) => signs[Math.floor(i / b)]! * random.uniform(0.5, 1.5),
    );
  }
  return Array.from({ length: a }, () => 0.05 * random.uniform());
}

function reference([x, weight, bias]: readonly Nd[], { ks, mask }: Json): Nd {
  const [bags, tokens, d] = x!.shape as [number, number, number];
  const genes = weight!.shape[0]!;
  return nd([bags, genes], (index) => {
    const [b, g] = [Math.floor(index / genes), index % genes];
    const valid = mask?.[b] ?? Array<number>(tokens).fill(1);
    const scores = valid.map((m, t) => {
      let s = bias!.data[g]!;
      for (let c = 0; c < d; c++)
        s += x!.data[(b * tokens + t) * d + c]! * weight!.data[g * d + c]!;
      return s * m;
    });
    scores.sort((p, q) => q - p);
    let total = 0;
    for (const k of ks) {
      const counted = valid.slice(0, k);
      const above = counted.reduce((sum, m, j) => sum + m * scores[j]!, 0);
      total +=
        above /
        Math.max(
          1,
          counted.reduce((sum, m) => sum + m, 0),
        );
    }
    return total / ks.length;
  });
}

const prefix = (counts: number[], n: number) =>
  counts.map((count) => Array.from({ length: n }, (_, t) => (t < count ? 1 : 0)));

function fuzz([bags, tokens, d, genes]: readonly [number, number, number, number], options: Json) {
  return { shapes: [[bags, tokens, d], [genes, d], [genes]], options };
}

proveOp<TopKMeanOptions, Json>({
  op: linearTopKMeanOp,
  options: ({ ks, mask }, device) => ({
    ks,
    mask: mask && Tensor.from(device, mask.flat(), [mask.length, mask[0]!.length]),
  }),
  cases: [
    fuzz([1, 1, 1, 1], { ks: [1], mask: null }),
    fuzz([2, 49, 3, 37], { ks: [1, 2, 5, 10, 20, 49], mask: null }),
    fuzz([3, 13, 5, 7], { ks: [2, 11], mask: prefix([13, 5, 0], 13) }),
    fuzz([1, 256, 2, 31], { ks: [100], mask: prefix([197], 256) }),
    fuzz([0, 5, 2, 3], { ks: [1], mask: null }),
    fuzz([2, 5, 2, 0], { ks: [1], mask: null }),
  ],
  draw,
  reference,
});

const devices: Device[] = [];
afterAll(() => {
  for (const device of devices) device.close();
});

/** Value and gradients for normal numbers. */
async function evaluate(
  device: Device,
  sizes: readonly [number, number, number, number],
  ks: number[],
) {
  const [bags, tokens, d, genes] = sizes;
  const random = new Random(17);
  const of = (...shape: number[]) =>
    Tensor.from(
      device,
      Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
      shape,
    );
  const inputs = [of(bags, tokens, d), of(genes, d), of(genes)].map((t) => Parameter.of(t));
  const [x, weight, bias] = inputs as [Parameter, Parameter, Parameter];
  const output = scope(() => {
    const result = linearTopKMean(x, weight, bias, { ks });
    backwardFrom(result, of(bags, genes));
    return result;
  });
  const found = [await output.floats()];
  for (const { grad } of inputs) found.push(await grad!.floats());
  for (const tensor of [output, ...inputs]) tensor.dispose();
  return found;
}

describe.each(TUNINGS)('linear-top-k-mean, $tuning', ({ open }) => {
  it('keeps a NaN within its gene and bag, and ignores what is not selected', async () => {
    const device = await open();
    const x = Tensor.from(device, [1, 2, Number.NaN, 4, -Infinity, 3], [2, 3, 1]);
    const weight = Tensor.from(device, [1, 2], [2, 1]);
    const y = linearTopKMean(x, weight, Tensor.zeros(device, [2]), { ks: [1] });
    expect([...(await y.floats())]).toEqual([Number.NaN, Number.NaN, 4, 8]);
  });
});

describe('linear-top-k-mean', () => {
  it('gives the same in chunks of genes, and when the weight exceeds a binding', async () => {
    const sizes = [3, 49, 64, 203] as const;
    const whole = await evaluate(await testDevice(), sizes, [1, 5, 49]);
    const bindingBytes = 64 * 4 * 3 * 49;
    const device = await Device.open({ bindingBytes });
    devices.push(device);
    expect(4 * 203 * 64).toBeGreaterThan(bindingBytes);
    const parts = await evaluate(device, sizes, [1, 5, 49]);
    for (const [i, expected] of whole.entries()) {
      // dX is added up chunk by chunk: in another order.
      expect(difference(parts[i]!, expected, { relative: 2e-6, floor: 0 })).toBeNull();
    }
  });

  it('sorts where there are many tokens', async () => {
    const device = await testDevice();
    const [bags, tokens, d, genes] = [2, 300, 3, 5];
    const random = new Random(4);
    const options = { ks: [10, 300], mask: prefix([300, 40], tokens) };
    const shapes = [[bags, tokens, d], [genes, d], [genes]];
    const inputs = shapes.map((shape, i) => ({
      shape,
      data: Float64Array.from(Float32Array.from(draw(random, shape, i))),
    }));
    const [x, weight, bias] = inputs.map(({ shape, data }) =>
      Tensor.from(device, Float32Array.from(data), shape),
    );
    const mask = Tensor.from(device, options.mask.flat(), [bags, tokens]);
    const found = await linearTopKMean(x!, weight!, bias!, { ks: options.ks, mask }).floats();
    const expected = reference(inputs, options);
    expect(difference(found, expected.data, { relative: 1e-5, floor: 0 })).toBeNull();
  });

  it('refuses what does not fit', async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
    const call =
      (options: TopKMeanOptions, bias = 4) =>
      () =>
        linearTopKMean(zeros(2, 5, 3), zeros(4, 3), zeros(bias), options);
    await expectError(
      call({ ks: [1] }, 3),
      'shape',
      /x \[B, T, d\], weight \[G, d\] and bias \[G\], found \[2, 5, 3\] and \[4, 3\] and \[3\]/,
    );
    await expectError(
      call({ ks: [6] }),
      'option',
      /linear-top-k-mean: expected k from 1 to 5, .* found 6/,
    );
    await expectError(
      call({ ks: [1], mask: zeros(2, 3) }),
      'shape',
      /a mask \[2, 5\], found \[2, 3\]/,
    );
  });
});
