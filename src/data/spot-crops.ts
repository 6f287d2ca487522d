/** Square crops around spots, and the 5 x 5 neighbour view of TRIPLEX. */
import { HistogradError } from '../errors.ts';
import { readScaled } from '../slides/resample.ts';
import type { RgbImage, Slide } from '../slides/slide.ts';
import { levelFor } from '../slides/tiling.ts';
import { examples, type Spot, type SpotSection } from './spots.ts';

/** What to cut. */
export interface SpotCropOptions {
  /** Side of a crop in pixels. */
  readonly size: number;
  /** Micrometres per pixel of the crop; when left out, the image's own pixels are copied. */
  readonly mpp?: number | undefined;
  /** Micrometres per level-0 pixel, instead of the section's or the slide's. */
  readonly mppOverride?: number | undefined;
  /** What lies outside the image: `white` (default), `black`, or the nearest pixel of the image (`edge`). */
  readonly padding?: 'white' | 'black' | 'edge' | undefined;
}

/** A spot's crop. */
export interface SpotCrop {
  /** Position of the spot in the section. */
  readonly index: number;
  readonly spot: Spot;
  readonly image: RgbImage;
}

/** TRIPLEX's view of a spot: the tiles around it and which of them lie wholly inside the image. */
export interface NeighbourView {
  readonly index: number;
  readonly spot: Spot;
  /** Row by row, the spot's own in the middle. Pixels outside the image are 0. */
  readonly tiles: readonly RgbImage[];
  /** 1 where a tile lies wholly inside the image. */
  readonly mask: Uint8Array;
}

/** A window of the slide around a spot. */
interface Window {
  readonly level: number;
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

const MAX_SIZE = 8192;

/**
 * Cuts a crop of `size` x `size` pixels centred on every spot, one after another, in the section's order: at most one is in
 * memory. The crop's upper left corner is `round(x - side / 2)` in level-0 pixels.
 *
 * @throws HistogradError `spots-outside` when a centre lies outside the image (their pixels belong to another image),
 *   `slide-mpp` when `mpp` is asked for and unknown, `bad-crop` for a bad option
 */
export async function* spotCrops(
  slide: Slide,
  section: SpotSection,
  options: SpotCropOptions,
): AsyncGenerator<SpotCrop, void, undefined> {
  checkSpotsInside(slide, section);
  const zoom = cropZoom(slide, section, options);
  for (const [index, spot] of section.spots.entries()) {
    const { size, padding } = options;
    const window = windowAround(slide, spot, size, zoom);
    yield { index, spot, image: await readWindow(slide, window, size, padding ?? 'white') };
  }
}

/**
 * The neighbour view of every spot: `(2 radius + 1) * size` pixels a side (1120 for the defaults), cut into tiles of `size`.
 *
 * @param options `size` is a tile's side (TRIPLEX: 224), `radius` the tiles to each side (default 2)
 * @throws HistogradError as `spotCrops`
 */
export async function* neighbourViews(
  slide: Slide,
  section: SpotSection,
  options: Omit<SpotCropOptions, 'padding'> & { readonly radius?: number | undefined },
): AsyncGenerator<NeighbourView, void, undefined> {
  const { size, radius = 2 } = options;
  if (!Number.isInteger(radius) || radius < 0) throw badCrop('radius', radius, '0 or more');
  const side = 2 * radius + 1;
  checkSpotsInside(slide, section);
  const zoom = cropZoom(slide, section, { ...options, size: size * side });
  for (const [index, spot] of section.spots.entries()) {
    const window = windowAround(slide, spot, size * side, zoom);
    const view = await readWindow(slide, window, size * side, 'black');
    const level = slide.levels[window.level]!;
    const tiles: RgbImage[] = [];
    const mask = new Uint8Array(side * side);
    for (let t = 0; t < side * side; t++) {
      const [left, top] = [(t % side) * size, Math.floor(t / side) * size];
      tiles.push(cut(view, left, top, size));
      const from = (origin: number, at: number) => origin + at * window.scale;
      const inside = (origin: number, at: number, limit: number) =>
        from(origin, at) >= -1e-6 && from(origin, at + size) <= limit + 1e-6;
      mask[t] = inside(window.x, left, level.width) && inside(window.y, top, level.height) ? 1 : 0;
    }
    yield { index, spot, tiles, mask };
  }
}

/**
 * Checks that spots' centres lie on the slide.
 *
 * @throws HistogradError `spots-outside`, with how many, examples, and the image's size
 */
function checkSpotsInside(slide: Slide, section: SpotSection): void {
  const [full] = slide.levels;
  const width = full?.width ?? 0;
  const height = full?.height ?? 0;
  const outside = section.spots.filter(
    ({ x, y }) => !(x >= 0 && y >= 0 && x < width && y < height),
  );
  if (outside.length === 0) return;
  const shown = outside.map(({ id, x, y }) => `${id} (${x.toFixed(1)}; ${y.toFixed(1)})`);
  throw new HistogradError(
    'spots-outside',
    `${section.name}: ${outside.length} of ${section.spots.length} spots lie outside ${slide.name}, ${width} x ${height} pixels: ${examples(shown)}. The coordinates are ${section.pixelSpace} pixels.`,
    'Use the image that the coordinates belong to (for Visium, the full-resolution image, or read the section with the image "hires").',
  );
}

/** Level-0 pixels per crop pixel. */
function cropZoom(slide: Slide, section: SpotSection, options: SpotCropOptions): number {
  const { size, mpp, mppOverride } = options;
  if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE) {
    throw badCrop('size', size, `a whole number from 1 to ${MAX_SIZE} pixels`);
  }
  if (mpp === undefined) return 1;
  if (!(Number.isFinite(mpp) && mpp > 0))
    throw badCrop('mpp', mpp, 'positive micrometres per pixel');
  const own = mppOverride ?? slide.mpp ?? section.mpp;
  if (own === undefined || !(Number.isFinite(own) && own > 0)) {
    throw new HistogradError(
      'slide-mpp',
      `Neither ${slide.name} nor section ${section.name} says how large the pixels are (micrometres per pixel: ${own ?? 'unknown'}).`,
      'Give --mpp with the micrometres per pixel of the full image, or cut crops of its own pixels.',
    );
  }
  return mpp / own;
}

