import { describe, expect, it } from 'vitest';
import {
  logSoftmax,
  logSoftmaxOp,
  type SoftmaxOptions,
  softmax,
  softmaxOp,
} from '../../src/ops/softmax.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import type { Nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const cases: { shapes: number[][]; options: SoftmaxOptions }[] = [
  ...[
    [1, 1],
    [5, 1],
    [49, 197],
    [49, 196],
    [3, 1031],
    [3, 1036],
    [1, 64],
    [2, 3, 33],
    [7],
    [0, 5],
    [2, 25_761],
  ].map((shape) => ({
    shapes: [shape],
    options: {},
  })),
  { shapes: [[49, 197]], options: { axis: 0 } },
  { shapes: [[2, 263, 5]], options: { axis: 1 } },
  { shapes: [[3, 5, 7, 33]], options: { axis: -2 } },
  { shapes: [[17, 1, 3]], options: { axis: 0 } },
  { shapes: [[5, 1, 300]], options: { axis: 1 } },
  { shapes: [[5, 0, 3]], options: { axis: 0 } },
];

const LARGE = [
  { shapes: [[300, 8]], options: {} },
  { shapes: [[7, 16, 64]], options: { axis: 1 } },
  { shapes: [[3, 1024]], options: {} },
];

function logSoftmaxOf(row: Float64Array): Float64Array {
  const most = Math.max(...row);
  const total = row.reduce((sum, v) => sum + Math.exp(v - most), 0);
  return row.map((v) => v - most - Math.log(total));
}

/** The lines along an axis, each through `map`. */
function mapLines(x: Nd, axis: number, map: (line: Float64Array) => Float64Array): Nd {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const n = x.shape[at]!;
  const inner = x.shape.slice(at + 1).reduce((product, m) => product * m, 1);
  const data = x.data.slice();
  for (let start = 0; start < data.length; start++) {
    if (Math.floor(start / inner) % n !== 0) continue;
    const line = Float64Array.from({ length: n }, (_, j) => x.data[start + j * inner]!);
    map(line).forEach((v, j) => {
      data[start + j * inner] = v;
    });
  }
  return { shape: x.shape, data };
}

proveOp({
  op: softmaxOp,
  cases,
  reference: ([x], { axis = -1 }) => mapLines(x!, axis, (row) => logSoftmaxOf(row).map(Math.exp)),
  splits: LARGE,
});

proveOp({
  op: logSoftmaxOp,
  cases,
  reference: ([x], { axis = -1 }) => mapLines(x!, axis, logSoftmaxOf),
  splits: LARGE,
});

describe.each(TUNINGS)('softmax, $tuning', ({ open }) => {
  it.each([4, 1024])('does not overflow, and gives masked entries of %i nothing', async (n) => {
    const values = Array.from({ length: n }, (_, i) => [3e38, -3e38, 3e38, -Infinity][i % 4]!);
    const x = Tensor.from(await open(), values, [1, n]);
    expect([...(await softmax(x).floats())]).toEqual(values.map((v) => (v > 0 ? 2 / n : 0)));
  });

  it('does so along other axes', async () => {
    const x = Tensor.from(await open(), [3e38, 0, -3e38, 1, 3e38, 0, -Infinity, 1], [4, 2]);
    const found = await softmax(x, 0).floats();
    expect([0, 2, 4, 6].map((i) => found[i])).toEqual([0.5, 0, 0.5, 0]);
    const values = Array.from({ length: 200 }, (_, i) => (i === 71 ? Number.NaN : i % 3));
    for (const y of [softmax, logSoftmax]) {
      const columns = await y(Tensor.from(x.device, values, [100, 2]), 0).floats();
      expect(columns.every((v, i) => Number.isNaN(v) === (i % 2 === 1))).toBe(true);
    }
  });

  it.each([100, 1024])('keeps a NaN within its row of %i', async (n) => {
    const values = Array.from({ length: 2 * n }, (_, i) => (i === 70 ? Number.NaN : i % 3));
    const x = Tensor.from(await open(), values, [2, n]);
    for (const y of [softmax(x), logSoftmax(x)]) {
      const found = await y.floats();
      expect(found.subarray(0, n).every(Number.isNaN)).toBe(true);
      expect(found.subarray(n).some(Number.isNaN)).toBe(false);
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

  it('names an axis that is not there', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(() => logSoftmax(x, 2), 'shape', /log-softmax: expected an axis below 2/);
  });
});
