/**
 * Where the tissue is: a mask on a small overview of the slide.
 *
 * - `sequoia`: the rule of SEQUOIA (Pizurica et al. 2024), which it took from NCRF: darker than
 *   Otsu's threshold in red, green or blue, and more saturated than Otsu's threshold of saturation,
 *   and above 50 in every channel; gaps closed by three dilations and three erosions. Each tile that
 *   has tissue here is then judged by its own pixels: `sequoiaTile`.
 * - `otsu`: saturation above Otsu's threshold.
 * - `none`: everything.
 *
 * Differences from SEQUOIA's script: it asks for tissue at a tile's upper left corner, here tissue
 * anywhere under the tile is enough; its erosion eats the mask along the border of the picture, here
 * it does not.
 */
import { HistogradError } from '../errors.ts';
import { otsuBytes, otsuFloats } from './otsu.ts';
import { percentile } from './percentile.ts';
import { readScaled } from './resample.ts';
import type { RgbImage, Slide } from './slide.ts';
import type { PlannedTile, TilePlan } from './tiling.ts';

export type TissueRule = 'sequoia' | 'otsu' | 'none';

const TISSUE_RULES: readonly TissueRule[] = ['sequoia', 'otsu', 'none'];

/** SEQUOIA: a channel below this is pen or fold, not tissue. */
const DARKEST = 50;
const CLOSING = 3;
/** Below this saturation nothing is tissue, so that the noise of a blank slide is not split in two. */
const LEAST_SATURATION = 0.05;
/** Pixels this dark have no colour to speak of: the black fill that scanners leave. */
const BLACK = 25;
const LARGEST_OVERVIEW = 2000;

/** A slide at low resolution. */
export interface Overview {
  readonly image: RgbImage;
  /** Level-0 pixels per overview pixel. */
  readonly scaleX: number;
  readonly scaleY: number;
}

export interface TissueMask {
  readonly rule: TissueRule;
  readonly width: number;
  readonly height: number;
  /** 1 is tissue; `[height * width]`. */
  readonly data: Uint8Array;
  /** Level-0 pixels per mask pixel. */
  readonly scaleX: number;
  readonly scaleY: number;
  /** Saturation (0..1) above which a pixel counts as tissue; 0 for `none`. */
  readonly saturation: number;
}

/**
 * The slide with its longer side at most `maxSide` (16..4096, default 2000) pixels, never enlarged. Read
 * from the smallest level with at least half that side, in strips, so that a slide of any size is
 * read in bounded memory.
 */
export async function readOverview(
  slide: Pick<Slide, 'levels' | 'readRegion'>,
  maxSide = LARGEST_OVERVIEW,
): Promise<Overview> {
  if (!Number.isInteger(maxSide) || maxSide < 16 || maxSide > 4096) {
    throw new HistogradError(
      'overview-size',
      `readOverview: longest side is ${maxSide}, expected a whole number from 16 to 4096 pixels.`,
      'Use the default of 2000.',
    );
  }
  const full = slide.levels[0]!;
  let level = 0;
  for (const [i, { width, height }] of slide.levels.entries()) {
    if (Math.max(width, height) >= maxSide / 2) level = i;
  }
  const source = slide.levels[level]!;
  const shrink = Math.max(1, Math.max(source.width, source.height) / maxSide);
  const width = Math.max(1, Math.round(source.width / shrink));
  const height = Math.max(1, Math.round(source.height / shrink));
  const image = await readScaled(slide, {
    level,
    x: 0,
    y: 0,
    scaleX: source.width / width,
    scaleY: source.height / height,
    width,
    height,
  });
  return { image, scaleX: full.width / width, scaleY: full.height / height };
}

/** Finds the tissue of an overview; `rule` defaults to `otsu`. */
export function tissueMask(overview: Overview, rule: TissueRule = 'otsu'): TissueMask {
  if (!TISSUE_RULES.includes(rule)) {
    throw new HistogradError(
      'tissue-rule',
      `Tissue rule "${rule}" is not known, expected one of ${TISSUE_RULES.join(', ')}.`,
      'Choose one of them.',
    );
  }
  const { image, scaleX, scaleY } = overview;
  const { width, height } = image;
  let data: Uint8Array;
  let saturation = 0;
  if (rule === 'none') {
    data = new Uint8Array(width * height).fill(1);
  } else if (rule === 'otsu') {
    saturation = Math.max(otsuFloats(saturations(image)), LEAST_SATURATION);
    data = saturatedPixels(image, saturation);
  } else {
    ({ data, saturation } = sequoiaPixels(image));
    for (let i = 0; i < CLOSING; i++) data = spread(data, width, height, 1);
    for (let i = 0; i < CLOSING; i++) data = spread(data, width, height, 0);
  }
  return { rule, width, height, data, scaleX, scaleY, saturation };
}

