/** Sparse and dense matrices of counts inside HDF5 files, as 10x and anndata write them. */
import type { H5Tables } from './h5-tables.ts';
import {
  type CountOptions,
  checkCount,
  type SparseRows,
  sortRows,
  sparseBuilder,
} from './sparse-rows.ts';

/**
 * Reads a compressed matrix: `data`, `indices`, `indptr` in `group`.
 *
 * @param major which axis `indptr` runs over: `spots` (anndata's csr, 10x's matrices) or `genes` (anndata's csc)
 * @returns [spots, genes]
 * @throws HistogradError `bad-hdf5-table` for arrays that do not fit each other or `shape`, `bad-counts`, `not-counts`
 */
export function readCompressed(
  tables: H5Tables,
  group: string,
  shape: { spots: number; genes: number },
  major: 'spots' | 'genes',
  name: string,
  options: CountOptions,
): SparseRows {
  const [rows, columns] =
    major === 'spots' ? [shape.spots, shape.genes] : [shape.genes, shape.spots];
  const starts = readStarts(tables, group, rows);
  const count = starts[rows]!;
  const columnIndex = new Uint32Array(count);
  const values = new Float32Array(count);
  tables.blocks(`${group}/indices`, (block, first) => {
    for (let i = 0; i < block.length; i++) {
      const index = block[i]!;
      if (!(Number.isInteger(index) && index >= 0 && index < columns)) {
        throw tables.error(
          `${group}/indices: entry ${first + i} is ${index}, expected 0 … ${columns - 1}`,
        );
      }
      columnIndex[first + i] = index;
    }
  });
  tables.blocks(`${group}/data`, (block, first) => {
    for (let i = 0; i < block.length; i++) {
      const value = block[i]!;
      checkCount(value, name, () => `${group}/data, entry ${first + i}`, options);
      values[first + i] = value;
    }
  });
  const matrix = { rows, columns, starts, columnIndex, values };
  const bySpot = major === 'spots' ? matrix : transpose(matrix);
  sortRows(bySpot, name);
  return bySpot;
}

/** Reads a dense matrix [spots, genes] block by block: never whole in memory. Errors as `readCompressed`. */
export function readDenseCounts(
  tables: H5Tables,
  path: string,
  shape: { spots: number; genes: number },
  name: string,
  options: CountOptions,
): SparseRows {
  const { spots, genes } = shape;
  const found = tables.shape(path) ?? [];
  if (found.length !== 2 || found[0] !== spots || found[1] !== genes) {
    throw tables.error(
      `${path} has the shape [${found.join(', ')}], expected [${spots}, ${genes}] (spots, genes)`,
    );
  }
  const builder = sparseBuilder(spots, genes);
  tables.blocks(path, (block, first) => {
    for (let i = 0; i < block.length; i++) {
      const value = block[i]!;
      if (value === 0) continue;
      const row = Math.floor((first + i) / genes);
      const column = (first + i) % genes;
      checkCount(value, name, () => `${path}, spot ${row}, gene ${column} (from 0)`, options);
      builder.add(row, column, value);
    }
  });
  return builder.finish(name);
}

function readStarts(tables: H5Tables, group: string, rows: number): Uint32Array {
  const [data, indices, pointers] = ['data', 'indices', 'indptr'].map((key) => {
    const shape = tables.shape(`${group}/${key}`);
    if (shape?.length !== 1) {
      throw tables.error(
        `${group}/${key} ${shape ? `has the shape [${shape.join(', ')}]` : 'is missing'}, expected a list of numbers`,
      );
    }
    return shape[0]!;
  });
  if (data !== indices || pointers !== rows + 1) {
    throw tables.error(
      `${group} has ${data} data, ${indices} indices and ${pointers} indptr, expected as many data as indices and ${rows + 1} indptr`,
    );
  }
  const starts = tables.numbers(`${group}/indptr`);
  const wrong = starts.findIndex((start, r) => {
    const least = r === 0 ? 0 : starts[r - 1]!;
    return !(Number.isInteger(start) && start >= least && (r > 0 || start === 0));
  });
  if (wrong >= 0 || starts[rows] !== data) {
    throw tables.error(
      wrong >= 0
        ? `${group}/indptr: entry ${wrong} is ${starts[wrong]}, expected to ascend from 0`
        : `${group}/indptr ends at ${starts[rows]}, expected ${data}, the number of values`,
    );
  }
  if (data! > 2 ** 31)
    throw tables.error(`${group} has ${data} values, expected at most ${2 ** 31}`);
  return Uint32Array.from(starts);
}

function transpose({ rows, columns, starts, columnIndex, values }: SparseRows): SparseRows {
  const outStarts = new Uint32Array(columns + 1);
  for (const column of columnIndex) outStarts[column + 1]! += 1;
  for (let c = 0; c < columns; c++) outStarts[c + 1]! += outStarts[c]!;
  const next = outStarts.slice();
  const outIndex = new Uint32Array(columnIndex.length);
  const outValues = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let p = starts[r]!; p < starts[r + 1]!; p++) {
      const at = next[columnIndex[p]!]!++;
      outIndex[at] = r;
      outValues[at] = values[p]!;
    }
  }
  return {
    rows: columns,
    columns: rows,
    starts: outStarts,
    columnIndex: outIndex,
    values: outValues,
  };
}
