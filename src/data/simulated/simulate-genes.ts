/** Simulated genes: each a known function of what was drawn, plus noise of known variance. */
import { seededRandom } from './random.ts';
import type { TileTruth } from './simulate-slide.ts';

/** Numbers that summarise a slide's true tiles; every gene's signal is a weighted sum of them. */
const SUMMARIES = [
  'cellularity',
  'chromatin',
  'collagen',
  'empty',
  'lymphocytes',
  'necrosis',
  'tumourNuclei',
  'largestNuclei',
] as const;
type Summary = (typeof SUMMARIES)[number];

/**
 * Families of genes: the part of a gene's name, its share of all genes and what it follows.
 * NUC, STR and LUM follow a mean over all tiles; IMM and NEC the fraction of a minority tissue; TUM
 * the size of nuclei in tumour tiles only; MAX the largest of them; RND nothing.
 */
const FAMILIES: readonly { name: string; share: number; follows: readonly Summary[] }[] = [
  { name: 'NUC', share: 0.18, follows: ['cellularity', 'chromatin'] },
  { name: 'STR', share: 0.16, follows: ['collagen'] },
  { name: 'LUM', share: 0.14, follows: ['empty'] },
  { name: 'IMM', share: 0.15, follows: ['lymphocytes'] },
  { name: 'NEC', share: 0.1, follows: ['necrosis'] },
  { name: 'TUM', share: 0.12, follows: ['tumourNuclei'] },
  { name: 'MAX', share: 0.08, follows: ['largestNuclei'] },
  { name: 'RND', share: 0.07, follows: [] },
];

export interface SimulatedExpression {
  genes: string[];
  /** `[slides][genes]`, on a scale like log2(1 + x). */
  expression: Float32Array[];
  /** What `expression` would be without noise. */
  signal: Float32Array[];
  /** Pearson correlation of the two in the limit of many slides, per gene; 0 for RND. */
  reachable: Float32Array;
  /**
   * A gene's signal in every tile of a slide; their mean is the slide's signal. Null for genes that follow nothing, or something that
   * single tiles do not add up to: the mean over tumour tiles only, the largest nuclei.
   */
  tileSignal(slide: number, gene: number): Float32Array | null;
}

/**
 * Draws `count` genes for slides with the given true tiles.
 *
 * Summaries are standardised over the slides. A gene's signal has unit variance; its noise is normal
 * with standard deviation `s = noise * exp(0.35 N(0,1))`, independent per slide, so that its expected
 * Pearson correlation with the signal is `1 / sqrt(1 + s^2)`.
 */
export function simulateExpression(
  truths: TileTruth[][],
  count: number,
  noise: number,
  seed: number,
): SimulatedExpression {
  const summaries = summaryColumns(truths);
  const columns = summaries.map(({ values, centre, spread }) => scaled(values, centre, spread));
  const genes = geneNames(count);
  const expression = truths.map(() => new Float32Array(count));
  const signal = truths.map(() => new Float32Array(count));
  const reachable = new Float32Array(count);
  const rules: GeneRule[] = [];
  for (const [g, { family }] of genes.entries()) {
    const random = seededRandom(seed, 3, g);
    const base = random.uniform(5, 9);
    const scale = random.uniform(0.4, 1);
    const deviation = noise * Math.exp(0.35 * random.normal());
    const { follows } = FAMILIES[family]!;
    const weights = SUMMARIES.map((summary) => {
      const main = follows.includes(summary) ? random.uniform(0.5, 1) : 0;
      // About half of the genes also follow something else, weakly.
      const also = random.uniform() < 0.1 ? 0.35 * random.normal() : 0;
      return follows.length === 0 ? 0 : main + also;
    });
    // One gene in four falls where its summary rises.
    const sign = random.uniform() < 0.25 ? -1 : 1;
    const sums = truths.map((_, s) =>
      weights.reduce((sum, w, k) => sum + sign * w * columns[k]![s]!, 0),
    );
    const { centre, spread } = momentsOf(sums);
    const clean = scaled(sums, centre, spread);
    rules.push({ weights: weights.map((w) => sign * w), base, scale, centre, spread });
    const known = clean.some((value) => value !== 0);
    reachable[g] = known ? 1 / Math.sqrt(1 + deviation * deviation) : 0;
    for (let s = 0; s < truths.length; s++) {
      const noisy = clean[s]! + (known ? deviation : 1) * random.normal();
      signal[s]![g] = base + scale * clean[s]!;
      expression[s]![g] = Math.max(base + scale * noisy, 0);
    }
  }
  const tileSignal = (slide: number, gene: number) =>
    signalOfTiles(truths[slide]!, rules[gene]!, summaries);
  return { genes: genes.map(({ name }) => name), expression, signal, reachable, tileSignal };
}

