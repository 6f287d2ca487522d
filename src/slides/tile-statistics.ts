/**
 * A feature extractor without weights: colour, stain and texture statistics of one tile.
 *
 * It needs nothing but the pixels, gives the same bits on every machine with the same JavaScript
 * engine, and is the floor that learnt extractors have to beat. Lengths are in pixels, so tiles that
 * are compared must share one scale (micrometres per pixel). Stain and scanner differences are left
 * in: standardise the columns per training set or, for expression within a section, per section.
 *
 * Chosen on two spatial transcriptomics data sets (ridge regression, held-out animals, sections and
 * patients). Local binary patterns, edge coherence and fixed stain thresholds were tried and left
 * out: they did not help within a patient and hurt across patients.
 */
import { HistogradError } from '../errors.ts';
import { type StainPlanes, stainPlanes } from './stain-planes.ts';
import { blur, gradientStatistics, localMaxima, regionAreas } from './tile-filters.ts';

/** Raised whenever a column's meaning or order changes; features of two versions must not be mixed. */
export const TILE_STATISTICS_VERSION = 1;

/** Sides the statistics are meant for, in pixels. */
const SMALLEST_SIDE = 16;
const LARGEST_SIDE = 256;
/** Standard deviations, in pixels, of the blurs that separate the texture bands. */
const SCALES = [1, 2, 4];
/** Smallest band-passed haematoxylin density that counts as a nucleus. */
const BLOB_DENSITY = 0.02;
/** Stain amounts are binned in steps of 1/200 optical density from here up. */
const LOWEST_DENSITY = -0.5;
const DENSITY_STEP = 1 / 200;
const DENSITY_BINS = 640;

type Emit = (column: string, value: number) => void;

/**
 * Column names, in order:
 * - `red|green|blue_mean|std|q10|q50|q90`: channel values, 0..1;
 * - `hue_cos|hue_sin`: mean chroma vector of the HSV colour wheel, so that hue has no jump at red;
 *   `saturation_mean|std` (HSV); `background`: fraction of bright, unsaturated pixels;
 * - `haematoxylin|eosin_mean|std|skew|q10..q90|entropy`: stain amounts in optical density (entropy in
 *   bits); `residual_mean|std`; `stain_correlation` over the pixels;
 * - per plane (grey, haematoxylin) and scale s = 1, 2, 4 px: `_gradient<s>_mean|std` of the blurred
 *   plane, `_band<s>_log_rms|skew` of the difference of Gaussians just below that scale, and
 *   `_coarse_std` of what is left above the largest;
 * - `blob<s>_density|contrast`: nucleus-like maxima of the haematoxylin band, per 1000 pixels, and
 *   their mean height;
 * - `dark_fraction|regions|mean_side|largest_side`: regions more than one standard deviation above
 *   the tile's own mean haematoxylin: area fraction, count per 1000 pixels, root of area in pixels.
 */
export const TILE_STATISTICS: readonly string[] = columnNames();

/**
 * Statistics of one tile.
 *
 * @param rgb uint8 `[height][width][3]`, row-major
 * @param height tile height in pixels, 16..256
 * @param width tile width in pixels, 16..256; a square tile when left out
 * @returns Float32Array `[TILE_STATISTICS.length]`; every value is finite
 * @throws HistogradError `tile-shape` when the bytes do not fit the sides or a side is out of range
 */
export function tileStatistics(rgb: Uint8Array, height: number, width = height): Float32Array {
  for (const [name, side] of [
    ['height', height],
    ['width', width],
  ] as const) {
    if (!Number.isInteger(side) || side < SMALLEST_SIDE || side > LARGEST_SIDE) {
      throw new HistogradError(
        'tile-shape',
        `tileStatistics: tile ${name} is ${side} pixels, expected a whole number from ${SMALLEST_SIDE} to ${LARGEST_SIDE}.`,
        'Cut or resize the tile first; all tiles of a data set must share one scale.',
      );
    }
  }
  if (rgb.length !== height * width * 3) {
    throw new HistogradError(
      'tile-shape',
      `tileStatistics: expected ${height * width * 3} bytes (${height} x ${width} x 3), found ${rgb.length}.`,
      'Pass RGB without an alpha channel, 8 bits per channel, row by row.',
    );
  }
  const out = new Float32Array(TILE_STATISTICS.length);
  let column = 0;
  describe(rgb, height, width, (_, value) => {
    out[column++] = value;
  });
  return out;
}

