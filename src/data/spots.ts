/**
 * A section of spatial transcriptomics: its spots, their counts in sparse rows, and where they lie on
 * its image. The one form that every reader of a spatial format gives.
 */
import { HistogradError } from '../errors.ts';
import type { RgbImage } from '../slides/slide.ts';
import type { ExpressionTable } from './expression-table.ts';

/** One spot. */
export interface Spot {
  /** Barcode, or `XxY` in legacy tables. */
  readonly id: string;
  /** Centre in level-0 pixels of the section's image (see `SpotSection.pixelSpace`). */
  readonly x: number;
  readonly y: number;
  /** Position in the array of spots. In Visium's staggered array, neighbours of a row are 2 columns apart. */
  readonly row: number;
  readonly column: number;
  readonly inTissue: boolean;
}

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

/**
 * Which image the coordinates are pixels of: `fullres` is the microscope's image, `hires` and `lowres`
 * are the reduced copies of 10x folders and .h5ad files, `image` is any other, the one at `imagePath`.
 */
type PixelSpace = 'fullres' | 'hires' | 'lowres' | 'image';

/** A tissue section. */
export interface SpotSection {
  readonly name: string;
  readonly spots: readonly Spot[];
  /** Symbols, made unique: one per column of `counts`. */
  readonly genes: readonly string[];
  /** Ensembl ids in the order of `genes`, where the source has them. */
  readonly geneIds?: readonly string[];
  /** [spots, genes] */
  readonly counts: SparseRows;
  /** Molecules per spot over all genes, where `counts` holds only some of them. */
  readonly totals?: Float32Array;
  readonly pixelSpace: PixelSpace;
  /** The image that the coordinates belong to, where it was found. */
  readonly imagePath?: string;
  /** That image where the source holds it as an array (.h5ad). */
  readonly image?: RgbImage;
  /** Diameter of a spot in pixels of that image. */
  readonly spotDiameter?: number;
  /** Micrometres per pixel of that image. */
  readonly mpp?: number;
  /** What the reader left out or renamed, for the user. */
  readonly notes: readonly string[];
}

/** Dense tables beyond this many values (1 GiB) are refused. */
const MAX_DENSE_VALUES = 2 ** 28;
const FRACTION_ADVICE =
  'Use raw counts (in .h5ad files often the layer "counts" or "raw"), or accept other values with allowFractions.';

/**
 * A table of the given genes (all by default): rows are spots, columns genes. Dense, so choose genes
 * first. The result goes into `transformExpression`.
 *
 * @param perLibrary counts are scaled to this many molecules per spot (10,000 is usual); raw when left
 *   out. A spot's library are its `totals`, else all genes of the section, chosen or not.
 * @throws HistogradError `unknown-gene`, `empty-spot` when a library to scale by is 0, `too-large`
 */
export function spotExpression(
  section: SpotSection,
  genes: readonly string[] = section.genes,
  perLibrary?: number,
): ExpressionTable {
  const { counts, spots } = genes === section.genes ? section : selectSpotGenes(section, genes);
  const width = genes.length;
  if (spots.length * width > MAX_DENSE_VALUES) {
    throw new HistogradError(
      'too-large',
      `${section.name}: a table of ${spots.length} spots and ${width} genes has ${spots.length * width} values, expected at most ${MAX_DENSE_VALUES}.`,
      'Choose genes first, for example with topGenes.',
    );
  }
  const totals = perLibrary === undefined ? undefined : (section.totals ?? rowSums(section.counts));
  const values = new Float32Array(spots.length * width);
  for (let r = 0; r < spots.length; r++) {
    let scale = 1;
    if (perLibrary !== undefined && totals) {
      const total = totals[r]!;
      if (!(total > 0)) {
        throw new HistogradError(
          'empty-spot',
          `${section.name}: spot ${spots[r]!.id} has no counts, so they cannot be scaled to ${perLibrary}.`,
          'Leave such spots out with keepSpots.',
        );
      }
      scale = perLibrary / total;
    }
    for (let p = counts.starts[r]!; p < counts.starts[r + 1]!; p++) {
      values[r * width + counts.columnIndex[p]!] = counts.values[p]! * scale;
    }
  }
  return { samples: spots.map(({ id }) => id), genes: [...genes], values };
}

/**
 * The section with the given genes only, in their order; `totals` keep the library over all genes.
 *
 * @throws HistogradError `unknown-gene`, `duplicate-gene`
 */
export function selectSpotGenes(section: SpotSection, genes: readonly string[]): SpotSection {
  const position = new Map(section.genes.map((gene, i) => [gene, i]));
  const unknown = genes.filter((gene) => !position.has(gene));
  if (unknown.length > 0) {
    throw new HistogradError(
      'unknown-gene',
      `${section.name} does not have ${unknown.length} of the ${genes.length} genes asked for: ${examples(unknown)}. Its genes are named like ${examples(section.genes)}.`,
      'Correct the gene list; the section may use other names (Ensembl ids, another species).',
    );
  }
  const wanted = new Int32Array(section.genes.length).fill(-1);
  for (const [i, gene] of genes.entries()) {
    const at = position.get(gene) ?? 0;
    if (wanted[at]! >= 0) {
      throw new HistogradError(
        'duplicate-gene',
        `The gene list has ${gene} twice.`,
        'Keep one of them.',
      );
    }
    wanted[at] = i;
  }
  const { counts } = section;
  const builder = sparseBuilder(counts.rows, genes.length);
  for (let r = 0; r < counts.rows; r++) {
    for (let p = counts.starts[r]!; p < counts.starts[r + 1]!; p++) {
      const column = wanted[counts.columnIndex[p]!]!;
      if (column >= 0) builder.add(r, column, counts.values[p]!);
    }
  }
  const ids = section.geneIds;
  return {
    ...section,
    genes: [...genes],
    ...(ids ? { geneIds: genes.map((gene) => ids[position.get(gene) ?? 0]!) } : {}),
    counts: builder.finish(section.name),
    totals: section.totals ?? rowSums(counts),
  };
}

