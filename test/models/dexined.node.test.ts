/** DexiNed against PyTorch (test/reference/golden_dexined.py); the network has one size, the images are small. */
import { expect, it } from 'vitest';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { DexiNed } from '../../src/models/dexined.ts';
import { concat } from '../../src/ops/layout.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { differences, drawn, extractorGolden, fill } from './extractors/prove-extractor.ts';

it('has the state dict of the published file', async () => {
  const { found } = await extractorGolden('dexined');
  const network = new DexiNed({ device: await testDevice(), generator: new Generator(1) });
  const published = Object.entries(found.published)
    .filter(([name]) => !name.endsWith('num_batches_tracked'))
    .map(([name, shape]) => [name, [...shape]]);
  const own = [...network.namedParameters(), ...network.namedBuffers()];
  expect(Object.fromEntries(own.map(([name, { shape }]) => [name, [...shape]]))).toEqual(
    Object.fromEntries(published),
  );
  expect(network.parameterCount()).toBe(35_215_245);
  network.dispose();
});

it('gives PyTorch’s seven maps, and all gradients', async () => {
  const device = await testDevice();
  const { golden, found } = await extractorGolden('dexined');
  const network = new DexiNed({ device, generator: new Generator(1) }).eval();
  fill(device, network);
  const before = device.memory.live;
  const maps = scope(() => {
    const result = network.forward(drawn(device, 'images', found.images, -2, 2));
    const seeds = result.map((map, i) => drawn(device, `gradOutput${i}`, map.shape, -1, 1));
    backwardFrom(concat(result, 1), concat(seeds, 1));
    return result;
  });
  expect(maps.map(({ shape }) => [...shape])).toEqual(Array(7).fill([1, 1, 32, 48]));
  const values = Object.fromEntries(maps.map((map, i) => [`map.${i}`, map]));
  expect(await differences(golden, found, network, values)).toEqual([]);
  const reached = [...network.namedParameters()].filter(([, { grad }]) => grad);
  expect(reached.map(([path]) => path).sort()).toEqual(Object.keys(found.gradNorms).sort());
  const unused = [...network.namedParameters().keys()].filter((path) => !(path in found.gradNorms));
  expect(unused.every((path) => /^(side_5|block_cat\.bn)\./.test(path))).toBe(true);
  for (const map of maps) map.dispose();
  for (const parameter of network.namedParameters().values()) parameter.grad = null;
  expect(device.memory.live).toBe(before);
  network.dispose();
});

it('refuses images whose sides are no multiples of 16', async () => {
  const device = await testDevice();
  const network = new DexiNed({ device, generator: new Generator(1) });
  for (const shape of [
    [1, 3, 32, 40],
    [1, 4, 32, 32],
    [3, 32, 32],
  ]) {
    const images = Tensor.zeros(device, shape);
    await expectError(
      () => network.forward(images),
      'shape',
      /DexiNed.*\[N, 3, H, W\] with H and W multiples of 16.*32/,
    );
    images.dispose();
  }
  network.dispose();
});
