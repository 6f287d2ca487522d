/** From all planned tiles of a slide to the ones worth computing: tissue first, then a selector's score. */
import { HistogradError } from '../errors.ts';
import { type KeepRule, keepTiles } from './selectors/keep.ts';
import { shannonScore } from './selectors/shannon.ts';
import { cannyScore, dogScore, gradientScore, logScore } from './selectors/texture.ts';
import type { RgbImage, Slide } from './slide.ts';
import { type PlannedTile, readTile, type TilePlan } from './tiling.ts';
import {
  type Overview,
  readOverview,
  saturatedPixels,
  sequoiaTile,
  type TissueMask,
  type TissueRule,
  tissueFraction,
  tissueMask,
} from './tissue-mask.ts';

/** Scores of papers/002, Table 2 (`ig`: image gradient); `none` keeps every tile of tissue. */
export type SelectorKind = 'none' | 'shannon' | 'ig' | 'canny' | 'dog' | 'log' | 'otsu';

/** What the score of each selector is, for axes and logs. */
export const SELECTOR_UNITS: Readonly<Record<SelectorKind, string>> = {
  none: 'tissue fraction of the tile',
  shannon: 'Shannon information, bits',
  ig: 'mean gradient magnitude',
  canny: 'edge fraction of the tile',
  dog: 'mean absolute difference of Gaussians',
  log: 'mean absolute Laplacian of Gaussian',
  otsu: 'tissue fraction of the tile',
};

export interface SelectOptions {
  /** Default `otsu`. */
  readonly tissue?: TissueRule;
  /** A tile needs more than this fraction of tissue (0..1); default 0.2. `sequoia` has its own rule. */
  readonly minTissue?: number;
  /** Default `none`. */
  readonly selector?: SelectorKind;
  /** Which scores to keep; needed with a selector. */
  readonly keep?: KeepRule;
  /** Called after every tile that has been read. */
  readonly onTile?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A slide's tiles, chosen. */
export interface TileSelection {
  /** Positions in `plan.tiles` of the tiles kept, ascending. */
  readonly kept: readonly number[];
  /**
   * One score per tile of the plan, in `SELECTOR_UNITS`; NaN for tiles without tissue, which are not
   * scored. Without a selector the fraction of tissue, for every tile.
   */
  readonly scores: Float64Array;
  /** Tiles with at least this score were kept. */
  readonly threshold: number;
  readonly selector: SelectorKind;
  readonly overview: Overview;
  readonly mask: TissueMask;
}

/**
 * Chooses tiles: those with tissue on the overview, then those whose score the rule keeps. A rule
 * that is relative (`sigmas`, `fraction`) is relative to the tiles with tissue.
 *
 * Reads one tile at a time, and none at all when neither the selector nor the tissue rule
 * (`sequoia`) looks at tiles.
 *
 * @throws HistogradError `selector` when options do not fit together; what reading throws
 */
export async function selectTiles(
  slide: Slide,
  plan: TilePlan,
  options: SelectOptions = {},
): Promise<TileSelection> {
  const { tissue = 'otsu', minTissue = 0.2, selector = 'none', keep } = options;
  checkOptions(selector, keep, minTissue);
  const overview = await readOverview(slide);
  const mask = tissueMask(overview, tissue);
  const fractions = Float64Array.from(plan.tiles, (tile) => tissueFraction(mask, plan, tile));
  // SEQUOIA judges tiles by their own pixels; the overview only spares reading the empty ones.
  const least = tissue === 'sequoia' ? 0 : tissue === 'none' ? -1 : minTissue;
  let candidates = [...plan.tiles.keys()].filter((i) => fractions[i]! > least);
  const result = { selector, overview, mask };
  if (selector === 'none' && tissue !== 'sequoia') {
    return { ...result, kept: candidates, scores: fractions, threshold: Math.max(least, 0) };
  }
  const score = selector === 'none' ? undefined : scoreOf(selector, overview, mask);
  const values: number[] = [];
  const total = candidates.length;
  let done = 0;
  const passed: number[] = [];
  for (const i of candidates) {
    options.signal?.throwIfAborted();
    const tile = await readTile(slide, plan, plan.tiles[i]!);
    const own = tissue === 'sequoia' ? sequoiaTile(tile) : undefined;
    if (own) fractions[i] = own.tissue;
    if (!own || own.kept) {
      passed.push(i);
      if (score) values.push(await score(tile));
    }
    options.onTile?.(++done, total);
  }
  candidates = passed;
  if (!keep) return { ...result, kept: candidates, scores: fractions, threshold: 0.2 };
  const { kept, threshold } = keepTiles(Float64Array.from(values), keep, plan.size * plan.size);
  const scores = new Float64Array(plan.tiles.length).fill(Number.NaN);
  for (const [k, i] of candidates.entries()) scores[i] = values[k]!;
  return { ...result, kept: kept.map((k) => candidates[k]!), scores, threshold };
}

/** The tiles of a selection, in the order of the plan. */
export function selectedTiles(plan: TilePlan, selection: TileSelection): PlannedTile[] {
  return selection.kept.map((i) => plan.tiles[i]!);
}

type Score = (tile: RgbImage) => number | Promise<number>;

function scoreOf(
  selector: Exclude<SelectorKind, 'none'>,
  overview: Overview,
  mask: TissueMask,
): Score {
  if (selector !== 'otsu') {
    return {
      shannon: shannonScore,
      ig: gradientScore,
      canny: cannyScore,
      dog: dogScore,
      log: logScore,
    }[selector];
  }
  // One threshold for the slide: a tile's own would find tissue in an empty one.
  const { saturation } = mask.rule === 'otsu' ? mask : tissueMask(overview, 'otsu');
  return (tile) => {
    const pixels = saturatedPixels(tile, saturation);
    return pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
  };
}

function checkOptions(selector: SelectorKind, keep: KeepRule | undefined, minTissue: number): void {
  const problem = !Object.hasOwn(SELECTOR_UNITS, selector)
    ? `selector "${selector}" is not known, expected one of ${Object.keys(SELECTOR_UNITS).join(', ')}`
    : selector === 'none' && keep
      ? 'a rule for keeping tiles is given, but no selector'
      : selector !== 'none' && !keep
        ? `selector "${selector}" is given, but no rule for keeping tiles`
        : !(minTissue >= 0 && minTissue < 1)
          ? `least tissue is ${minTissue}, expected a fraction from 0 to below 1`
          : undefined;
  if (problem === undefined) return;
  throw new HistogradError(
    'selector',
    `Choosing tiles: ${problem}.`,
    'Name a selector and how to keep tiles, for example shannon with sigmas 1, or ig with fraction 0.3.',
  );
}
