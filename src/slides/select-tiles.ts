/** From all planned tiles of a slide to the ones worth computing: tissue first, then a selector's score. */
import { HistogradError } from '../errors.ts';
import {
  measureTile,
  type PixelScore,
  type TileMeasure,
  type TileQuestion,
} from './measure-tile.ts';
import { type KeepRule, keepTiles } from './selectors/keep.ts';
import type { RgbImage, Slide } from './slide.ts';
import { type PlannedTile, readTile, type TilePlan } from './tiling.ts';
import {
  type Overview,
  readOverview,
  type TissueMask,
  type TissueRule,
  tissueFraction,
  tissueMask,
} from './tissue-mask.ts';

/** What tiles are scored by; `none` keeps every tile of tissue, `dexined` takes the caller's network (`scoreTile`). */
export type SelectorKind = 'none' | PixelScore | 'dexined';

/** What the score of each selector is, for axes and logs. */
export const SELECTOR_UNITS: Readonly<Record<SelectorKind, string>> = {
  none: 'tissue fraction of the tile',
  shannon: 'Shannon information, bits',
  ig: 'mean gradient magnitude',
  canny: 'edge fraction of the tile',
  dog: 'mean absolute difference of Gaussians',
  log: 'mean absolute Laplacian of Gaussian',
  otsu: 'tissue fraction of the tile',
  dexined: 'mean edge probability by DexiNed',
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
  /** Reads and measures a tile elsewhere, for example in a thread; left out: here, by `measureTile`. */
  readonly measure?: (tile: PlannedTile, question: TileQuestion) => Promise<TileMeasure>;
  /** The score for `dexined`, whose network this folder knows nothing of (`dexinedScore`). Tiles are then read here, not by `measure`. */
  readonly scoreTile?: (tile: RgbImage) => Promise<number>;
  /** Tiles under way at a time; default 1. */
  readonly atOnce?: number;
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
 * Reads `atOnce` tiles at a time, and none at all when neither the selector nor the tissue rule
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
  const { atOnce = 1, scoreTile } = options;
  checkOptions(selector, keep, minTissue, atOnce);
  checkScore(selector, scoreTile);
  const overview = await readOverview(slide);
  const mask = tissueMask(overview, tissue);
  const fractions = Float64Array.from(plan.tiles, (tile) => tissueFraction(mask, plan, tile));
  // SEQUOIA judges tiles by their own pixels; the overview only spares reading the empty ones.
  const least = tissue === 'sequoia' ? 0 : tissue === 'none' ? -1 : minTissue;
  const candidates = [...plan.tiles.keys()].filter((i) => fractions[i]! > least);
  const result = { selector, overview, mask };
  if (selector === 'none' && tissue !== 'sequoia') {
    return { ...result, kept: candidates, scores: fractions, threshold: Math.max(least, 0) };
  }
  const question: TileQuestion = {
    score: selector === 'none' || selector === 'dexined' ? null : selector,
    sequoia: tissue === 'sequoia',
    saturation: selector === 'otsu' ? tissueSaturation(overview, mask) : 0,
  };
  const here = async (tile: PlannedTile) => {
    const image = await readTile(slide, plan, tile);
    const found = await measureTile(image, question);
    return scoreTile && found.kept ? { ...found, score: await scoreTile(image) } : found;
  };
  const measure = scoreTile ? here : (options.measure ?? here);
  const measured = inOrder(
    candidates,
    (i) => measure(plan.tiles[i]!, question),
    atOnce,
    options.signal,
  );
  const passed: number[] = [];
  const values: number[] = [];
  let done = 0;
  for await (const { kept, tissue: own, score } of measured) {
    const i = candidates[done++]!;
    if (own !== null) fractions[i] = own;
    if (kept) passed.push(i);
    if (score !== null) values.push(score);
    options.onTile?.(done, candidates.length);
  }
  if (!keep) return { ...result, kept: passed, scores: fractions, threshold: 0.2 };
  const { kept, threshold } = keepTiles(Float64Array.from(values), keep, plan.size * plan.size);
  const scores = new Float64Array(plan.tiles.length).fill(Number.NaN);
  for (const [k, i] of passed.entries()) scores[i] = values[k]!;
  return { ...result, kept: kept.map((k) => passed[k]!), scores, threshold };
}

/** Results in the order of the items, with at most `atOnce` under way: memory does not grow with the items. */
async function* inOrder<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  atOnce: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<R> {
  const queue: Promise<R>[] = [];
  let asked = 0;
  for (let i = 0; i < items.length; i++) {
    signal?.throwIfAborted();
    for (; asked < items.length && queue.length < atOnce; asked++) {
      const result = work(items[asked]!);
      result.catch(() => {}); // it is awaited later, and throws there
      queue.push(result);
    }
    yield await queue.shift()!;
  }
}

/** The tiles of a selection, in the order of the plan. */
export function selectedTiles(plan: TilePlan, selection: TileSelection): PlannedTile[] {
  return selection.kept.map((i) => plan.tiles[i]!);
}

/** Otsu's threshold of the slide, whatever rule the mask was made by. */
function tissueSaturation(overview: Overview, mask: TissueMask): number {
  return mask.rule === 'otsu' ? mask.saturation : tissueMask(overview, 'otsu').saturation;
}

function checkScore(selector: SelectorKind, scoreTile: SelectOptions['scoreTile']): void {
  if ((selector === 'dexined') === (scoreTile !== undefined)) return;
  throw new HistogradError(
    'selector',
    selector === 'dexined'
      ? 'Choosing tiles: selector "dexined" is given, but no scoreTile, its network.'
      : `Choosing tiles: scoreTile is given, which selector "${selector}" does not use.`,
    'Give both: dexined with dexinedScore(device, openDexiNed(device, weights, name)).',
  );
}

function checkOptions(
  selector: SelectorKind,
  keep: KeepRule | undefined,
  minTissue: number,
  atOnce: number,
): void {
  const problem = !Object.hasOwn(SELECTOR_UNITS, selector)
    ? `selector "${selector}" is not known, expected one of ${Object.keys(SELECTOR_UNITS).join(', ')}`
    : selector === 'none' && keep
      ? 'a rule for keeping tiles is given, but no selector'
      : selector !== 'none' && !keep
        ? `selector "${selector}" is given, but no rule for keeping tiles`
        : !(minTissue >= 0 && minTissue < 1)
          ? `least tissue is ${minTissue}, expected a fraction from 0 to below 1`
          : !(Number.isInteger(atOnce) && atOnce >= 1)
            ? `${atOnce} tiles at once, expected a whole number from 1`
            : undefined;
  if (problem === undefined) return;
  throw new HistogradError(
    'selector',
    `Choosing tiles: ${problem}.`,
    'Name a selector and how to keep tiles, for example shannon with sigmas 1, or ig with fraction 0.3.',
  );
}
