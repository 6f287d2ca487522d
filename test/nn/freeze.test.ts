import { describe, expect, it } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { BatchNorm1d } from '../../src/nn/batch-norm.ts';
import { freeze, trainableParameters, unfreeze } from '../../src/nn/freeze.ts';
import { Linear } from '../../src/nn/layers.ts';
import { Sequential } from '../../src/nn/sequential.ts';
import { sum } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { Generator, normal } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

async function network() {
  const device = await testDevice();
  const init = { device, generator: new Generator(1) };
  const net = new Sequential(
    new Linear(init, 3, 4),
    new BatchNorm1d(init, 4),
    new Linear(init, 4, 2),
  );
  const step = () =>
    scope(() => {
      const x = normal(device, [5, 3], { seed: [3, 0], offset: 0 });
      backward(sum(square(net.forward(x))));
    });
  const names = () => [...trainableParameters(net).keys()];
  const graded = () =>
    [...net.namedParameters()].filter(([, { grad }]) => grad).map(([name]) => name);
  return { net, step, names, graded };
}

describe('freeze', () => {
  it('keeps gradients from parameters and modules by name, until unfrozen', async () => {
    const { net, step, names, graded } = await network();
    freeze(net, ['0', '2.bias']);
    expect(names()).toEqual(['1.weight', '1.bias', '2.weight']);
    step();
    expect(graded()).toEqual(names());
    unfreeze(net, ['0.bias']);
    step();
    expect(graded()).toEqual(['0.bias', '1.weight', '1.bias', '2.weight']);
    unfreeze(net);
    expect(names().length).toBe(6);
    net.dispose();
  });

  it('drops gradients there are, and leaves batch statistics alone in training', async () => {
    const { net, step, graded } = await network();
    step();
    expect(graded().length).toBe(6);
    freeze(net, ['1']);
    expect(graded().length).toBe(4);
    const statistics = async () => [...(await net.stateDict())].filter(([n]) => /running/.test(n));
    const before = await statistics();
    expect(before.length).toBe(2);
    step();
    expect(await statistics()).toEqual(before);
    unfreeze(net, ['1']);
    step();
    expect(await statistics()).not.toEqual(before);
    net.dispose();
  });

  it('of everything leaves nothing to be trained', async () => {
    const { net, step } = await network();
    freeze(net);
    expect(trainableParameters(net).size).toBe(0);
    await expectError(step, 'no-gradient', /not frozen/);
    net.dispose();
  });

  it('says which names there are', async () => {
    const { net } = await network();
    await expectError(() => freeze(net, ['0', '3']), 'option', /called 3\.\n.*begin with 0, 1, 2/);
    expect(trainableParameters(net).size).toBe(6);
    net.dispose();
  });
});
