/**
 * Bags with bulk targets out of spatial transcriptomics: the tiles of a window of spots are the bag,
 * the spots' summed counts its expression, and each tile's own spot stays known for scoring.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HistogradError } from '../../errors.ts';
import {
  TILE_STATISTICS,
  TILE_STATISTICS_VERSION,
  tileStatistics,
} from '../../slides/tile-statistics.ts';
import { serializeSafetensors } from '../safetensors.ts';
import type { StGenes, StSpot } from '../st-sections.ts';
import { cutWindows, type StWindow } from '../st-windows.ts';
import { writeFileAtomic } from './atomic-write.ts';
import { type BagTarget, requireEmptyFolder, writeBagTables } from './st-bag-tables.ts';
import { openStPack, readStCounts, readStCrops, type StPack } from './st-pack.ts';

export interface StBagsOptions {
  /** The pack's folder. */
  source: string;
  /** Folder to write; must be new or empty. */
  out: string;
  /** Side of a window in array units; 1 gives one bag per spot. */
  window: number;
  /** Distance between windows in array units; `window` (no overlap) when left out. */
  stride?: number | undefined;
  /** Windows with fewer spots are left out; when left out, half of what the fullest window has. */
  minSpots?: number | undefined;
  /** Spots with a smaller library are left out; 1 when left out. */
  minCounts?: number | undefined;
  /** Draws the validation groups; 0 when left out. */
  seed?: number | undefined;
  /** Keep one other section or patient per fold for validation, where one is left to train on. */
  validation?: boolean | undefined;
  /** Folder of tile crops in the pack, `crops<side>`; the largest with `.rgb.gz` files when left out. */
  crops?: string | undefined;
  /** Sections to use; all with crops when left out. */
  sections?: readonly string[] | undefined;
  /** `all`, or how many genes of the highest mean count (`250` or `top250`); `all` when left out. */
  genes?: string | number | undefined;
  /** Called after each section. */
  onSection?: ((section: string, bags: number) => void) | undefined;
}

export interface StBagsSummary {
  bags: number;
  /** Rows of `spots.csv`: a spot in several windows counts several times. */
  spots: number;
  genes: number;
  /** Width of the features. */
  features: number;
  sections: { section: string; patient: string; bags: number }[];
  /** The section or patient that each fold tests; empty where there are fewer than two. */
  sectionFolds: string[];
  patientFolds: string[];
}

type SpotWithTotal = StSpot & { readonly total: number };

/** A section's spots with enough counts, and its windows. */
interface CutSection {
  readonly id: string;
  readonly patient: string;
  readonly spots: number;
  readonly counts: Uint16Array;
  readonly windows: StWindow<SpotWithTotal>[];
}

/**
 * Turns a pack into a folder that `histograd train` reads.
 *
 * A pack has `sections.json`, `genes.json`, `spots.csv`, `counts/<section>.u16.gz` and
 * `crops<side>/<section>.rgb.gz`. Written are `features/<section>_x<X>_y<Y>.safetensors` (`features`
 * f32 [n, d] by `tileStatistics`, `coords` f32 [n, 2] in pixels of the section's image) and the tables
 * of `writeBagTables`; `manifest.json` comes last, so a folder that has one is complete.
 *
 * Targets are counts per 10,000 of the library, not logged. A spot's library is its `total_umi` where
 * `spots.csv` has that column (all genes), else the sum over the pack's genes; a bag's is their sum.
 *
 * @throws HistogradError `bad-option`, `bad-pack`, `no-file`, `no-crops`, `unknown-section`,
 *   `no-bags`, `out-not-empty`, and those of writing
 */
export async function makeStBags(options: StBagsOptions): Promise<StBagsSummary> {
  const { out, window, stride = window, minCounts = 1, seed = 0, validation = false } = options;
  wholeNumber('window', window, 1);
  wholeNumber('stride', stride, 1);
  wholeNumber('minCounts', minCounts, 1);
  wholeNumber('seed', seed, 0);
  if (options.minSpots !== undefined) wholeNumber('minSpots', options.minSpots, 1);
  const topGenes = parseGenesOption(options.genes ?? 'all');

  const pack = await openStPack(options.source, options.crops, options.sections);
  await requireEmptyFolder(out);
  const sections: CutSection[] = [];
  for (const { id, patient, spots, spotsInOrder } of pack.sections) {
    const counts = await readStCounts(pack, { id, patient, spots });
    const usable = withTotals(spotsInOrder, counts).filter(({ total }) => total >= minCounts);
    sections.push({ id, patient, spots, counts, windows: cutWindows(usable, window, stride) });
  }
  const fullest = Math.max(0, ...sections.flatMap((s) => s.windows.map((w) => w.spots.length)));
  const minSpots = options.minSpots ?? Math.ceil(fullest / 2);
  if (fullest === 0 || fullest < minSpots) {
    throw new HistogradError(
      'no-bags',
      `No window of ${window} x ${window} has ${minSpots} spots or more; the fullest has ${fullest}.`,
      'Ask for fewer spots per bag, larger windows, or fewer counts per spot.',
    );
  }

  const selected = selectGenes(pack.genes, sections, topGenes);
  await mkdir(join(out, 'features'), { recursive: true });
  const bags: BagTarget[] = [];
  const summaries: StBagsSummary['sections'] = [];
  for (const section of sections) {
    const kept = section.windows.filter(({ spots }) => spots.length >= minSpots);
    const statistics = await describeCrops(pack, section, kept);
    for (const { x, y, spots } of kept) {
      const slide = `${section.id}_x${x}_y${y}`;
      await writeFileAtomic(
        join(out, 'features', `${slide}.safetensors`),
        featureFile(spots, statistics),
      );
      const spotCounts = spots.map(({ index }) => geneCounts(pack, section, index, selected));
      bags.push({ slide, section: section.id, patient: section.patient, spots, spotCounts });
    }
    summaries.push({ section: section.id, patient: section.patient, bags: kept.length });
    options.onSection?.(section.id, kept.length);
  }

  const hasTotals = pack.sections[0]?.spotsInOrder[0]?.totalUmi !== undefined;
  const folds = await writeBagTables(out, {
    bags,
    symbols: selected.map((gene) => pack.genes.symbols[gene]!),
    seed,
    validation,
    provenance: {
      madeBy: 'histograd data st-bags',
      source: options.source,
      crops: { folder: pack.crops, side: pack.side },
      extractor: {
        name: 'tile-statistics',
        version: TILE_STATISTICS_VERSION,
        columns: TILE_STATISTICS,
      },
      settings: {
        window,
        stride,
        minSpots,
        minCounts,
        genes: topGenes ?? 'all',
        seed,
        validation,
      },
      target: 'counts per 10,000 of the library, not logged',
      library: hasTotals ? 'total_umi of spots.csv' : "sum over the pack's genes",
      joinedSymbols: pack.genes.joined,
      sections: summaries,
    },
  });
  return {
    bags: bags.length,
    spots: bags.reduce((sum, bag) => sum + bag.spots.length, 0),
    genes: selected.length,
    features: TILE_STATISTICS.length,
    sections: summaries,
    ...folds,
  };
}