/** How a gene's signal comes about: base + scale * (sum of weighted summaries - centre) / spread. */
interface GeneRule {
  readonly weights: readonly number[];
  readonly base: number;
  readonly scale: number;
  readonly centre: number;
  readonly spread: number;
}

/** Summaries that are means over all tiles, as values of one tile. */
const PER_TILE: Readonly<Partial<Record<Summary, (tile: TileTruth) => number>>> = {
  cellularity: (tile) => tile.nuclearArea,
  chromatin: (tile) => tile.chromatin,
  collagen: (tile) => tile.collagen,
  empty: (tile) => tile.empty,
  lymphocytes: (tile) => Number(tile.tissue === 'lymphocytes'),
  necrosis: (tile) => Number(tile.tissue === 'necrosis'),
};

function signalOfTiles(
  tiles: readonly TileTruth[],
  { weights, base, scale, centre, spread }: GeneRule,
  summaries: readonly SummaryColumn[],
): Float32Array | null {
  if (!(spread > CONSTANT)) return null;
  const sums = new Float64Array(tiles.length);
  for (const [k, weight] of weights.entries()) {
    const summary = summaries[k]!;
    if (weight === 0 || !(summary.spread > CONSTANT)) continue;
    const perTile = PER_TILE[SUMMARIES[k]!];
    if (!perTile) return null;
    for (const [i, tile] of tiles.entries()) {
      sums[i]! += (weight * (perTile(tile) - summary.centre)) / summary.spread;
    }
  }
  return Float32Array.from(sums, (sum) => base + (scale * (sum - centre)) / spread);
}

/** `SIM_NUC_01`, ...: each family gets its share of the count, in the table's order. */
function geneNames(count: number): { name: string; family: number }[] {
  const names: { name: string; family: number }[] = [];
  let share = 0;
  let before = 0;
  for (const [family, { name, share: own }] of FAMILIES.entries()) {
    share += own;
    const end = family === FAMILIES.length - 1 ? count : Math.round(share * count);
    for (let i = 1; before < end; before++, i++) {
      names.push({ name: `SIM_${name}_${String(i).padStart(2, '0')}`, family });
    }
  }
  return names;
}

/** A summary of every slide, with its mean and standard deviation over the slides. */
interface SummaryColumn {
  readonly values: readonly number[];
  readonly centre: number;
  readonly spread: number;
}

function summaryColumns(truths: TileTruth[][]): SummaryColumn[] {
  const values: Record<Summary, number[]> = {
    cellularity: truths.map((tiles) => mean(tiles.map((tile) => tile.nuclearArea))),
    chromatin: truths.map((tiles) => mean(tiles.map((tile) => tile.chromatin))),
    collagen: truths.map((tiles) => mean(tiles.map((tile) => tile.collagen))),
    empty: truths.map((tiles) => mean(tiles.map((tile) => tile.empty))),
    lymphocytes: truths.map((tiles) => fraction(tiles, 'lymphocytes')),
    necrosis: truths.map((tiles) => fraction(tiles, 'necrosis')),
    tumourNuclei: truths.map((tiles) => mean(tumourRadii(tiles))),
    largestNuclei: truths.map((tiles) => Math.max(...tumourRadii(tiles))),
  };
  return SUMMARIES.map((summary) => ({
    values: values[summary],
    ...momentsOf(values[summary]),
  }));
}

function fraction(tiles: TileTruth[], tissue: TileTruth['tissue']): number {
  return tiles.filter((tile) => tile.tissue === tissue).length / tiles.length;
}

function tumourRadii(tiles: TileTruth[]): number[] {
  return tiles.filter((tile) => tile.tissue === 'tumour').map((tile) => tile.radius);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Values with a smaller standard deviation do not vary. */
const CONSTANT = 1e-9;

function momentsOf(values: readonly number[]): { centre: number; spread: number } {
  const centre = mean(values);
  return { centre, spread: Math.sqrt(mean(values.map((value) => (value - centre) ** 2))) };
}

/** To mean 0 and variance 1; all zeros when the values do not vary. */
function scaled(values: readonly number[], centre: number, spread: number): number[] {
  return values.map((value) => (spread > CONSTANT ? (value - centre) / spread : 0));
}
