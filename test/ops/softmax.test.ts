import { describe, expect, it } from 'vitest';
import { logSoftmax, logSoftmaxOp, softmax, softmaxOp } from '../../src/ops/softmax.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { mapRows } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const cases = [[1, 1], [5, 1], [49, 197], [3, 1031], [1, 64], [2, 3, 33], [7], [0, 5]].map(
  (shape) => ({
    shapes: [shape],
    options: {},
  }),
);

function logSoftmaxOf(row: Float64Array): Float64Array {
  const most = Math.max(...row);
  const total = row.reduce((sum, v) => sum + Math.exp(v - most), 0);
  return row.map((v) => v - most - Math.log(total));
}

proveOp({
  op: softmaxOp,
  cases,
  reference: ([x]) => mapRows(x!, (row) => logSoftmaxOf(row).map(Math.exp)),
});

proveOp({ op: logSoftmaxOp, cases, reference: ([x]) => mapRows(x!, logSoftmaxOf) });

describe.each(TUNINGS)('softmax, $tuning', ({ open }) => {
  it('does not overflow, and gives masked entries nothing', async () => {
    const x = Tensor.from(await open(), [3e38, -3e38, 3e38, -Infinity], [1, 4]);
    expect([...(await softmax(x).floats())]).toEqual([0.5, 0, 0.5, 0]);
  });

  it('keeps a NaN within its row', async () => {
    const values = Array.from({ length: 200 }, (_, i) => (i === 70 ? Number.NaN : i % 3));
    const x = Tensor.from(await open(), values, [2, 100]);
    for (const y of [softmax(x), logSoftmax(x)]) {
      const found = await y.floats();
      expect(found.subarray(0, 100).every(Number.isNaN)).toBe(true);
      expect(found.subarray(100).some(Number.isNaN)).toBe(false);
    }
  });
});

describe('softmax', () => {
  it('needs an axis', async () => {
    const x = Tensor.scalar(await testDevice(), 1);
    await expectError(
      () => softmax(x),
      'shape',
      /softmax: expected at least one dimension, found \[\]/,
    );
  });
});
