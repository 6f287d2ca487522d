/** Sparse matrices of counts by rows, and what may be a count. */
import { HistogradError } from '../errors.ts';

/** A sparse matrix by rows, in the form that `new Csr(device, ...)` takes. */
export interface SparseRows {
  readonly rows: number;
  readonly columns: number;
  /** Ascending from 0; one entry more than rows. */
  readonly starts: Uint32Array;
  /** Ascending within a row. */
  readonly columnIndex: Uint32Array;
  /** One per column index. */
  readonly values: Float32Array;
}

const FRACTION_ADVICE =
  'Use raw counts (in .h5ad files often the layer "counts" or "raw"), or accept other values with allowFractions.';

/** Collects a sparse matrix from elements in any order; memory grows with the elements, not the shape. */
export function sparseBuilder(rows: number, columns: number) {
  let count = 0;
  let rowOf = new Uint32Array(1024);
  let columnIndex = new Uint32Array(1024);
  let values = new Float32Array(1024);
  return {
    /** Zeros are left out. Rows and columns must be in range: the caller knows what to say of others. */
    add(row: number, column: number, value: number): void {
      if (value === 0) return;
      if (count === values.length) {
        rowOf = grown(rowOf, new Uint32Array(count * 2));
        columnIndex = grown(columnIndex, new Uint32Array(count * 2));
        values = grown(values, new Float32Array(count * 2));
      }
      rowOf[count] = row;
      columnIndex[count] = column;
      values[count] = value;
      count++;
    },
    /** @throws HistogradError `bad-counts` when one place was given twice */
    finish(name: string): SparseRows {
      const starts = new Uint32Array(rows + 1);
      for (let e = 0; e < count; e++) starts[rowOf[e]! + 1]! += 1;
      for (let r = 0; r < rows; r++) starts[r + 1]! += starts[r]!;
      const next = starts.slice();
      const sortedColumns = new Uint32Array(count);
      const sortedValues = new Float32Array(count);
      for (let e = 0; e < count; e++) {
        const at = next[rowOf[e]!]!++;
        sortedColumns[at] = columnIndex[e]!;
        sortedValues[at] = values[e]!;
      }
      const matrix = { rows, columns, starts, columnIndex: sortedColumns, values: sortedValues };
      sortRows(matrix, name);
      return matrix;
    },
  };
}

function grown<T extends Uint32Array | Float32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/**
 * Sorts each row by column, in place.
 *
 * @throws HistogradError `bad-counts` when a column comes twice in a row
 */
export function sortRows({ rows, starts, columnIndex, values }: SparseRows, name: string): void {
  for (let r = 0; r < rows; r++) {
    const [from, to] = [starts[r]!, starts[r + 1]!];
    let ascends = true;
    for (let p = from + 1; p < to && ascends; p++) ascends = columnIndex[p]! > columnIndex[p - 1]!;
    if (ascends) continue;
    const order = Uint32Array.from({ length: to - from }, (_, i) => from + i);
    order.sort((a, b) => columnIndex[a]! - columnIndex[b]!);
    const sortedColumns = Uint32Array.from(order, (p) => columnIndex[p]!);
    values.set(
      Float32Array.from(order, (p) => values[p]!),
      from,
    );
    columnIndex.set(sortedColumns, from);
    const twice = sortedColumns.findIndex((column, i) => column === sortedColumns[i - 1]);
    if (twice < 0) continue;
    throw badCounts(name, `spot ${r}, gene ${sortedColumns[twice]} (from 0) is given twice`);
  }
}

/** The given rows of a matrix, in that order. */
export function takeRows(matrix: SparseRows, rows: readonly number[]): SparseRows {
  const starts = new Uint32Array(rows.length + 1);
  for (const [i, r] of rows.entries()) {
    starts[i + 1] = starts[i]! + matrix.starts[r + 1]! - matrix.starts[r]!;
  }
  const columnIndex = new Uint32Array(starts[rows.length]!);
  const values = new Float32Array(starts[rows.length]!);
  for (const [i, r] of rows.entries()) {
    const [from, to] = [matrix.starts[r]!, matrix.starts[r + 1]!];
    columnIndex.set(matrix.columnIndex.subarray(from, to), starts[i]);
    values.set(matrix.values.subarray(from, to), starts[i]);
  }
  return { rows: rows.length, columns: matrix.columns, starts, columnIndex, values };
}

/** Sum of each row: molecules per spot. */
export function rowSums({ rows, starts, values }: SparseRows): Float32Array {
  const sums = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let p = starts[r]!; p < starts[r + 1]!; p++) sum += values[p]!;
    sums[r] = sum;
  }
  return sums;
}

/** What `checkCount` should let pass. */
export interface CountOptions {
  /** Accept values that are not whole (normalised expression); default false. */
  readonly allowFractions?: boolean | undefined;
}

/** @throws HistogradError `bad-counts` unless the value is a count: finite, not negative, whole */
export function checkCount(
  value: number,
  name: string,
  where: () => string,
  { allowFractions = false }: CountOptions,
): void {
  if (value >= 0 && value < 2 ** 127 && (allowFractions || Number.isInteger(value))) return;
  if (value >= 0 && Number.isFinite(value)) {
    if (Number.isInteger(value)) throw badCounts(name, `${where()} is ${value}`);
    throw new HistogradError(
      'not-counts',
      `${name}: ${where()} is ${value}, expected a whole number of molecules.`,
      FRACTION_ADVICE,
    );
  }
  throw badCounts(name, `${where()} is ${value}, expected a count of 0 or more`);
}

/** A table of counts that cannot be used. */
export function badCounts(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-counts',
    `${name}: ${problem}.`,
    'The table is damaged or does not hold raw counts: download or export it again.',
  );
}
