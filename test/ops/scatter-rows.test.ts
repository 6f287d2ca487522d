import { describe, expect, it } from 'vitest';
import { scatterRows, scatterRowsOp } from '../../src/ops/scatter-rows.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, Random } from './nd.ts';
import { proveOp } from './prove.ts';

const random = new Random(6);
const places = (count: number, rows: number) =>
  Array.from({ length: count }, () => random.integer(rows));

proveOp({
  op: scatterRowsOp,
  cases: [
    { shapes: [[1, 1]], options: { rows: [2], count: 3 } },
    { shapes: [[31, 49]], options: { rows: places(31, 197), count: 197 } },
    { shapes: [[523, 3]], options: { rows: places(523, 5), count: 5 } },
    { shapes: [[1031, 2]], options: { rows: Array<number>(1031).fill(1), count: 2 } },
    { shapes: [[0, 3]], options: { rows: [], count: 4 } },
    { shapes: [[0, 3]], options: { rows: [], count: 0 } },
  ],
  reference: ([x], { rows, count }) => {
    const d = x!.shape[1]!;
    const out = nd([count, d], () => 0);
    for (let i = 0; i < rows.length; i++) {
      for (let c = 0; c < d; c++) out.data[rows[i]! * d + c]! += x!.data[i * d + c]!;
    }
    return out;
  },
  linearIn: [0],
});

describe('scatter-rows', () => {
  it('adds in the same order every time', async () => {
    const device = await testDevice();
    const values = Float32Array.from(
      { length: 3000 },
      () => random.normal() * 2 ** random.integer(20),
    );
    const x = Tensor.from(device, values, [3000, 1]);
    const rows = places(3000, 3);
    const [first, second] = [scatterRows(x, rows, 3), scatterRows(x, rows, 3)];
    expect(await first.floats()).toEqual(await second.floats());
  });

  it('refuses what does not fit', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(
      () => scatterRows(x, [0, 4], 4),
      'index',
      /scatter-rows: row 4 \(entry 1\) is outside 0 … 3/,
    );
    await expectError(
      () => scatterRows(x, [0], 4),
      'shape',
      /a matrix \[1, d\], one row per index, found \[2, 3\]/,
    );
    await expectError(() => scatterRows(x, [0, 0], -1), 'option', /a number of rows, found -1/);
  });
});
