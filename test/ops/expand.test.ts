import { describe, it } from 'vitest';
import { expand, expandOp } from '../../src/ops/expand.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { moved } from './indexing.ts';
import { proveOp } from './prove.ts';

proveOp({
  op: expandOp,
  cases: [
    { shapes: [[1]], options: { shape: [1031] } },
    { shapes: [[49, 1]], options: { shape: [49, 197] } },
    { shapes: [[1, 49]], options: { shape: [17, 49] } },
    { shapes: [[3, 1, 5, 1]], options: { shape: [2, 3, 7, 5, 4] } },
    { shapes: [[1, 1, 4]], options: { shape: [33, 3, -1] } },
    { shapes: [[]], options: { shape: [] } },
    { shapes: [[1, 5]], options: { shape: [0, 5] } },
  ],
  reference: ([x], { shape }) => {
    const added = shape.length - x!.shape.length;
    const whole = shape.map((n, d) => (n === -1 ? x!.shape[d - added]! : n));
    return moved(x!, whole, (index) => x!.shape.map((n, d) => (n === 1 ? 0 : index[d + added]!)));
  },
  linearIn: [0],
  splits: [
    { shapes: [[1500, 1]], options: { shape: [1500, 2] } },
    { shapes: [[1, 49]], options: { shape: [3, 17, 49] } },
  ],
});

describe('expand', () => {
  it('repeats nothing but axes of extent 1', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(
      () => expand(x, [4, 3]),
      'shape',
      /expand: expected a shape whose last axes are those of \[2, 3\].*found \[4, 3\]/,
    );
    await expectError(() => expand(x, [3]), 'shape', /expand: .*found \[3\]/);
    await expectError(() => expand(x, [-1, 2, 3]), 'shape', /expand: .*found \[-1, 2, 3\]/);
  });
});
