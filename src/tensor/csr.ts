/**
 * A constant sparse matrix in compressed rows: row r holds the columns columnIndex[starts[r]] … and as many values (1 where
 * there are none). What kernels need of it is uploaded once, on first use, and lives until `dispose`.
 */
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { keep } from './scope.ts';
import { Tensor } from './tensor.ts';

/** Longer rows are added up in runs of RUN elements first, so that they use many threads. */
const LONGEST_ROW = 256;
const RUN = 128;

export interface CsrData {
  readonly rows: number;
  readonly columns: number;
  /** Ascending from 0; one entry more than rows. */
  readonly starts: Uint32Array;
  readonly columnIndex: Uint32Array;
  /** One per column index; null for ones. */
  readonly values: Float32Array | null;
}

/** Nonzero elements in any order; those at the same place add up. */
export interface Edges {
  readonly rows: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
  readonly values?: ArrayLike<number> | null;
}

export class Csr implements CsrData {
  readonly device: Device;
  readonly rows: number;
  readonly columns: number;
  readonly starts: Uint32Array;
  readonly columnIndex: Uint32Array;
  readonly values: Float32Array | null;
  readonly #tensors = new Map<string, Tensor>();
  #transpose: Csr | null = null;
  #split: { runs: Csr; sums: Csr } | null | undefined;

  constructor(device: Device, { rows, columns, starts, columnIndex, values }: CsrData) {
    this.device = device;
    this.rows = rows;
    this.columns = columns;
    this.starts = starts;
    this.columnIndex = columnIndex;
    this.values = values;
    const ascends = starts.every((s, r) => s >= (starts[r - 1] ?? 0));
    const count = columnIndex.length;
    const fits = starts.length === rows + 1 && starts[0] === 0 && starts[rows] === count;
    if (!fits || !ascends || (values && values.length !== count)) {
      throw new HistogradError(
        'sparse',
        `Csr: expected ${rows + 1} starts that ascend from 0 to ${count}, the number of column indices, and as many values if any; ` +
          `found ${starts.length} starts from ${starts[0]} to ${starts.at(-1)}${values ? ` and ${values.length} values` : ''}.`,
        'Use Csr.fromEdges to build the matrix from a list of its elements.',
      );
    }
    checkIndices('Csr', 'column', columnIndex, columns);
  }

  /** A matrix [rows, columns] from its nonzero elements; within a row they keep the order given. */
  static fromEdges(device: Device, rows: number, columns: number, edges: Edges): Csr {
    const count = edges.rows.length;
    const { values = null } = edges;
    if (edges.columns.length !== count || (values && values.length !== count)) {
      throw new HistogradError(
        'sparse',
        `Csr.fromEdges: ${count} rows, ${edges.columns.length} columns and ${values?.length ?? 'no'} values do not make a list of elements.`,
        'Give a row, a column and, if not 1, a value for each element.',
      );
    }
    checkIndices('Csr.fromEdges', 'row', edges.rows, rows);
    checkIndices('Csr.fromEdges', 'column', edges.columns, columns);
    const starts = new Uint32Array(rows + 1);
    for (let e = 0; e < count; e++) starts[edges.rows[e]! + 1]! += 1;
    for (let r = 0; r < rows; r++) starts[r + 1]! += starts[r]!;
    const next = starts.slice();
    const columnIndex = new Uint32Array(count);
    const sorted = values && new Float32Array(count);
    for (let e = 0; e < count; e++) {
      const at = next[edges.rows[e]!]!++;
      columnIndex[at] = edges.columns[e]!;
      if (sorted) sorted[at] = values[e]!;
    }
    return new Csr(device, { rows, columns, starts, columnIndex, values: sorted });
  }

  /** The same with each row divided by its sum: a product takes means. Rows without elements stay empty. */
  normalizeRows(): Csr {
    const values = this.#valueArray();
    for (let r = 0; r < this.rows; r++) {
      const row = values.subarray(this.starts[r], this.starts[r + 1]);
      const total = row.reduce((sum, v) => sum + v, 0);
      for (let p = 0; p < row.length; p++) row[p]! /= total;
    }
    return new Csr(this.device, { ...this.#data(), values });
  }

  /** The transposed matrix; made once, and disposed of with this one. */
  get transpose(): Csr {
    if (this.#transpose) return this.#transpose;
    const rows = new Uint32Array(this.columnIndex.length);
    for (let r = 0; r < this.rows; r++) rows.fill(r, this.starts[r], this.starts[r + 1]);
    const edges = { rows: this.columnIndex, columns: rows, values: this.values };
    this.#transpose = Csr.fromEdges(this.device, this.columns, this.rows, edges);
    return this.#transpose;
  }

  /** As a product of two matrices with short rows, where rows are long; else null. */
  get split(): { runs: Csr; sums: Csr } | null {
    if (this.#split !== undefined) return this.#split;
    const longest = this.starts.reduce((m, s, r, all) => Math.max(m, s - (all[r - 1] ?? 0)), 0);
    if (longest <= LONGEST_ROW) {
      this.#split = null;
      return null;
    }
    const runStarts: number[] = [];
    const sumStarts = [0];
    for (let r = 0; r < this.rows; r++) {
      for (let p = this.starts[r]!; p < this.starts[r + 1]!; p += RUN) runStarts.push(p);
      sumStarts.push(runStarts.length);
    }
    const count = runStarts.length;
    runStarts.push(this.columnIndex.length);
    this.#split = {
      runs: new Csr(this.device, {
        ...this.#data(),
        rows: count,
        starts: Uint32Array.from(runStarts),
      }),
      sums: new Csr(this.device, {
        rows: this.rows,
        columns: count,
        starts: Uint32Array.from(sumStarts),
        columnIndex: Uint32Array.from({ length: count }, (_, i) => i),
        values: null,
      }),
    };
    return this.#split;
  }

  /** The arrays on the GPU. */
  get tensors(): { starts: Tensor; columnIndex: Tensor; values: Tensor | null } {
    return {
      starts: this.#tensor('starts', this.starts),
      columnIndex: this.#tensor('columnIndex', this.columnIndex),
      values: this.values && this.#tensor('values', this.values),
    };
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
    this.#transpose?.dispose();
    this.#transpose = null;
    this.#split?.runs.dispose();
    this.#split?.sums.dispose();
    this.#split = undefined;
  }

  #data(): CsrData {
    const { rows, columns, starts, columnIndex, values } = this;
    return { rows, columns, starts, columnIndex, values };
  }

  #valueArray(): Float32Array {
    return this.values?.slice() ?? new Float32Array(this.columnIndex.length).fill(1);
  }

  #tensor(name: string, data: Uint32Array | Float32Array): Tensor {
    let tensor = this.#tensors.get(name);
    if (!tensor) {
      tensor = keep(Tensor.from(this.device, data));
      this.#tensors.set(name, tensor);
    }
    return tensor;
  }
}

/** Throws, naming the first index outside 0 … length − 1 and where it stands. */
export function checkIndices(
  where: string,
  what: string,
  indices: ArrayLike<number>,
  length: number,
): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (Number.isInteger(index) && index >= 0 && index < length) continue;
    const range = length > 0 ? `outside 0 … ${length - 1}` : 'given, but there are none';
    throw new HistogradError(
      'index',
      `${where}: ${what} ${index} (entry ${i}) is ${range}.`,
      'Correct the indices.',
    );
  }
}