/** Describing a blank tile lists the columns, so that names and values cannot drift apart. */
function columnNames(): string[] {
  const names: string[] = [];
  const blank = new Uint8Array(SMALLEST_SIDE * SMALLEST_SIDE * 3);
  describe(blank, SMALLEST_SIDE, SMALLEST_SIDE, (name) => names.push(name));
  return names;
}

function describe(rgb: Uint8Array, height: number, width: number, emit: Emit): void {
  const planes = stainPlanes(rgb, height, width);
  describeChannels(rgb, emit);
  describeHue(rgb, emit);
  describeStains(planes, emit);
  describeTexture('grey', planes.grey, height, width, emit);
  const bands = describeTexture('haematoxylin', planes.haematoxylin, height, width, emit);
  describeNuclei(bands, height, width, emit);
}

function describeChannels(rgb: Uint8Array, emit: Emit): void {
  for (const [channel, name] of ['red', 'green', 'blue'].entries()) {
    const counts = new Float64Array(256);
    for (let i = channel; i < rgb.length; i += 3) counts[rgb[i]!] = counts[rgb[i]!]! + 1;
    const { mean, std, quantile } = describeCounts(counts);
    emit(`${name}_mean`, mean / 255);
    emit(`${name}_std`, std / 255);
    for (const q of [10, 50, 90]) emit(`${name}_q${q}`, quantile(q / 100) / 255);
  }
}

function describeHue(rgb: Uint8Array, emit: Emit): void {
  let cos = 0;
  let sin = 0;
  let sum = 0;
  let squares = 0;
  let background = 0;
  for (let i = 0; i < rgb.length; i += 3) {
    const r = rgb[i]! / 255;
    const g = rgb[i + 1]! / 255;
    const b = rgb[i + 2]! / 255;
    const max = Math.max(r, g, b);
    const min = Math.min(r, g, b);
    const saturation = max > 0 ? (max - min) / max : 0;
    cos += r - (g + b) / 2;
    sin += (Math.sqrt(3) / 2) * (g - b);
    sum += saturation;
    squares += saturation * saturation;
    if (saturation < 0.1 && min > 0.7) background++;
  }
  const size = rgb.length / 3;
  emit('hue_cos', cos / size);
  emit('hue_sin', sin / size);
  emit('saturation_mean', sum / size);
  emit('saturation_std', spread(sum / size, squares / size));
  emit('background', background / size);
}

function describeStains(planes: StainPlanes, emit: Emit): void {
  const { haematoxylin, eosin, residual } = planes;
  const amount = (bin: number) => LOWEST_DENSITY + bin * DENSITY_STEP;
  const moments: { mean: number; std: number }[] = [];
  for (const [name, plane] of [
    ['haematoxylin', haematoxylin],
    ['eosin', eosin],
    ['residual', residual],
  ] as const) {
    const counts = new Float64Array(DENSITY_BINS);
    for (let i = 0; i < plane.length; i++) {
      const bin = Math.round((plane[i]! - LOWEST_DENSITY) / DENSITY_STEP);
      const inside = Math.min(Math.max(bin, 0), DENSITY_BINS - 1);
      counts[inside] = counts[inside]! + 1;
    }
    const binned = describeCounts(counts);
    const mean = amount(binned.mean);
    const std = binned.std * DENSITY_STEP;
    moments.push({ mean, std });
    emit(`${name}_mean`, mean);
    emit(`${name}_std`, std);
    if (name === 'residual') continue;
    emit(`${name}_skew`, binned.skew);
    for (const q of [10, 25, 50, 75, 90]) emit(`${name}_q${q}`, amount(binned.quantile(q / 100)));
    emit(`${name}_entropy`, binned.entropy);
  }
  const [h, e] = moments;
  let product = 0;
  for (let i = 0; i < eosin.length; i++) {
    product += (haematoxylin[i]! - h!.mean) * (eosin[i]! - e!.mean);
  }
  const flat = h!.std < DENSITY_STEP || e!.std < DENSITY_STEP;
  emit('stain_correlation', flat ? 0 : product / eosin.length / (h!.std * e!.std));
}

