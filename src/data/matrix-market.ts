/**
 * Counts in MatrixMarket's coordinate format, genes by spots as 10x writes them, read piece by piece.
 *
 * Source: https://math.nist.gov/MatrixMarket/formats.html. Indices there start at 1.
 */
import { HistogradError } from '../errors.ts';
import { lineSplitter } from './line-splitter.ts';
import { type CountOptions, checkCount, type SparseRows, sparseBuilder } from './sparse-rows.ts';

/** No line of the format is nearly as long; more is no text. */
const MAX_LINE = 4096;
/** Comments and blanks are allowed, but not without end: a bomb of spaces stops here. */
const FREE_BYTES = 1 << 20;
const MAX_BYTES_PER_ENTRY = 128;

/** The file's other axes: what its size line has to say. */
export interface MatrixMarketShape {
  /** Rows of the file. */
  readonly genes: number;
  /** Columns of the file. */
  readonly spots: number;
}

/**
 * Reads a matrix as its bytes come: give every piece to `push`, then call `finish`. Memory grows with
 * the entries read, whatever the size line claims.
 *
 * @param shape what the gene and spot lists say; another size is an error before anything is read
 * @returns in `finish`, the transpose of the file: [spots, genes]
 * @throws HistogradError `bad-mtx` for another format or shape, an index out of range, a wrong number of
 *   entries; `bad-counts`, `not-counts` as `checkCount`
 */
export function matrixMarketReader(
  name: string,
  { genes, spots }: MatrixMarketShape,
  options: CountOptions = {},
) {
  const builder = sparseBuilder(spots, genes);
  let line = 0;
  let bytes = 0;
  let pattern = false;
  let declared: number | undefined;
  let found = 0;

  const header = (text: string): void => {
    const words = text.trim().toLowerCase().split(/\s+/);
    const [banner, object, format, field = '', symmetry = ''] = words;
    if (banner !== '%%matrixmarket' || object !== 'matrix' || format !== 'coordinate') {
      throw bad(
        name,
        `it starts with ${JSON.stringify(text.slice(0, 60))}, expected "%%MatrixMarket matrix coordinate integer general"`,
      );
    }
    if (!['integer', 'real', 'pattern'].includes(field) || symmetry !== 'general') {
      throw bad(
        name,
        `it holds "${field} ${symmetry}" entries, expected "integer general" (or real, or pattern)`,
      );
    }
    pattern = field === 'pattern';
  };

  const size = (text: string): void => {
    const numbers = text.trim().split(/\s+/).map(Number);
    const [rows, columns, entries] = numbers;
    if (rows === undefined || columns === undefined || entries === undefined) {
      throw bad(
        name,
        `line ${line}: expected rows, columns and entries, found "${text.slice(0, 60)}"`,
      );
    }
    if (rows !== genes || columns !== spots) {
      const swapped = rows === spots && columns === genes ? ' (it is transposed)' : '';
      throw bad(
        name,
        `it is ${rows} x ${columns}, expected ${genes} genes x ${spots} spots, as its lists say${swapped}`,
      );
    }
    if (!Number.isInteger(entries) || entries < 0 || entries > rows * columns) {
      throw bad(name, `line ${line} announces ${entries} entries in ${rows} x ${columns}`);
    }
    declared = entries;
  };

  const entry = (text: string): void => {
    if (found === declared) throw bad(name, `it has more than the ${declared} entries announced`);
    const words = text.trim().split(/\s+/);
    if (words.length !== (pattern ? 2 : 3)) {
      throw bad(
        name,
        `line ${line}: expected gene, spot${pattern ? '' : ' and count'}, found "${text.slice(0, 60)}"`,
      );
    }
    const gene = index(words[0]!, genes, 'gene');
    const spot = index(words[1]!, spots, 'spot');
    const value = pattern ? 1 : Number(words[2]);
    checkCount(value, name, () => `line ${line}, gene ${gene}, spot ${spot}`, options);
    builder.add(spot - 1, gene - 1, value);
    found++;
  };

  const index = (word: string, limit: number, what: string): number => {
    const value = Number(word);
    if (Number.isInteger(value) && value >= 1 && value <= limit) return value;
    const hint = value === 0 ? ' (the format counts from 1)' : '';
    throw bad(name, `line ${line}: ${what} ${word.slice(0, 40)} is outside 1 … ${limit}${hint}`);
  };

  const take = (text: string): void => {
    line++;
    if (line === 1) header(text);
    else if (text.startsWith('%') || text.trim() === '') return;
    else if (declared === undefined) size(text);
    else entry(text);
  };

  const lines = lineSplitter(take, MAX_LINE, () =>
    bad(name, `line ${line + 1} is longer than ${MAX_LINE} letters`),
  );

  return {
    push(chunk: Uint8Array): void {
      bytes += chunk.length;
      lines.push(chunk);
      if (bytes > FREE_BYTES + (declared ?? 0) * MAX_BYTES_PER_ENTRY) {
        throw bad(name, `it is far longer than its ${declared ?? 0} entries need`);
      }
    },
    finish(): SparseRows {
      lines.finish();
      if (declared === undefined) throw bad(name, 'it ends before its size line');
      if (found !== declared) {
        throw bad(name, `it ends after ${found} of the ${declared} entries announced`);
      }
      return builder.finish(name);
    },
  };
}

function bad(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-mtx',
    `${name} is not a usable MatrixMarket file: ${problem}.`,
    'Use the matrix, barcodes and features of one folder; if they belong together, copy the file again.',
  );
}
