/** A slide's picture as the viewer asks for it: squares of levels, each half as large as the one before. */
import { HistogradError } from '../../errors.ts';
import { readScaled } from '../../slides/resample.ts';
import type { RgbImage, Slide } from '../../slides/slide.ts';
import { levelFor } from '../../slides/tiling.ts';
import { type Overview, readOverview } from '../../slides/tissue-mask.ts';
import type { SlideFiles } from './slide-pool.ts';

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly tileSize: number;
  /** The smallest fits into one square. */
  readonly levels: number;
  /** The files that it is read from; null where it is drawn. */
  readonly source: SlideFiles | null;
  /** Squares at the right and below are cut to the picture. */
  tile(level: number, column: number, row: number): Promise<ImageBitmap>;
  close(): Promise<void>;
}

/** What a picture is made of. */
export type Pixels = Pick<Slide, 'levels' | 'readRegion'>;
/** Gives the slide while it is needed; it may be decoded again for each use. */
export type UsePixels = <T>(use: (slide: Pixels) => Promise<T>) => Promise<T>;

const TILE_SIZE = 256;
/** Of all pictures together, so that a walk through many slides does not fill the memory: 48 MiB of RGB. */
const KEPT_TILES = 256;
/** The one that was asked for last comes last. */
const kept = new Map<string, Promise<RgbImage>>();
let pictures = 0;
/** Longest side of the small copy that is made of a slide without small levels of its own. */
const OVERVIEW_SIDE = 2048;

export function slidePicture(
  size: { readonly width: number; readonly height: number },
  use: UsePixels,
  closeSlide: () => Promise<void>,
  source: SlideFiles | null = null,
): Picture {
  const { width, height } = size;
  const levels = levelCount(width, height);
  const own = `${pictures++}/`;
  let overview: Promise<Overview> | undefined;

  const read = (level: number, column: number, row: number): Promise<RgbImage> =>
    use(async (slide) => {
      const zoom = 2 ** level;
      const square = squareAt(width, height, level, column, row);
      // Reading a square of a large level whole, for few pixels, takes as long as the level has pixels.
      const coarsest = Math.max(...slide.levels.map(({ downsample }) => downsample));
      const shrunk = Math.max(width, height) / OVERVIEW_SIDE;
      if (shrunk >= 2 * coarsest && zoom >= shrunk) {
        overview ??= readOverview(slide, OVERVIEW_SIDE);
        const small = await overview;
        return scaledPart(asPixels(small.image), small, zoom, square);
      }
      const { level: from, factor } = levelFor(slide, zoom, TILE_SIZE);
      const { downsample } = slide.levels[from]!;
      const [x, y] = [(square.x * zoom) / downsample, (square.y * zoom) / downsample];
      return factor === 1
        ? slide.readRegion(from, Math.round(x), Math.round(y), square.width, square.height)
        : readScaled(slide, {
            level: from,
            x,
            y,
            scaleX: factor,
            scaleY: factor,
            width: square.width,
            height: square.height,
          });
    });

  return {
    width,
    height,
    tileSize: TILE_SIZE,
    levels,
    source,
    async tile(level, column, row) {
      checkSquare(width, height, levels, level, column, row);
      const key = `${own}${level}/${column}/${row}`;
      const known = kept.get(key);
      const image = known ?? read(level, column, row);
      kept.delete(key);
      kept.set(key, image);
      image.catch(() => kept.delete(key));
      if (kept.size > KEPT_TILES) kept.delete(kept.keys().next().value ?? '');
      return toBitmap(await image);
    },
    async close() {
      for (const key of kept.keys()) if (key.startsWith(own)) kept.delete(key);
      await closeSlide();
    },
  };
}

/** An image that is in memory, as a slide of one level. */
export function asPixels(image: RgbImage): Pixels {
  const { width, height, data } = image;
  return {
    levels: [{ width, height, downsample: 1 }],
    async readRegion(_, x, y, w, h) {
      const out = new Uint8Array(w * h * 3).fill(255);
      const [left, right] = [Math.max(x, 0), Math.min(x + w, width)];
      for (let line = Math.max(y, 0); line < Math.min(y + h, height) && left < right; line++) {
        const from = (line * width + left) * 3;
        const to = ((line - y) * w + left - x) * 3;
        out.set(data.subarray(from, from + (right - left) * 3), to);
      }
      return { width: w, height: h, data: out };
    },
  };
}

function scaledPart(
  slide: Pixels,
  { scaleX, scaleY }: Pick<Overview, 'scaleX' | 'scaleY'>,
  zoom: number,
  square: Square,
): Promise<RgbImage> {
  return readScaled(slide, {
    level: 0,
    x: (square.x * zoom) / scaleX,
    y: (square.y * zoom) / scaleY,
    scaleX: zoom / scaleX,
    scaleY: zoom / scaleY,
    width: square.width,
    height: square.height,
  });
}

function levelCount(width: number, height: number): number {
  return 1 + Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / TILE_SIZE)));
}

interface Square {
  /** In pixels of the level. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function squareAt(
  width: number,
  height: number,
  level: number,
  column: number,
  row: number,
): Square {
  const [x, y] = [column * TILE_SIZE, row * TILE_SIZE];
  return {
    x,
    y,
    width: Math.min(TILE_SIZE, Math.ceil(width / 2 ** level) - x),
    height: Math.min(TILE_SIZE, Math.ceil(height / 2 ** level) - y),
  };
}

function checkSquare(
  width: number,
  height: number,
  levels: number,
  level: number,
  column: number,
  row: number,
): void {
  const whole = [level, column, row].every((value) => Number.isInteger(value) && value >= 0);
  if (whole && level < levels) {
    const square = squareAt(width, height, level, column, row);
    if (square.width > 0 && square.height > 0) return;
  }
  throw new HistogradError(
    'no-such-place',
    `The picture of ${width} x ${height} pixels has no square (${column}, ${row}) of level ${level}; its levels are 0 to ${levels - 1}.`,
    'This is a fault of the page: reload it, and report it.',
  );
}

function toBitmap({ width, height, data }: RgbImage): Promise<ImageBitmap> {
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let from = 0, to = 0; to < rgba.length; from += 3, to += 4) {
    rgba[to] = data[from]!;
    rgba[to + 1] = data[from + 1]!;
    rgba[to + 2] = data[from + 2]!;
    rgba[to + 3] = 255;
  }
  return createImageBitmap(new ImageData(rgba, width, height));
}