function windowAround(slide: Slide, spot: Spot, size: number, zoom: number): Window {
  // As in `planTiles`: where no pixel would move by more than half a pixel, pixels are copied.
  const { level, factor: scale } = levelFor(slide, zoom, size);
  const { downsample } = slide.levels[level]!;
  const corner = (centre: number) => Math.round(centre - (size * zoom) / 2) / downsample;
  const [x, y] = [corner(spot.x), corner(spot.y)];
  return scale === 1
    ? { level, scale, x: Math.round(x), y: Math.round(y) }
    : { level, scale, x, y };
}

async function readWindow(
  slide: Slide,
  { level, x, y, scale }: Window,
  size: number,
  padding: 'white' | 'black' | 'edge',
): Promise<RgbImage> {
  const image =
    scale === 1
      ? await slide.readRegion(level, x, y, size, size)
      : await readScaled(slide, {
          level,
          x,
          y,
          scaleX: scale,
          scaleY: scale,
          width: size,
          height: size,
        });
  if (padding === 'white') return image;
  const { width, height } = slide.levels[level]!;
  const columns = insideRange(x, scale, size, width);
  const rows = insideRange(y, scale, size, height);
  if (columns.from === 0 && rows.from === 0 && columns.to === size && rows.to === size)
    return image;
  const data = new Uint8Array(size * size * 3);
  for (let j = 0; j < size; j++) {
    const row = Math.min(Math.max(j, rows.from), rows.to - 1);
    for (let i = 0; i < size; i++) {
      const column = Math.min(Math.max(i, columns.from), columns.to - 1);
      if (padding === 'black' && (row !== j || column !== i)) continue;
      const from = (row * size + column) * 3;
      data.set(image.data.subarray(from, from + 3), (j * size + i) * 3);
    }
  }
  return { width: size, height: size, data };
}

/** Crop pixels whose centres lie on the level. A spot's centre is inside, so there are some. */
function insideRange(origin: number, scale: number, size: number, limit: number) {
  let from = 0;
  let to = size;
  while (from < size - 1 && origin + (from + 0.5) * scale < 0) from++;
  while (to > from + 1 && origin + (to - 0.5) * scale >= limit) to--;
  return { from, to };
}

function cut(image: RgbImage, left: number, top: number, size: number): RgbImage {
  const data = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const from = ((top + row) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + size * 3), row * size * 3);
  }
  return { width: size, height: size, data };
}

function badCrop(option: string, found: unknown, expected: string): HistogradError {
  return new HistogradError(
    'bad-crop',
    `Crops around spots: ${option} is ${String(found)}, expected ${expected}.`,
    `Give a ${option} in that range.`,
  );
}
