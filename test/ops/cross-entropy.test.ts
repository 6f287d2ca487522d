import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { crossEntropy, crossEntropyOp } from '../../src/ops/cross-entropy.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { crossEntropyOf, nd, Random } from './nd.ts';
import { proveOp } from './prove.ts';

const random = new Random(11);
const ofSizes = (sizes: readonly [number, number][]) =>
  sizes.map(([n, c]) => ({
    shapes: [[n, c]],
    options: { labels: Array.from({ length: n }, () => random.integer(c)) },
  }));
const cases = ofSizes([
  [1, 1],
  [49, 197],
  [3, 1031],
  [600, 2],
]);

proveOp({
  op: crossEntropyOp,
  cases,
  splits: ofSizes([
    [600, 2],
    [197, 13],
    [1031, 1],
  ]),
  reference: ([x], { labels }) => nd([], () => crossEntropyOf(x!, labels)),
});

describe('cross-entropy', () => {
  it('does not mind that its caller uses the labels again', async () => {
    const x = Parameter.of(Tensor.zeros(await testDevice(), [1, 2]));
    const labels = [1];
    const loss = crossEntropy(x, labels);
    labels.fill(0);
    backward(loss);
    expect([...(await x.grad!.floats())]).toEqual([0.5, -0.5]);
  });

  it('keeps its digits where all logits are large', async () => {
    const values = [10_000.25, 10_001.5, 9999];
    const x = Tensor.from(await testDevice(), values, [1, 3]);
    const expected = Math.log(values.reduce((sum, v) => sum + Math.exp(v - values[0]!), 0));
    // Not to the 1e-3 that a float32 of 10,000 resolves.
    expect(Math.abs((await crossEntropy(x, [0]).item()) - expected)).toBeLessThan(1e-6);
  });

  it('needs a label for each row', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(
      () => crossEntropy(x, [0]),
      'shape',
      /expected logits \[1, C\] for 1 labels, found \[2, 3\]/,
    );
    const none = Tensor.zeros(await testDevice(), [0, 3]);
    await expectError(() => crossEntropy(none, []), 'shape', /found \[0, 3\]/);
  });

  it.each([3, -1, 0.5])('refuses label %d of three classes', async (label) => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    const found = new RegExp(`label ${label} of row 1 is outside 0 … 2`);
    await expectError(() => crossEntropy(x, [0, label]), 'index', found);
  });
});