function withTotals(spots: readonly StSpot[], counts: Uint16Array): SpotWithTotal[] {
  const columns = counts.length / spots.length;
  return spots.map((spot) => {
    let sum = 0;
    const row = counts.subarray(spot.index * columns, (spot.index + 1) * columns);
    for (const count of row) sum += count;
    return { ...spot, total: spot.totalUmi ?? sum };
  });
}

/** Positions of the wanted genes: the pack's order for all, else highest mean count first. */
function selectGenes(
  genes: StGenes,
  sections: readonly CutSection[],
  top: number | undefined,
): number[] {
  const all = genes.symbols.map((_, gene) => gene);
  if (top === undefined) return all;
  if (top > all.length) {
    throw badOption('genes', String(top), `at most the pack's ${all.length} genes`);
  }
  // The pack's own ranking is over more tissue than is used here.
  if (genes.ranks) return all.sort((a, b) => genes.ranks![a]! - genes.ranks![b]!).slice(0, top);
  const sums = new Float64Array(all.length);
  for (const { counts } of sections) {
    for (let i = 0; i < counts.length; ) {
      for (const gene of genes.geneOfColumn) sums[gene] = sums[gene]! + counts[i++]!;
    }
  }
  return all.sort((a, b) => sums[b]! - sums[a]! || a - b).slice(0, top);
}

/** One spot's counts of the selected genes; columns of one symbol are added. */
function geneCounts(
  { genes }: StPack,
  { counts }: CutSection,
  spot: number,
  selected: readonly number[],
): Float64Array {
  const columns = genes.geneOfColumn.length;
  const sums = new Float64Array(genes.symbols.length);
  for (const [column, gene] of genes.geneOfColumn.entries()) {
    sums[gene] = sums[gene]! + counts[spot * columns + column]!;
  }
  return Float64Array.from(selected, (gene) => sums[gene]!);
}

/** Statistics of the tiles that some window uses, by spot index. */
async function describeCrops(
  pack: StPack,
  section: CutSection,
  windows: readonly StWindow<SpotWithTotal>[],
): Promise<Map<number, Float32Array>> {
  const crops = await readStCrops(pack, section);
  const bytes = pack.side * pack.side * 3;
  const statistics = new Map<number, Float32Array>();
  for (const { index } of windows.flatMap(({ spots }) => spots)) {
    if (statistics.has(index)) continue;
    const tile = crops.subarray(index * bytes, (index + 1) * bytes);
    statistics.set(index, tileStatistics(tile, pack.side));
  }
  return statistics;
}

function featureFile(
  spots: readonly SpotWithTotal[],
  statistics: ReadonlyMap<number, Float32Array>,
): Uint8Array {
  const width = TILE_STATISTICS.length;
  const features = new Float32Array(spots.length * width);
  for (const [row, { index }] of spots.entries()) features.set(statistics.get(index)!, row * width);
  const coords = Float32Array.from(spots.flatMap(({ pxX, pxY }) => [pxX, pxY]));
  return serializeSafetensors(
    {
      features: { shape: [spots.length, width], data: features },
      coords: { shape: [spots.length, 2], data: coords },
    },
    { extractor: `tile-statistics ${TILE_STATISTICS_VERSION}` },
  );
}

/** `all` is undefined; `250`, `'250'` and `'top250'` are 250. */
function parseGenesOption(genes: string | number): number | undefined {
  if (genes === 'all') return undefined;
  const count = /^(?:top)?(\d+)$/.exec(String(genes))?.[1];
  if (count === undefined || Number(count) < 1) {
    throw badOption('genes', String(genes), '"all" or a number such as 250 or "top250"');
  }
  return Number(count);
}

function wholeNumber(name: string, value: number, low: number): void {
  if (!Number.isInteger(value) || value < low) {
    throw badOption(name, String(value), `a whole number from ${low} up`);
  }
}

function badOption(name: string, found: string, expected: string): HistogradError {
  return new HistogradError(
    'bad-option',
    `st-bags: ${name} is ${found}, expected ${expected}.`,
    `Correct ${name}.`,
  );
}
