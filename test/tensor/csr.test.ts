import { describe, expect, it } from 'vitest';
import { Csr } from '../../src/tensor/csr.ts';
import { scope } from '../../src/tensor/scope.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const device = await testDevice();

/** [row, column, value] of every element. */
function elements(matrix: Csr): number[][] {
  const found: number[][] = [];
  for (let r = 0; r < matrix.rows; r++) {
    for (let p = matrix.starts[r]!; p < matrix.starts[r + 1]!; p++) {
      found.push([r, matrix.columnIndex[p]!, matrix.values?.[p] ?? 1]);
    }
  }
  return found;
}

describe('Csr', () => {
  const edges = { rows: [2, 0, 2, 0, 2], columns: [1, 3, 0, 3, 1], values: [1, 2, 3, 4, 5] };

  it('sorts elements into rows, in the order given', () => {
    const matrix = Csr.fromEdges(device, 4, 5, edges);
    expect([...matrix.starts]).toEqual([0, 2, 2, 5, 5]);
    expect(elements(matrix)).toEqual([
      [0, 3, 2],
      [0, 3, 4],
      [2, 1, 1],
      [2, 0, 3],
      [2, 1, 5],
    ]);
  });

  it('is transposed, once', () => {
    const matrix = Csr.fromEdges(device, 4, 5, edges);
    const { transpose } = matrix;
    expect([transpose.rows, transpose.columns]).toEqual([5, 4]);
    expect(elements(transpose)).toEqual([
      [0, 2, 3],
      [1, 2, 1],
      [1, 2, 5],
      [3, 0, 2],
      [3, 0, 4],
    ]);
    expect(matrix.transpose).toBe(transpose);
  });

  it('divides rows by their sums', () => {
    const plain = Csr.fromEdges(device, 3, 2, { rows: [0, 0, 2], columns: [0, 1, 1] });
    expect([...plain.normalizeRows().values!]).toEqual([0.5, 0.5, 1]);
    const weighted = Csr.fromEdges(device, 1, 2, { rows: [0, 0], columns: [0, 1], values: [1, 3] });
    expect([...weighted.normalizeRows().values!]).toEqual([0.25, 0.75]);
    expect([...weighted.values!]).toEqual([1, 3]);
  });

  it('frees what it uploaded, and does not lose it to a scope', () => {
    const before = device.memory.live;
    const matrix = Csr.fromEdges(device, 4, 5, edges);
    const { starts } = scope(() => matrix.tensors);
    scope(() => matrix.transpose.tensors);
    expect(starts.disposed).toBe(false);
    expect(matrix.tensors.starts).toBe(starts);
    matrix.dispose();
    expect(device.memory.live).toBe(before);
  });

  it('names an index outside the matrix, and its range', async () => {
    const build = (rows: number[], columns: number[]) => () =>
      Csr.fromEdges(device, 2, 3, { rows, columns });
    await expectError(build([0, 2], [0, 0]), 'index', /row 2 \(entry 1\) is outside 0 … 1/);
    await expectError(build([0, 1], [0, 3]), 'index', /column 3 \(entry 1\) is outside 0 … 2/);
    await expectError(build([-1], [0]), 'index', /row -1 \(entry 0\)/);
    const none = () => Csr.fromEdges(device, 0, 3, { rows: [0], columns: [0] });
    await expectError(none, 'index', /row 0 \(entry 0\) is given, but there are none/);
  });

  it('refuses lists that do not fit together', async () => {
    const lists = () => Csr.fromEdges(device, 2, 2, { rows: [0, 1], columns: [0], values: [1] });
    await expectError(lists, 'sparse', /2 rows, 1 columns and 1 values/);
    const data = { rows: 2, columns: 2, columnIndex: new Uint32Array(1), values: null };
    for (const starts of [
      [0, 1],
      [0, 2, 1],
      [1, 1, 1],
      [0, 0, 0],
    ]) {
      const make = () => new Csr(device, { ...data, starts: Uint32Array.from(starts) });
      await expectError(make, 'sparse', /expected 3 starts that ascend from 0 to 1/);
    }
  });
});
