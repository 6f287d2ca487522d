import { describe, it } from 'vitest';
import { l2Normalize, l2NormalizeOp } from '../../src/ops/l2-normalize.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { mapRows, norm } from './nd.ts';
import { proveOp } from './prove.ts';

proveOp({
  op: l2NormalizeOp,
  golden: 'l2-normalise',
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
  reference: ([x], { eps }) => mapRows(x!, (row) => row.map((v) => v / Math.max(norm(row), eps))),
});

describe('l2-normalize', () => {
  it('needs an axis', async () => {
    const x = Tensor.scalar(await testDevice(), 1);
    await expectError(() => l2Normalize(x), 'shape', /expected at least one dimension, found \[\]/);
  });
});
