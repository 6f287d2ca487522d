import { describe, it } from 'vitest';
import { mse, mseOp } from '../../src/ops/mse.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd } from './nd.ts';
import { proveOp } from './prove.ts';

// Runs of 1,024 elements are summed first; 300 × 1,031 has more runs than are summed at once.
const shapes: Shape[] = [
  [1],
  [],
  [1023],
  [1025],
  [49, 197],
  [2, 3, 5, 7],
  [530, 1031],
  [2, 25_761],
];

const pairs = (all: readonly Shape[]) =>
  all.map((shape) => ({ shapes: [shape, shape], options: {} }));

proveOp({
  op: mseOp,
  cases: pairs(shapes),
  splits: pairs(shapes.slice(0, -1)),
  reference: ([p, t]) =>
    nd([], () => {
      const squares = p!.data.map((v, i) => (v - t!.data[i]!) ** 2);
      return squares.reduce((sum, v) => sum + v, 0) / squares.length;
    }),
});

describe('mse', () => {
  it('needs two tensors of one shape that are not empty', async () => {
    const device = await testDevice();
    const [a, b, none] = [
      [2, 3],
      [3, 2],
      [0, 3],
    ].map((shape) => Tensor.zeros(device, shape));
    const expected = /expected two non-empty tensors of one shape/;
    await expectError(() => mse(a!, b!), 'shape', /found \[2, 3\] and \[3, 2\]/);
    await expectError(() => mse(none!, none!), 'shape', expected);
  });
});