/** The section with the spots that `keep` accepts; it is given each spot and its total count. */
export function keepSpots(
  section: SpotSection,
  keep: (spot: Spot, total: number, index: number) => boolean,
): SpotSection {
  const totals = section.totals ?? rowSums(section.counts);
  const kept = section.spots.flatMap((spot, i) => (keep(spot, totals[i]!, i) ? [i] : []));
  return {
    ...section,
    spots: kept.map((i) => section.spots[i]!),
    counts: takeRows(section.counts, kept),
    ...(section.totals ? { totals: Float32Array.from(kept, (i) => totals[i]!) } : {}),
  };
}

/**
 * The `count` genes with the highest mean count over the spots of all sections, highest first (ties: the
 * first section's order). Only genes that every section has take part.
 *
 * @throws HistogradError `too-few-genes` when fewer are shared by the sections
 */
export function topGenes(sections: readonly SpotSection[], count: number): string[] {
  const sums = new Map<string, { sum: number; seen: number }>();
  for (const { genes, counts } of sections) {
    const perGene = new Float64Array(genes.length);
    for (const [p, column] of counts.columnIndex.entries()) {
      perGene[column] = perGene[column]! + counts.values[p]!;
    }
    for (const [i, gene] of genes.entries()) {
      const known = sums.get(gene) ?? { sum: 0, seen: 0 };
      sums.set(gene, { sum: known.sum + perGene[i]!, seen: known.seen + 1 });
    }
  }
  const shared = [...sums].filter(([, { seen }]) => seen === sections.length);
  if (shared.length < count) {
    throw new HistogradError(
      'too-few-genes',
      `The ${sections.length} sections share ${shared.length} genes, ${count} were asked for.`,
      'Ask for fewer genes, or check that all sections name their genes alike.',
    );
  }
  // Every section weighs by its spots: the mean's divisor is the same for all genes.
  shared.sort(([, a], [, b]) => b.sum - a.sum);
  return shared.slice(0, count).map(([gene]) => gene);
}

/** Names made unique as scanpy's `var_names_make_unique` does: the second A becomes A-1, the third A-2. */
export function makeUnique(names: readonly string[]): { names: string[]; renamed: string[] } {
  const taken = new Set(names);
  const seen = new Set<string>();
  const next = new Map<string, number>();
  const renamed = new Set<string>();
  const unique = names.map((name) => {
    if (!seen.has(name)) {
      seen.add(name);
      return name;
    }
    renamed.add(name);
    let number = next.get(name) ?? 0;
    let candidate: string;
    do candidate = `${name}-${++number}`;
    while (taken.has(candidate));
    next.set(name, number);
    taken.add(candidate);
    return candidate;
  });
  return { names: unique, renamed: [...renamed] };
}

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

/** Checks that ids are there and unique. Throws `duplicate-spot` or `bad-spots`. */
export function checkSpotIds(ids: readonly string[], name: string): void {
  const seen = new Set<string>();
  for (const [i, id] of ids.entries()) {
    if (id === '') throw badSpots(name, `spot ${i + 1} has no name`);
    if (seen.has(id)) {
      throw new HistogradError(
        'duplicate-spot',
        `${name} has the spot ${id} twice.`,
        'Each spot may appear once: sections that were joined need their suffixes (…-1, …-2) kept.',
      );
    }
    seen.add(id);
  }
}

/** A table of positions that cannot be used. */
export function badSpots(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-spots',
    `${name}: ${problem}.`,
    'Check that the file is complete and has the columns of its format.',
  );
}

/** A few names for a message. */
export function examples(names: readonly string[], count = 3): string {
  const shown = names.slice(0, count).map((name) => name.slice(0, 40));
  return `${shown.join(', ')}${names.length > count ? ', …' : ''}`;
}

/**
 * Finds each row's position. Rows without a position and positions without counts are left out, which is
 * noted, unless more than half of the rows have none.
 *
 * @returns the rows to keep, their spots in that order, and notes for the user
 * @throws HistogradError `spots-mismatch`
 */
export function joinSpots(
  ids: readonly string[],
  positions: ReadonlyMap<string, Spot>,
  countsName: string,
  positionsName: string,
): { rows: number[]; spots: Spot[]; notes: string[] } {
  const rows: number[] = [];
  const spots: Spot[] = [];
  const missing: string[] = [];
  for (const [row, id] of ids.entries()) {
    const spot = positions.get(id);
    if (spot) {
      rows.push(row);
      spots.push(spot);
    } else missing.push(id);
  }
  if (rows.length === 0 || missing.length > ids.length / 2) {
    throw new HistogradError(
      'spots-mismatch',
      `${rows.length} of the ${ids.length} spots of ${countsName} have a position in ${positionsName}, which has ${positions.size}: spots there are called ${examples([...positions.keys()])}; without one are ${examples(missing)}.`,
      'Use the counts and positions of the same section.',
    );
  }
  const notes =
    missing.length === 0
      ? []
      : [
          `${missing.length} of the ${ids.length} spots of ${countsName} have no position in ${positionsName} and are left out: ${examples(missing)}.`,
        ];
  return { rows, spots, notes };
}
