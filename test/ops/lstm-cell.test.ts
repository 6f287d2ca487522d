import { describe, expect, it } from 'vitest';
import { lstmCell, lstmCellOp } from '../../src/ops/lstm-cell.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));

proveOp({
  op: lstmCellOp,
  cases: [
    [1, 1],
    [49, 13],
    [7, 197],
    [0, 5],
  ].map(([rows, hidden]) => ({
    shapes: [
      [rows!, 4 * hidden!],
      [rows!, hidden!],
    ],
    options: {},
  })),
  reference: ([gates, c]) => {
    const [rows, hidden] = c!.shape as [number, number];
    const after = nd([rows, hidden], (index) => {
      const [n, j] = [Math.floor(index / hidden), index % hidden];
      const [i, f, g] = [0, 1, 2].map((q) => gates!.data[(4 * n + q) * hidden + j]!);
      return sigmoid(f!) * c!.data[index]! + sigmoid(i!) * Math.tanh(g!);
    });
    return nd([rows, 2 * hidden], (index) => {
      const [n, j] = [Math.floor(index / (2 * hidden)), index % (2 * hidden)];
      if (j >= hidden) return after.data[n * hidden + j - hidden]!;
      const o = gates!.data[(4 * n + 3) * hidden + j]!;
      return sigmoid(o) * Math.tanh(after.data[n * hidden + j]!);
    });
  },
});

describe.each(TUNINGS)('lstm-cell, $tuning', ({ open }) => {
  it('does not overflow, and keeps a NaN within its element', async () => {
    const device = await open();
    // i, f, g, o of three elements
    const gates = [3e38, -3e38, 0, 3e38, -3e38, 0, 3e38, -3e38, Number.NaN, 3e38, 3e38, 0];
    const c = Tensor.from(device, [5, 6, 7], [1, 3]);
    const found = await lstmCell(Tensor.from(device, gates, [1, 12]), c).floats();
    expect([...found].map((v) => Math.round(v * 1e6) / 1e6)).toEqual([
      Math.round(Math.tanh(6) * 1e6) / 1e6,
      0,
      Number.NaN,
      6,
      0,
      Number.NaN,
    ]);
  });
});

describe('lstm-cell', () => {
  it('needs four gates for every element of c', async () => {
    const device = await testDevice();
    const [gates, c] = [Tensor.zeros(device, [2, 8]), Tensor.zeros(device, [2, 3])];
    const found = /expected gates \[N, 4H\] and c \[N, H\], found \[2, 8\] and \[2, 3\]/;
    await expectError(() => lstmCell(gates, c), 'shape', found);
  });
});
