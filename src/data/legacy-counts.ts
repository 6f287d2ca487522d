/** Count tables of legacy Spatial Transcriptomics, whose spots are called `XxY`, read piece by piece. */
import { lineSplitter } from './line-splitter.ts';
import {
  badCounts,
  type CountOptions,
  checkCount,
  type SparseRows,
  sparseBuilder,
} from './sparse-rows.ts';
import { checkSpotIds, examples } from './spots.ts';

/** A line holds one number per gene. */
const MAX_LINE = 1 << 24;
/** Far more spots, or genes, than an array or a genome has. */
const MAX_LINES = 1 << 20;
const MAX_CELLS = 2 ** 30;
/** `10x13`, `16.92x9.015`, and `10x13_2` from joined sections. */
export const SPOT_NAME = /^(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(?:_\d+)?$/;

/** A count table. */
export interface LegacyCounts {
  /** As in the table. */
  readonly ids: readonly string[];
  /** As in the table; names may repeat. */
  readonly genes: readonly string[];
  /** [ids, genes] */
  readonly counts: SparseRows;
}

/**
 * Reads a table as its bytes come: tabs or commas, spots as rows (her2st) or as columns, told by the names `XxY`. Give every
 * piece to `push`, then call `finish`. Only counts above 0 are kept in memory.
 *
 * @throws HistogradError `bad-counts`, `not-counts`, `duplicate-spot`
 */
export function legacyCountsReader(name: string, options: CountOptions = {}) {
  let separator = '\t';
  let taken = 0;
  let cellCount = 0;
  let header: string[] | undefined;
  const rowNames: string[] = [];
  // The number of rows is known at the end; a builder only needs it then.
  const rows: { columns: Uint32Array; values: Float32Array }[] = [];

  const take = (line: string): void => {
    // Zeros and blank lines leave nothing in memory, and compress a thousandfold: they are counted.
    if (++taken > MAX_LINES) throw badCounts(name, `it has more than ${MAX_LINES} lines`);
    if (line.trim() === '') return;
    if (header === undefined) {
      separator = line.includes('\t') ? '\t' : ',';
      header = cellsOf(line.replace(/^\uFEFF/, ''));
      return;
    }
    const cells = cellsOf(line);
    if (rows.length === 0 && header.length === cells.length) header = header.slice(1);
    const [rowName = ''] = cells;
    if (cells.length !== header.length + 1) {
      throw badCounts(
        name,
        `row ${rowName.slice(0, 40)} has ${cells.length - 1} values, the header names ${header.length} columns`,
      );
    }
    cellCount += header.length;
    if (cellCount > MAX_CELLS) throw badCounts(name, `it has more than ${MAX_CELLS} values`);
    const columns: number[] = [];
    const values: number[] = [];
    for (let c = 1; c < cells.length; c++) {
      const text = cells[c]!;
      if (text === '0') continue;
      const value = text === '' ? Number.NaN : Number(text);
      const column = header[c - 1];
      checkCount(
        value,
        name,
        () => `row ${rowName}, column ${column} ("${text.slice(0, 20)}")`,
        options,
      );
      if (value === 0) continue;
      columns.push(c - 1);
      values.push(value);
    }
    rowNames.push(rowName);
    rows.push({ columns: Uint32Array.from(columns), values: Float32Array.from(values) });
  };

  const cellsOf = (line: string) =>
    line
      .replace(/\r$/, '')
      .split(separator)
      .map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

  const lines = lineSplitter(take, MAX_LINE, () =>
    badCounts(name, `a line is longer than ${MAX_LINE} letters`),
  );

  return {
    push(chunk: Uint8Array): void {
      lines.push(chunk);
    },
    finish(): LegacyCounts {
      lines.finish();
      if (header === undefined || rows.length === 0) {
        throw badCounts(name, 'it needs a header line and at least one row of counts');
      }
      const spotColumns = header.filter((cell) => SPOT_NAME.test(cell)).length;
      const spotRows = rowNames.filter((cell) => SPOT_NAME.test(cell)).length;
      if (spotColumns === 0 && spotRows === 0) {
        throw badCounts(
          name,
          `neither its rows (${examples(rowNames)}) nor its columns (${examples(header)}) are spots called like 10x13`,
        );
      }
      const swap = spotColumns > spotRows;
      const [ids, genes] = swap ? [header, rowNames] : [rowNames, header];
      checkSpotIds(ids, name);
      const builder = sparseBuilder(ids.length, genes.length);
      for (const [r, { columns, values }] of rows.entries()) {
        for (const [i, c] of columns.entries()) {
          if (swap) builder.add(c, r, values[i]!);
          else builder.add(r, c, values[i]!);
        }
      }
      return { ids, genes, counts: builder.finish(name) };
    },
  };
}