/** Emits a plane's texture columns; returns its bands (differences of Gaussians) and blurs. */
function describeTexture(
  name: string,
  plane: Float32Array,
  height: number,
  width: number,
  emit: Emit,
): { scale: number; band: Float32Array; blurred: Float32Array }[] {
  let finer = plane;
  const bands = SCALES.map((scale) => {
    const blurred = blur(plane, height, width, scale);
    const gradient = gradientStatistics(blurred, height, width);
    emit(`${name}_gradient${scale}_mean`, gradient.mean);
    emit(`${name}_gradient${scale}_std`, gradient.std);
    const band = new Float32Array(blurred.length);
    let squares = 0;
    let cubes = 0;
    for (let i = 0; i < band.length; i++) {
      band[i] = finer[i]! - blurred[i]!;
      const value = band[i]!;
      squares += value * value;
      cubes += value * value * value;
    }
    finer = blurred;
    const rms = Math.sqrt(squares / band.length);
    // The floor, far below any tissue's contrast, keeps a blank tile finite.
    emit(`${name}_band${scale}_log_rms`, Math.log(rms + 1e-3));
    emit(`${name}_band${scale}_skew`, rms > 1e-4 ? cubes / band.length / rms ** 3 : 0);
    return { scale, band, blurred };
  });
  const { mean, squares } = meanAndSquares(finer);
  emit(`${name}_coarse_std`, spread(mean, squares));
  return bands;
}

function describeNuclei(
  bands: { scale: number; band: Float32Array; blurred: Float32Array }[],
  height: number,
  width: number,
  emit: Emit,
): void {
  const perThousand = 1000 / (height * width);
  for (const { scale, band } of bands.slice(1)) {
    const blobs = localMaxima(band, height, width, BLOB_DENSITY);
    emit(`blob${scale}_density`, blobs.count * perThousand);
    emit(`blob${scale}_contrast`, blobs.mean);
  }
  const { blurred } = bands[0]!;
  const { mean, squares } = meanAndSquares(blurred);
  const areas = regionAreas(blurred, width, mean + spread(mean, squares));
  const total = areas.reduce((sum, area) => sum + area, 0);
  emit('dark_fraction', total / blurred.length);
  emit('dark_regions', areas.length * perThousand);
  emit('dark_mean_side', areas.length > 0 ? Math.sqrt(total / areas.length) : 0);
  emit('dark_largest_side', Math.sqrt(Math.max(0, ...areas)));
}

/** Moments, quantiles and entropy (bits) of a histogram, in units of bins. */
function describeCounts(counts: Float64Array) {
  let size = 0;
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    size += counts[bin]!;
    sum += counts[bin]! * bin;
  }
  const mean = sum / size;
  let squares = 0;
  let cubes = 0;
  let entropy = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (count === 0) continue;
    const d = bin - mean;
    squares += count * d * d;
    cubes += count * d * d * d;
    entropy -= (count / size) * Math.log2(count / size);
  }
  const std = Math.sqrt(squares / size);
  return {
    mean,
    std,
    skew: std > 0 ? cubes / size / std ** 3 : 0,
    entropy,
    /** The lowest bin at or below which a fraction `q` of the counts lies. */
    quantile(q: number): number {
      let below = 0;
      for (let bin = 0; bin < counts.length; bin++) {
        below += counts[bin]!;
        if (below >= q * size) return bin;
      }
      return counts.length - 1;
    },
  };
}

function meanAndSquares(plane: Float32Array): { mean: number; squares: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < plane.length; i++) {
    const value = plane[i]!;
    sum += value;
    squares += value * value;
  }
  return { mean: sum / plane.length, squares: squares / plane.length };
}

/** Standard deviation from a mean and a mean square; rounding can leave the difference below 0. */
function spread(mean: number, squares: number): number {
  return Math.sqrt(Math.max(squares - mean * mean, 0));
}
