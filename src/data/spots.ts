/**
 * A section of spatial transcriptomics: its spots, their counts in sparse rows, and where they lie on
 * its image. The one form that every reader of a spatial format gives.
 */
import { HistogradError } from '../errors.ts';
import type { RgbImage } from '../slides/slide.ts';
import type { ExpressionTable } from './expression-table.ts';
import { rowSums, type SparseRows, sparseBuilder, takeRows } from './sparse-rows.ts';

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

/** Median distance in pixels of spots that are `step` columns apart in one row of the array; undefined without any. */
export function columnPitch(spots: readonly Spot[], step: number): number | undefined {
  const at = new Map(spots.map((spot) => [`${spot.row},${spot.column}`, spot]));
  const distances = spots.flatMap((spot) => {
    const next = at.get(`${spot.row},${spot.column + step}`);
    return next ? [Math.hypot(next.x - spot.x, next.y - spot.y)] : [];
  });
  distances.sort((a, b) => a - b);
  const median = distances[Math.floor(distances.length / 2)];
  return median !== undefined && median > 0 ? median : undefined;
}
