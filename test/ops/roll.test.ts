import { describe, it } from 'vitest';
import { roll, rollOp } from '../../src/ops/roll.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { moved } from './indexing.ts';
import { proveOp } from './prove.ts';

proveOp({
  op: rollOp,
  cases: [
    { shapes: [[1031]], options: { shifts: [-400], axes: [0] } },
    { shapes: [[49, 197]], options: { shifts: [3, -1], axes: [0, 1] } },
    { shapes: [[2, 7, 7, 4]], options: { shifts: [-3, -3], axes: [1, 2] } },
    { shapes: [[2, 5, 3]], options: { shifts: [-13, 6, 5], axes: [-2, 2, 0] } },
    { shapes: [[4, 3]], options: { shifts: [], axes: [] } },
    { shapes: [[3, 0]], options: { shifts: [1, 1], axes: [0, 1] } },
  ],
  reference: ([x], { shifts, axes }) => {
    const { shape } = x!;
    return moved(x!, shape, (index) => {
      const from = [...index];
      axes.forEach((axis, i) => {
        const at = axis < 0 ? axis + shape.length : axis;
        for (let s = 0; s < Math.abs(shifts[i]!); s++) {
          from[at] = (from[at]! - Math.sign(shifts[i]!) + shape[at]!) % shape[at]!;
        }
      });
      return from;
    });
  },
  linearIn: [0],
  splits: true,
});

describe('roll', () => {
  it('says what does not fit', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(() => roll(x, [1, 2], [0]), 'option', /shifts \[1,2\] for axes \[0\]/);
    await expectError(() => roll(x, [0.5], [0]), 'option', /roll: expected one whole shift/);
    await expectError(() => roll(x, [1], [2]), 'shape', /roll: expected an axis below 2/);
  });
});
