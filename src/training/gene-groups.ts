/** How genes are divided over models: one model for all, chunks, or a model per gene. */
import { HistogradError } from '../errors.ts';

/** `all`, `per-gene`, or `chunks:K` with K genes per model. */
export type GeneRegime = 'all' | 'per-gene' | `chunks:${number}`;

/** Genes start … end − 1 of the list go to one model. */
export interface GeneGroup {
  /** Fit for a folder's name. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** @throws HistogradError `bad-option` for anything but `all`, `per-gene` and `chunks:K` */
export function parseGeneRegime(text: string): GeneRegime {
  if (text === 'all' || text === 'per-gene') return text;
  const size = Number(/^chunks:([1-9]\d*)$/.exec(text)?.[1]);
  if (Number.isSafeInteger(size)) return `chunks:${size}`;
  throw new HistogradError(
    'bad-option',
    `The gene regime is '${text}', expected all, per-gene or chunks:K (K genes per model).`,
    'For example: --gene-regime chunks:1024',
  );
}

/** One regime, or several with commas, to compare their cost. */
export function parseGeneRegimes(text: string): GeneRegime[] {
  return [...new Set(text.split(',').map((part) => parseGeneRegime(part.trim())))];
}

/** In the report's words. */
export function regimeTitle(regime: GeneRegime): string {
  if (regime === 'all') return 'all genes';
  return regime === 'per-gene' ? 'per gene' : `chunks of ${regime.slice(7)}`;
}

export function geneGroups(genes: readonly string[], regime: GeneRegime): GeneGroup[] {
  const { length } = genes;
  if (regime === 'all') return [{ name: 'all', start: 0, end: length }];
  const size = regime === 'per-gene' ? 1 : Number(regime.slice(7));
  const digits = String(length - 1).length;
  const pad = (n: number) => String(n).padStart(digits, '0');
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => {
    const start = i * size;
    const end = Math.min(length, start + size);
    const name = size === 1 ? `gene-${pad(start)}` : `genes-${pad(start)}-${pad(end - 1)}`;
    return { name, start, end };
  });
}

/** Columns start … end − 1 of a [·, columns] matrix. */
export function takeColumns(
  values: Float32Array,
  columns: number,
  { start, end }: GeneGroup,
): Float32Array {
  if (end - start === columns) return values;
  const width = end - start;
  const out = new Float32Array((values.length / columns) * width);
  for (let row = 0; row * columns < values.length; row++) {
    out.set(values.subarray(row * columns + start, row * columns + end), row * width);
  }
  return out;
}

/** The reverse: writes a group's columns into a [·, columns] matrix. */
export function putColumns(
  into: Float32Array,
  columns: number,
  { start, end }: GeneGroup,
  values: Float32Array,
): void {
  const width = end - start;
  for (let row = 0; row * width < values.length; row++) {
    into.set(values.subarray(row * width, (row + 1) * width), row * columns + start);
  }
}
