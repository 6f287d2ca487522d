import { describe, expect, it } from 'vitest';
import { ganDiscriminatorLoss, ganGeneratorLoss } from '../../src/ops/gan-loss.ts';
import type { Op } from '../../src/ops/op.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp } from './prove.ts';

type None = Record<string, never>;

const generatorOp: Op<None> = {
  name: 'gan-generator',
  apply: ([fake]) => ganGeneratorLoss(fake!),
};
const discriminatorOp: Op<None> = {
  name: 'gan-discriminator',
  apply: ([real, fake]) => ganDiscriminatorLoss(real!, fake!),
};

/** Mean of −log σ(sign · x). */
const surprise = ({ data }: Nd, sign: number) =>
  data.reduce((t, v) => t - Math.log(1 / (1 + Math.exp(-sign * v))), 0) / data.length;

const SHAPES = [[1], [13, 1], [7, 31], [2, 3, 5, 7]];

proveOp({
  op: generatorOp,
  cases: SHAPES.map((shape) => ({ shapes: [shape], options: {} })),
  reference: ([fake]) => nd([], () => surprise(fake!, 1)),
});

proveOp({
  op: discriminatorOp,
  cases: [
    ...SHAPES.map((shape) => [shape, shape]),
    [
      [5, 1],
      [3, 1],
    ],
  ].map((shapes) => ({
    shapes,
    options: {},
  })),
  reference: ([real, fake]) => nd([], () => surprise(real!, 1) + surprise(fake!, -1)),
});

describe('the losses of a GAN', () => {
  it('do not saturate or overflow where the discriminator is sure', async () => {
    const device = await testDevice();
    const [sure, not] = [Tensor.from(device, [1e4]), Tensor.from(device, [-1e4])];
    expect(await ganGeneratorLoss(not).item()).toBe(1e4);
    expect(await ganDiscriminatorLoss(sure, not).item()).toBe(0);
    expect(await ganDiscriminatorLoss(not, sure).item()).toBe(2e4);
  });
});
