import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { noGrad } from '../../src/autograd/tape.ts';
import { add } from '../../src/ops/binary.ts';
import { dropPath } from '../../src/ops/drop-path.ts';
import { inLayer, type OpCall, observeOps, opNames } from '../../src/ops/op.ts';
import { sum } from '../../src/ops/reduce.ts';
import { relu, square } from '../../src/ops/unary.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { otherTuning } from './prove.ts';

describe('an operation', () => {
  it('is in the registry', () => {
    expect(opNames()).toEqual(expect.arrayContaining(['add', 'relu']));
  });

  it('keeps its result alive, and what a gradient will need: nothing else', async () => {
    const device = await testDevice();
    const x = Parameter.of(Tensor.zeros(device, [64]));
    const before = device.memory.live;
    const draw = { seed: [1, 2], offset: 0 } as const;
    const [one, two] = [dropPath(x, 0.5, draw), noGrad(() => dropPath(x, 0.5, draw))];
    // Two results of 256 bytes, and the draws of the one that has a gradient.
    expect(device.memory.live - before).toBe(3 * 256);
    const long = Tensor.zeros(device, [2000]);
    const total = sum(long); // in two stages
    expect(device.memory.live - before).toBe(3 * 256 + long.buffer.bytes + 256);
    for (const t of [one, two, long, total, x]) t.dispose();
  });

  it('refuses integers', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, Uint32Array.of(1, 2));
    await expectError(() => relu(x), 'dtype', /relu: expected float32 inputs, found u32/);
    const y = Tensor.from(device, Int32Array.of(1, 2));
    await expectError(() => add(Tensor.zeros(device, [2]), y), 'dtype', /add: .*found i32/);
  });

  it('refuses inputs of two devices', async () => {
    const a = Tensor.zeros(await testDevice(), [2]);
    const b = Tensor.zeros(await otherTuning(), [2]);
    await expectError(
      () => add(a, b),
      'device-mismatch',
      /add: expected all inputs on the device of input 0 \(.+\), found input 1 on .+, another device/,
    );
  });

  it('refuses an input that was freed', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 7]);
    x.dispose();
    await expectError(
      () => relu(x),
      'use-after-free',
      /shape \[2, 7\] was used after it was freed/,
    );
  });
});

describe('inLayer', () => {
  it('names the layers in errors, also after another failed', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [2]), Tensor.zeros(device, [3])];
    const nested = () => inLayer('encoder', () => inLayer('fc1', () => add(a, b)));
    await expectError(nested, 'shape', /add \(in layer encoder\.fc1\): expected/);
    await expectError(() => inLayer('head', () => add(a, b)), 'shape', /add \(in layer head\): /);
    await expectError(() => add(a, b), 'shape', /^add: expected/);
  });
});

describe('observeOps', () => {
  it('sees every result with its layer and what it was computed from, and no more afterwards', async () => {
    const x = Tensor.from(await testDevice(), [3]);
    const seen: [string, string, Tensor, OpCall][] = [];
    const see = (...what: [string, string, Tensor, OpCall]) => void seen.push(what);
    const y = observeOps(see, () => inLayer('a', () => square(x)));
    expect(seen).toEqual([['square', 'a', y, { inputs: [x], options: {} }]]);
    expect(() =>
      observeOps(see, () => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    relu(x);
    expect(seen.length).toBe(1);
  });
});

describe('what is no tensor', () => {
  it('is named with its place among the inputs', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 2]);
    const wrong: unknown = { padding: 1 };
    const call = () => Reflect.apply(add, undefined, [x, wrong]);
    await expectError(call, 'option', /add: expected a tensor as input 1, found \[object Object\]/);
  });
});
