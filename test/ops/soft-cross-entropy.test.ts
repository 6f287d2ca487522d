import { describe, it } from 'vitest';
import type { Op } from '../../src/ops/op.ts';
import type { Reduction } from '../../src/ops/reduction.ts';
import { softCrossEntropy } from '../../src/ops/soft-cross-entropy.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd } from './nd.ts';
import { softCrossEntropies } from './nd-losses.ts';
import { proveOp } from './prove.ts';

interface Options {
  reduction?: Reduction;
  labelSmoothing?: number;
}

const softCrossEntropyOp: Op<Options> = {
  name: 'soft-cross-entropy',
  apply: ([logits, targets], options) => softCrossEntropy(logits!, targets!, options),
};

proveOp({
  op: softCrossEntropyOp,
  cases: [
    [1, 1],
    [13, 7],
    [49, 197],
    [3, 1031],
  ].flatMap((shape) =>
    [{}, { reduction: 'sum' as const }, { reduction: 'none' as const, labelSmoothing: 0.2 }].map(
      (options) => ({ shapes: [shape, shape], options }),
    ),
  ),
  reference: ([logits, targets], { reduction = 'mean', labelSmoothing: s = 0 }) => {
    const classes = logits!.shape[1]!;
    const smooth = nd(targets!.shape, (i) => (1 - s) * targets!.data[i]! + s / classes);
    const rows = softCrossEntropies(logits!, smooth);
    if (reduction === 'none') return nd([rows.length], (i) => rows[i]!);
    const total = rows.reduce((t, v) => t + v, 0);
    return nd([], () => (reduction === 'sum' ? total : total / rows.length));
  },
});

describe('soft-cross-entropy', () => {
  it('needs logits and targets of one shape', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [3, 4])];
    const found = /soft-cross-entropy: expected logits.*\[4, 3\] and \[3, 4\]/;
    await expectError(() => softCrossEntropy(a, b), 'shape', found);
    const smoothing = { labelSmoothing: 1.5 };
    await expectError(() => softCrossEntropy(a, a, smoothing), 'option', /from 0 to 1, found 1.5/);
    const typo = { reduction: 'max' as Reduction };
    await expectError(() => softCrossEntropy(a, a, typo), 'option', /found max/);
  });
});
