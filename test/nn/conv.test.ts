import { describe, expect, it } from 'vitest';
import {
  Conv2d,
  type Conv2dLayerOptions,
  ConvTranspose2d,
  type ConvTranspose2dLayerOptions,
} from '../../src/nn/conv.ts';
import type { PairLike } from '../../src/ops/conv2d-sizes.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

interface Sizes<Options> {
  inputs: number;
  outputs: number;
  kernel: PairLike;
  options: Options;
}

proveLayer({
  layer: Conv2d,
  make: (init, { inputs, outputs, kernel, options }: Sizes<Conv2dLayerOptions>) =>
    new Conv2d(init, inputs, outputs, kernel, options),
});

proveLayer({
  layer: ConvTranspose2d,
  make: (init, { inputs, outputs, kernel, options }: Sizes<ConvTranspose2dLayerOptions>) =>
    new ConvTranspose2d(init, inputs, outputs, kernel, options),
});

/** Smallest, largest, mean and variance. */
async function moments(tensor: Tensor): Promise<[number, number, number, number]> {
  const values = await tensor.floats();
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  return [
    values.reduce((a, b) => Math.min(a, b)),
    values.reduce((a, b) => Math.max(a, b)),
    mean,
    variance,
  ];
}

describe('convolution layers', () => {
  it.each([
    { name: 'Conv2d', fan: 12 * 25, make: Conv2d, inputs: 24, outputs: 600 },
    { name: 'ConvTranspose2d', fan: 12 * 25, make: ConvTranspose2d, inputs: 600, outputs: 24 },
  ])('start as in PyTorch: $name is U(−1/√fan, 1/√fan)', async ({ fan, make, inputs, outputs }) => {
    const init = { device: await testDevice(), generator: new Generator(7) };
    const layer = new make(init, inputs, outputs, 5, { groups: 2 });
    const bound = 1 / Math.sqrt(fan);
    const [low, high, mean, variance] = await moments(layer.weight);
    expect(layer.weight.size).toBe(fan * 600);
    expect(low).toBeGreaterThanOrEqual(-bound);
    expect(low).toBeLessThan(-0.999 * bound);
    expect(high).toBeLessThanOrEqual(bound);
    expect(high).toBeGreaterThan(0.999 * bound);
    // Five standard errors of 180,000 draws.
    expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * 180_000));
    expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(5 * Math.sqrt(0.8 / 180_000));
    const [biasLow, biasHigh] = await moments(layer.bias!);
    expect(Math.max(-biasLow, biasHigh)).toBeLessThanOrEqual(bound);
    expect(Math.min(-biasLow, biasHigh)).toBeGreaterThan(bound / 2);
    layer.dispose();
  });

  it('have no bias when there is to be none', async () => {
    const init = { device: await testDevice(), generator: new Generator(7) };
    const layer = new Conv2d(init, 2, 3, 1, { bias: false });
    expect([...layer.namedParameters().keys()]).toEqual(['weight']);
  });

  it('refuse groups that do not divide the channels, and say where shapes do not fit', async () => {
    const init = { device: await testDevice(), generator: new Generator(7) };
    await expectError(
      () => new Conv2d(init, 6, 4, 3, { groups: 4 }),
      'option',
      /Conv2d: groups must divide/,
    );
    const layer = new Conv2d(init, 3, 4, 3);
    layer.namedModules('stem.conv');
    const x = Tensor.zeros(init.device, [1, 4, 5, 5]);
    await expectError(
      () => layer.forward(x),
      'shape',
      /conv2d \(in layer stem\.conv\): expected weight/,
    );
  });
});
