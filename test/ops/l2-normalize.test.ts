import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { l2Normalize, l2NormalizeOp } from '../../src/ops/l2-normalize.ts';
import { sum } from '../../src/ops/reduce.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { mapRows, norm } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

proveOp({
  op: l2NormalizeOp,
  cases: [
    { shapes: [[1, 1]], options: { eps: 1e-12 } },
    { shapes: [[49, 197]], options: { eps: 1e-12 } },
    { shapes: [[3, 1031]], options: { eps: 1e-12 } },
    { shapes: [[2, 3, 33]], options: { eps: 1e-12 } },
    // Longer than every row: all are divided by eps.
    { shapes: [[7, 5]], options: { eps: 50 } },
    { shapes: [[13]], options: { eps: 1e-12 } },
    { shapes: [[0, 6]], options: { eps: 1e-12 } },
  ],
  splits: [
    { shapes: [[197, 13]], options: { eps: 1e-12 } },
    { shapes: [[3, 7, 192]], options: { eps: 1e-12 } },
  ],
  reference: ([x], { eps }) => mapRows(x!, (row) => row.map((v) => v / Math.max(norm(row), eps))),
});

describe.each(TUNINGS)('l2-normalize, $tuning', ({ open }) => {
  it('passes a NaN on within its row, in both directions', async () => {
    const x = Parameter.of(Tensor.from(await open(), [1, Number.NaN, 3, 3, 4, 0], [2, 3]));
    const y = l2Normalize(x);
    backward(sum(y));
    const mask = [true, true, true, false, false, false];
    for (const t of [y, x.grad!]) expect([...(await t.floats())].map(Number.isNaN)).toEqual(mask);
  });
});

describe('l2-normalize', () => {
  it('needs an axis', async () => {
    const x = Tensor.scalar(await testDevice(), 1);
    await expectError(() => l2Normalize(x), 'shape', /expected at least one dimension, found \[\]/);
  });
});
