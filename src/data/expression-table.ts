/** Bulk expression tables: CSV or TSV text, one row per sample or one row per gene. */
import Papa from 'papaparse';
import { HistogradError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';

/** Expression of every sample and gene. */
export interface ExpressionTable {
  /** Names of the rows. */
  readonly samples: readonly string[];
  /** Names of the columns. */
  readonly genes: readonly string[];
  /** [samples, genes], row-major. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** How to read a table. */
export interface ExpressionOptions {
  /**
   * Where the genes are. `auto` (default): whichever way has the known samples; without `knownSample`, as columns.
   */
  readonly orientation?: 'auto' | 'genes-as-columns' | 'genes-as-rows' | undefined;
  /** Whether a name is one of the cohort's samples; only used by `auto`. */
  readonly knownSample?: ((name: string) => boolean) | undefined;
}

/**
 * Builds a table row by row, so that a file can be streamed: give every row of cells to `row`, then call `finish`.
 *
 * The first row is the header, the first cell of every row its name; R's headers, which lack a first cell, are read too.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-expression`: no rows or columns, a row of another length, a missing cell or one that is no
 *   finite float32 number (naming row and column); `duplicate-gene`, `duplicate-sample`; `unknown-orientation`: `auto`
 *   finds no known sample either way, or equally many both ways
 */
export function expressionTableBuilder(name: string, options: ExpressionOptions = {}) {
  let header: string[] | undefined;
  const rowNames: string[] = [];
  const rows: Float32Array[] = [];

  return {
    row(cells: string[]): void {
      if (header === undefined) {
        header = cells.map((cell, i) => (i === 0 ? cell.replace(/^\uFEFF/, '') : cell).trim());
        return;
      }
      if (rows.length === 0) header = dropCorner(header, cells.length);
      const rowName = (cells[0] ?? '').trim();
      if (cells.length !== header.length + 1) {
        throw bad(
          name,
          `row ${rowName || rows.length + 1} has ${cells.length - 1} values, the header names ${header.length} columns`,
        );
      }
      const values = new Float32Array(header.length);
      for (let column = 0; column < values.length; column++) {
        values[column] = parseCell(cells[column + 1] ?? '', rowName, header[column] ?? '', name);
      }
      rowNames.push(rowName);
      rows.push(values);
    },

    finish(): ExpressionTable {
      if (header === undefined || rows.length === 0 || header.length === 0) {
        throw bad(name, 'it needs a header line, and at least one row and one column of values');
      }
      const transposed = genesAreRows(header, rowNames, name, options);
      const samples = transposed ? header : rowNames;
      const genes = transposed ? rowNames : header;
      checkNames(samples, 'sample', name);
      checkNames(genes, 'gene', name);
      return { samples, genes, values: pack(rows, header.length, transposed) };
    },
  };
}

/** Reads a table from text: commas, tabs or semicolons. Errors as `expressionTableBuilder`. */
export function parseExpressionTable(
  text: string,
  name: string,
  options: ExpressionOptions = {},
): ExpressionTable {
  const builder = expressionTableBuilder(name, options);
  const { data } = Papa.parse<string[]>(text, delimitedTextConfig(name));
  for (const cells of data) builder.row(cells);
  return builder.finish();
}

/** Papa Parse's settings for a delimited file: tabs for .tsv, else whichever separator its first lines show. */
export function delimitedTextConfig(name: string) {
  return {
    delimiter: /\.tsv(\.gz)?$/i.test(name) ? '\t' : '',
    delimitersToGuess: [',', '\t', ';'],
    skipEmptyLines: true as const,
  };
}

/**
 * The table with the given genes only, in their order.
 *
 * @throws HistogradError `unknown-gene`, which lists the unknown ones and the nearest names of the table;
 *   `duplicate-gene` when a gene is asked for twice
 */
export function selectGenes(
  table: ExpressionTable,
  genes: readonly string[],
  name: string,
): ExpressionTable {
  const columnOf = new Map(table.genes.map((gene, column) => [gene, column]));
  const unknown = genes.filter((gene) => !columnOf.has(gene));
  if (unknown.length > 0) {
    const shown = unknown.slice(0, 5).map((gene) => {
      const near = nearestNames(gene, table.genes);
      return near.length > 0 ? `${gene} (did you mean ${near.join(', ')}?)` : gene;
    });
    const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : '';
    throw new HistogradError(
      'unknown-gene',
      `${name} does not have ${unknown.length} of the ${genes.length} genes asked for: ${shown.join(', ')}${more}.`,
      'Correct the gene list; the table may use other symbols (aliases, Ensembl ids).',
    );
  }
  checkNames(genes, 'gene', 'The gene list');
  const columns = genes.map((gene) => columnOf.get(gene) ?? 0);
  const width = table.genes.length;
  const values = new Float32Array(table.samples.length * columns.length);
  for (let row = 0; row < table.samples.length; row++) {
    for (let i = 0; i < columns.length; i++) {
      values[row * columns.length + i] = table.values[row * width + columns[i]!]!;
    }
  }
  return { samples: table.samples, genes: [...genes], values };
}

/** A header has a cell above the row names, except in R's `write.table`. */
function dropCorner(header: string[], cellsPerRow: number): string[] {
  return header.length === cellsPerRow ? header.slice(1) : header;
}

function parseCell(cell: string, row: string, column: string, name: string): number {
  const text = cell.trim();
  const value = Number(text);
  // Number() also takes 0x1F, which is no expression value; and float32 holds less than float64.
  if (text !== '' && Number.isFinite(Math.fround(value)) && !/^0[xob]/i.test(text)) return value;
  const missing = /^(|na|n\/a|nan|null|none|#n\/a)$/i.test(text);
  throw bad(
    name,
    missing
      ? `row ${row}, column ${column} is missing${text === '' ? '' : ` (${text})`}`
      : `row ${row}, column ${column} holds ${JSON.stringify(text.slice(0, 40))}, which is not a number`,
  );
}

function genesAreRows(
  columns: readonly string[],
  rows: readonly string[],
  name: string,
  { orientation = 'auto', knownSample }: ExpressionOptions,
): boolean {
  if (orientation !== 'auto') return orientation === 'genes-as-rows';
  if (knownSample === undefined) return false;
  const inColumns = columns.filter(knownSample).length;
  const inRows = rows.filter(knownSample).length;
  if (inColumns !== inRows) return inColumns > inRows;
  const first = (names: readonly string[]) => names.slice(0, 3).join(', ');
  throw new HistogradError(
    'unknown-orientation',
    inRows === 0
      ? `${name}: neither its rows (${first(rows)}, …) nor its columns (${first(columns)}, …) are samples of the slides.`
      : `${name}: ${inRows} rows and as many columns are samples of the slides, so it is unclear where the genes are.`,
    inRows === 0
      ? 'Name the samples as the feature files are named, or pass a CSV that gives each slide its patient.'
      : "Say which with the orientation option: 'genes-as-columns' or 'genes-as-rows'.",
  );
}

function checkNames(names: readonly string[], kind: 'gene' | 'sample', file: string): void {
  const seen = new Set<string>();
  for (const [i, name] of names.entries()) {
    if (name === '') throw bad(file, `${kind} number ${i + 1} has no name`);
    if (seen.has(name)) {
      throw new HistogradError(
        `duplicate-${kind}`,
        `${file} has the ${kind} ${name} twice.`,
        `Keep one of them (or their mean): each ${kind} may appear once.`,
      );
    }
    seen.add(name);
  }
}

function pack(
  rows: readonly Float32Array[],
  width: number,
  transposed: boolean,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rows.length * width);
  for (const [r, row] of rows.entries()) {
    if (transposed) for (let c = 0; c < width; c++) values[c * rows.length + r] = row[c]!;
    else values.set(row, r * width);
  }
  return values;
}

function bad(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-expression',
    `${name} is not a usable expression table: ${problem}.`,
    'Expected CSV or TSV: a header line, names in the first column, and a number in every other cell.',
  );
}