/** Fraction of a tile (0..1) that is tissue by the mask; what lies outside the slide is not. */
export function tissueFraction(mask: TissueMask, plan: TilePlan, tile: PlannedTile): number {
  const [left, right] = pixelsUnder(tile.x, plan.side, mask.scaleX);
  const [top, bottom] = pixelsUnder(tile.y, plan.side, mask.scaleY);
  let tissue = 0;
  for (let y = top; y < Math.min(bottom, mask.height); y++) {
    const row = y * mask.width;
    for (let x = left; x < Math.min(right, mask.width); x++) tissue += mask.data[row + x]!;
  }
  return tissue / ((right - left) * (bottom - top));
}

/** Mask pixels whose centres lie under the tile; the one at its centre when it is smaller than a pixel. */
function pixelsUnder(start: number, side: number, scale: number): [number, number] {
  const from = Math.max(0, Math.ceil(start / scale - 0.5));
  const to = Math.ceil((start + side) / scale - 0.5);
  if (to > from) return [from, to];
  const middle = Math.floor((start + side / 2) / scale);
  return [middle, middle + 1];
}

/** SEQUOIA's judgement of a tile by its own pixels: more than 20 % tissue, and not of low contrast. */
export function sequoiaTile(tile: RgbImage): {
  kept: boolean;
  tissue: number;
  lowContrast: boolean;
} {
  const own = sequoiaPixels(tile);
  let data = own.data;
  for (let i = 0; i < CLOSING; i++) data = spread(data, tile.width, tile.height, 1);
  const tissue = data.reduce((sum, value) => sum + value, 0) / data.length;
  const lowContrast = isLowContrast(tile);
  return { kept: tissue > 0.2 && !lowContrast, tissue, lowContrast };
}

function sequoiaPixels(image: RgbImage): { data: Uint8Array; saturation: number } {
  const rgb = image.data;
  const threshold = [0, 1, 2].map((channel) => {
    const counts = new Float64Array(256);
    for (let i = channel; i < rgb.length; i += 3) counts[rgb[i]!] = counts[rgb[i]!]! + 1;
    return otsuBytes(counts);
  });
  const values = saturations(image);
  const saturation = otsuFloats(values);
  const data = Uint8Array.from(values, (value, i) => {
    const r = rgb[3 * i]!;
    const g = rgb[3 * i + 1]!;
    const b = rgb[3 * i + 2]!;
    const background = r > threshold[0]! && g > threshold[1]! && b > threshold[2]!;
    const bright = r > DARKEST && g > DARKEST && b > DARKEST;
    return value > saturation && !background && bright ? 1 : 0;
  });
  return { data, saturation };
}

/** 1 where a pixel's saturation is above `threshold` and it is not black. */
export function saturatedPixels(image: RgbImage, threshold: number): Uint8Array {
  return Uint8Array.from(saturations(image), (value, i) =>
    value > threshold && brightest(image.data, 3 * i) >= BLACK ? 1 : 0,
  );
}

/** HSV saturation of every pixel, 0..1. */
function saturations({ data }: RgbImage): Float32Array {
  const out = new Float32Array(data.length / 3);
  for (let i = 0; i < out.length; i++) {
    const high = brightest(data, 3 * i);
    const low = Math.min(data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!);
    out[i] = high > 0 ? (high - low) / high : 0;
  }
  return out;
}

function brightest(rgb: Uint8Array, at: number): number {
  return Math.max(rgb[at]!, rgb[at + 1]!, rgb[at + 2]!);
}

/** One step of growing the pixels of `value` to their four neighbours. */
function spread(mask: Uint8Array, width: number, height: number, value: 0 | 1): Uint8Array {
  const out = mask.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (mask[i] !== value) continue;
      if (x > 0) out[i - 1] = value;
      if (x < width - 1) out[i + 1] = value;
      if (y > 0) out[i - width] = value;
      if (y < height - 1) out[i + width] = value;
    }
  }
  return out;
}

/**
 * scikit-image's `is_low_contrast` as SEQUOIA calls it: the 1st and 99th percentile of grey are less
 * than a tenth of the range apart. (5 % of the range -1..1 that it takes floats to have.)
 */
function isLowContrast({ data }: RgbImage): boolean {
  const grey = new Float64Array(data.length / 3);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (0.2125 * data[3 * i]! + 0.7154 * data[3 * i + 1]! + 0.0721 * data[3 * i + 2]!) / 255;
  }
  grey.sort();
  return percentile(grey, 99) - percentile(grey, 1) < 0.1;
}
