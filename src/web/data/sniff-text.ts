/** What a text file is, by its first lines. */
import Papa from 'papaparse';
import { delimitedTextConfig } from '../../data/expression-table.ts';
import { SPOT_NAME } from '../../data/legacy-counts.ts';
import { baseName } from './file-bytes.ts';
import type { Found } from './found.ts';

const BARCODE = /^[ACGTN]{8,}(-\d+)?$/;
/** Lines that are looked at. */
const LINES = 30;

/**
 * @param text the file, or its beginning
 * @param whole the text is all of it
 * @returns undefined when `text` ends before the second line does: more of the file is needed
 */
export function sniffText(text: string, path: string, whole: boolean): Found | undefined {
  const start = text.replace(/^\uFEFF/, '').trimStart();
  if (start === '') return ignored('it is empty');
  const known = knownStart(start);
  if (known) return known;

  const lines = start.split(/\r?\n/, LINES + 1);
  if (!whole && lines.length <= LINES) lines.pop();
  const filled = lines.slice(0, LINES).filter((line) => line.trim() !== '');
  if (!whole && filled.length < 2) return undefined;
  if (whole && isAlignment(start)) return { is: 'alignment' };

  const { data } = Papa.parse<string[]>(filled.join('\n'), delimitedTextConfig(path));
  const cells = data.map((row) => row.map((cell) => cell.trim()));
  const [header = [], ...rows] = cells;
  return tableByHeader(header, rows) ?? tableByCells(header, rows, cells, path);
}

/** Files that say what they are. */
function knownStart(start: string): Found | undefined {
  if (/^%%MatrixMarket/i.test(start)) return { is: 'mtx' };
  if (start.startsWith('version https://git-lfs')) {
    return ignored('it is a Git LFS pointer, not the file itself: fetch it with git lfs pull');
  }
  if (/^<(!doctype|html|\?xml)/i.test(start)) {
    return ignored('it is a web page or XML: a download that failed?');
  }
  if (start.startsWith('{')) {
    if (start.includes('"tissue_hires_scalef"')) return { is: 'scales' };
    if (/^\{\s*"[^"]*"[\s\S]*"sections"|^\{\s*"sections"/.test(start.slice(0, 4096))) {
      return { is: 'pack-sections' };
    }
    return ignored('it is JSON that says nothing about spots');
  }
  if (start.startsWith('[')) {
    return start.slice(0, 4096).includes('"symbol"')
      ? { is: 'pack-genes' }
      : ignored('it is JSON that says nothing about genes');
  }
  return undefined;
}

/** Tables that are told by the names of their columns. */
function tableByHeader(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): Found | undefined {
  const has = (...names: string[]) => names.every((name) => header.includes(name));
  if (has('barcode', 'in_tissue')) return { is: 'positions' };
  if (has('x', 'y', 'pixel_x', 'pixel_y')) return { is: 'spot-file' };
  if (has('section', 'index', 'array_x', 'array_y', 'px_x', 'px_y')) return { is: 'pack-spots' };
  if (has('slide', 'patient')) return { is: 'patients' };
  if (has('patient') && rows.some((row) => row.some((cell) => !isNumber(cell) && cell !== ''))) {
    return ignored(
      `it has a column "patient", but none called "slide": found ${header.slice(0, 5).join(', ')}`,
    );
  }
  return undefined;
}

/** Tables that are told by what stands in them. */
function tableByCells(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  all: readonly (readonly string[])[],
  path: string,
): Found {
  const name = baseName(path);
  // Space Ranger 1 writes positions without a header.
  if (
    all.every((row) => row.length === 6 && /^[01]$/.test(row[1] ?? '') && isNumber(row[4] ?? ''))
  ) {
    return { is: 'positions' };
  }
  if (all.every((row) => row.length === 1)) {
    const barcodes = all.filter(([cell = '']) => BARCODE.test(cell)).length;
    return barcodes > all.length / 2 || /barcodes/i.test(name)
      ? { is: 'barcodes' }
      : ignored('it is a list or a text, not a table');
  }
  const words = rows.length > 0 && rows.every(([, second = '']) => !isNumber(second));
  if (words && (/(features|genes)\.tsv/i.test(name) || all.every((row) => isFeature(row)))) {
    return { is: 'feature-list' };
  }
  const numeric = rows.filter((row) => row.length > 1 && row.slice(1).every(isValue)).length;
  if (rows.length === 0 || numeric < rows.length) {
    return ignored(describeOdd(header, rows));
  }
  const names = rows.map(([first = '']) => first);
  const spots = (cells: readonly string[]) => cells.filter((cell) => SPOT_NAME.test(cell)).length;
  if (spots(names) > names.length / 2 || spots(header) > header.length / 2) {
    return { is: 'legacy-counts' };
  }
  const width = rows[0]?.length ?? 0;
  return {
    is: 'expression',
    table: { header: header.length === width ? header.slice(1) : header, firstNames: names },
  };
}

function describeOdd(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = rows.find((cells) => !cells.slice(1).every(isValue) || cells.length < 2);
  const at = row?.findIndex((cell, i) => i > 0 && !isValue(cell)) ?? -1;
  return row === undefined || at < 1
    ? 'it is a text, not a table of numbers'
    : `it is no table of numbers: column ${header[at] || at + 1} holds "${row[at]?.slice(0, 30)}"`;
}

/** Space Ranger's `id, name, type`, or Cell Ranger 2's `id, name`. */
function isFeature(row: readonly string[]): boolean {
  return row[2] === 'Gene Expression' || (row.length === 2 && /^ENS\w*G\d+/.test(row[0] ?? ''));
}

function isAlignment(text: string): boolean {
  const words = text.trim().split(/[\s,]+/);
  return words.length === 9 && words.every(isNumber);
}

function isNumber(text: string): boolean {
  return text !== '' && Number.isFinite(Number(text));
}

/** A number or one of the ways to write that it is missing. */
function isValue(text: string): boolean {
  return isNumber(text) || /^(|na|n\/a|nan|null|none|inf|-inf)$/i.test(text);
}

function ignored(note: string): Found {
  return { is: 'ignored', note };
}
