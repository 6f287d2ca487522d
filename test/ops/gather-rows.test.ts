import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { embedding } from '../../src/ops/embedding.ts';
import { gatherRows, gatherRowsOp } from '../../src/ops/gather-rows.ts';
import { sum } from '../../src/ops/reduce.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, Random } from './nd.ts';
import { proveOp } from './prove.ts';

const random = new Random(5);
const picks = (count: number, rows: number) =>
  Array.from({ length: count }, () => random.integer(rows));

proveOp({
  op: gatherRowsOp,
  cases: [
    { shapes: [[1, 1]], options: { rows: [0, 0, 0] } },
    { shapes: [[197, 49]], options: { rows: picks(31, 197) } },
    { shapes: [[5, 13]], options: { rows: picks(523, 5) } },
    { shapes: [[3, 1031]], options: { rows: [2, 0] } },
    { shapes: [[4, 3]], options: { rows: [] } },
    { shapes: [[2, 3]], options: { rows: picks(1031, 2) } },
  ],
  reference: ([x], { rows }) => {
    const d = x!.shape[1]!;
    return nd([rows.length, d], (i) => x!.data[rows[Math.floor(i / d)]! * d + (i % d)]!);
  },
  linearIn: [0],
});

describe('embedding', () => {
  it('gives the padding row no gradient, and looks it up all the same', async () => {
    const weight = Parameter.of(Tensor.from(await testDevice(), [1, 2, 3, 4], [4, 1]));
    const found = embedding(weight, [3, 1, 3, 1, 0], 3);
    expect([...(await found.floats())]).toEqual([4, 2, 4, 2, 1]);
    backward(sum(found));
    expect([...(await weight.grad!.floats())]).toEqual([1, 2, 0, 0]);
  });
});

describe('gather-rows', () => {
  it('cuts a result that exceeds a binding', async () => {
    const device = await Device.open({ bindingBytes: 4096 });
    const x = Tensor.from(device, [1, 2, 3, 4, 5, 6], [2, 3]);
    const rows = picks(700, 2);
    const found = await gatherRows(x, rows).floats();
    expect(found.every((v, i) => v === 3 * rows[Math.floor(i / 3)]! + (i % 3) + 1)).toBe(true);
    device.close();
  });

  it('does not mind that its caller uses the indices again', async () => {
    const x = Parameter.of(Tensor.zeros(await testDevice(), [3, 1]));
    const rows = [2, 2];
    const picked = gatherRows(x, rows);
    rows.fill(0);
    backward(sum(picked));
    expect([...(await x.grad!.floats())]).toEqual([0, 0, 2]);
  });

  it.each([[5], [-1], [0.5], [Number.NaN]])('refuses row %d of five', async (row) => {
    const x = Tensor.zeros(await testDevice(), [5, 2]);
    const found = new RegExp(`row ${row} \\(entry 1\\) is outside 0 … 4`);
    await expectError(() => gatherRows(x, [0, row]), 'index', found);
  });

  it('needs a matrix', async () => {
    const x = Tensor.zeros(await testDevice(), [5]);
    await expectError(() => gatherRows(x, [0]), 'shape', /expected a matrix \[N, d\], found \[5\]/);
  });
});
