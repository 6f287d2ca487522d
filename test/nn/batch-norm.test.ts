import { describe, expect, it } from 'vitest';
import { noGrad } from '../../src/autograd/tape.ts';
import { BatchNorm1d, BatchNorm2d } from '../../src/nn/batch-norm.ts';
import { add } from '../../src/ops/binary.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

interface Options {
  features: number;
  eps?: number;
  momentum?: number;
  affine?: boolean;
}

/** Once for each input, and the results added. */
function callAll(layer: BatchNorm1d | BatchNorm2d, inputs: readonly Tensor[]): Tensor {
  return inputs.map((x) => layer.forward(x)).reduce((total, y) => add(total, y));
}

proveLayer({
  layer: BatchNorm1d,
  make: (init, { features, eps, momentum, affine }: Options) =>
    new BatchNorm1d(init, features, eps, momentum, affine),
  call: callAll,
});

proveLayer({
  layer: BatchNorm2d,
  make: (init, { features, eps, momentum, affine }: Options) =>
    new BatchNorm2d(init, features, eps, momentum, affine),
  call: callAll,
});

describe('batch normalisation layers', () => {
  it('begin with PyTorch’s values', async () => {
    const layer = new BatchNorm2d({ device: await testDevice(), generator: new Generator(1) }, 2);
    const state = [...(await layer.stateDict())].map(([name, { data }]) => [name, [...data]]);
    const zeros = [0, 0];
    const ones = [1, 1];
    expect(Object.fromEntries(state)).toEqual({
      weight: ones,
      bias: zeros,
      running_mean: zeros,
      running_var: ones,
    });
    expect([layer.eps, layer.momentum]).toEqual([1e-5, 0.1]);
    layer.dispose();
  });

  it('keep their running statistics in evaluation, and move them without gradients too', async () => {
    const device = await testDevice();
    const layer = new BatchNorm1d({ device, generator: new Generator(1) }, 1);
    const x = Tensor.from(device, [1, 3], [2, 1]);
    layer.eval().forward(x);
    expect(await layer.running_mean.item()).toBe(0);
    noGrad(() => layer.train().forward(x));
    expect(await layer.running_mean.item()).toBeCloseTo(0.2, 6);
    expect(await layer.running_var.item()).toBeCloseTo(0.9 + 0.2, 6);
    layer.dispose();
  });

  it('say what they normalise', async () => {
    const device = await testDevice();
    const layer = new BatchNorm2d({ device, generator: new Generator(1) }, 3);
    const flat = Tensor.zeros(device, [2, 3]);
    const wide = Tensor.zeros(device, [2, 4, 2, 2]);
    const text = /BatchNorm2d.*: expected 4 dimensions, the second of 3, found \[2, 3\]/;
    await expectError(() => layer.forward(flat), 'shape', text);
    await expectError(() => layer.forward(wide), 'shape', /found \[2, 4, 2, 2\]/);
    layer.dispose();
  });
});
