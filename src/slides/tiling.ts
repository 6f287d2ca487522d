/**
 * Cutting a slide into square tiles at a requested resolution.
 *
 * A tile's corner is `round(column * stride)` in level-0 pixels: every corner is computed from its
 * own column, never from its neighbour, so that roundings do not add up, and `round(x / stride)`
 * gives the column back.
 */
import { HistogradError } from '../errors.ts';
import { readScaled } from './resample.ts';
import type { RgbImage, Slide } from './slide.ts';

/** Tiles are objects in memory; a 100,000 x 100,000 slide has 153,000 tiles of 256 pixels. */
const MOST_TILES = 2_000_000;
/** A tile's side in pixels. */
export const LARGEST_TILE = 4096;

export interface TilingOptions {
  /** Micrometres per tile pixel wanted; 0.5 is what scanners call 20x. */
  readonly mpp: number;
  /** Tile side in pixels at that resolution. */
  readonly size: number;
  /** Tile pixels that neighbours share; 0 when left out. */
  readonly overlap?: number;
  /** Tiles that stick out at the right and below: left out, or filled up with white. Default `drop`. */
  readonly edge?: 'drop' | 'pad';
  /** Micrometres per level-0 pixel, instead of what the slide says or where it says nothing. */
  readonly mppOverride?: number;
}

export interface PlannedTile {
  /** Upper left corner, level-0 pixels. */
  readonly x: number;
  readonly y: number;
  readonly column: number;
  readonly row: number;
}

/** What reading a tile takes of its plan. */
export type TileScale = Pick<TilePlan, 'level' | 'factor' | 'size'>;

export interface TilePlan {
  readonly mpp: number;
  readonly size: number;
  readonly overlap: number;
  readonly edge: 'drop' | 'pad';
  /** Micrometres per level-0 pixel that the plan rests on. */
  readonly slideMpp: number;
  /** The level that tiles are read from. */
  readonly level: number;
  /**
   * Level pixels per tile pixel. Exactly 1 where resampling would move no pixel by more than half a
   * pixel: then the level's pixels are copied.
   */
  readonly factor: number;
  /** The slide itself is coarser than `mpp`: tiles are enlarged and hold no more detail. Warn the user. */
  readonly upsampled: boolean;
  /** Level-0 pixels along a tile's side and from one tile to the next; not whole in general. */
  readonly side: number;
  readonly stride: number;
  readonly columns: number;
  readonly rows: number;
  /** Row by row, `columns * rows` of them; none when the slide is smaller than a tile and `edge` is `drop`. */
  readonly tiles: readonly PlannedTile[];
}

/**
 * Plans the tiles of a slide: where they lie, which level they are read from, how they are resampled.
 *
 * The level is the coarsest whose resolution is at least the requested one (a level up to one pixel
 * per tile short of it counts as equal, because downsamples such as 4.0006 are roundings of 4).
 *
 * @throws HistogradError `slide-mpp` when neither the slide nor `mppOverride` gives its resolution,
 *   `tiling` when an option is out of range or there would be more than two million tiles
 */
export function planTiles(slide: Slide, options: TilingOptions): TilePlan {
  const { mpp, size, overlap = 0, edge = 'drop', mppOverride } = options;
  checkPositive('mpp', mpp, 'micrometres per pixel, for example 0.5');
  if (mppOverride !== undefined) {
    checkPositive('mppOverride', mppOverride, 'micrometres per level-0 pixel, for example 0.25');
  }
  if (!Number.isInteger(size) || size < 1 || size > LARGEST_TILE) {
    throw tilingError('size', size, `a whole number from 1 to ${LARGEST_TILE} pixels`);
  }
  if (!Number.isInteger(overlap) || overlap < 0 || overlap >= size) {
    throw tilingError('overlap', overlap, `a whole number from 0 to ${size - 1} pixels`);
  }
  const slideMpp = mppOverride ?? slide.mpp;
  if (slideMpp === null || !Number.isFinite(slideMpp) || slideMpp <= 0) {
    throw new HistogradError(
      'slide-mpp',
      `${slide.name} does not say how large its pixels are.`,
      `Give --mpp (in the library mppOverride) with the micrometres per pixel of the full image${hint(slide.objectivePower)}.`,
    );
  }
  const [full] = slide.levels;
  if (!full || !(full.width >= 1) || !(full.height >= 1)) {
    throw new HistogradError(
      'slide-empty',
      `${slide.name} has no image to cut tiles from.`,
      'Check that the file is a slide and complete.',
    );
  }
  const zoom = mpp / slideMpp;
  const side = size * zoom;
  const stride = (size - overlap) * zoom;
  if (stride < 1) {
    throw new HistogradError(
      'tiling',
      `${slide.name}: neighbouring tiles would lie ${stride} of its pixels apart, expected at least 1.`,
      `Ask for a resolution nearer to the slide's ${slideMpp} micrometres per pixel, or for less overlap.`,
    );
  }
  const columns = tilesAlong(full.width, side, stride, edge);
  const rows = tilesAlong(full.height, side, stride, edge);
  if (!(columns * rows <= MOST_TILES)) {
    throw new HistogradError(
      'tiling',
      `${slide.name}: ${columns} x ${rows} tiles of ${size} pixels at ${mpp} micrometres per pixel, expected at most ${MOST_TILES}.`,
      `Check the resolution (the slide is taken to have ${slideMpp} micrometres per pixel), or use larger tiles or less overlap.`,
    );
  }
  const { level, factor } = levelFor(slide, zoom, size);
  const tiles: PlannedTile[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      tiles.push({ x: Math.round(column * stride), y: Math.round(row * stride), column, row });
    }
  }
  return {
    mpp,
    size,
    overlap,
    edge,
    slideMpp,
    level,
    factor,
    upsampled: factor < 1,
    side,
    stride,
    columns,
    rows,
    tiles,
  };
}

/**
 * Pixels of one tile, exactly `plan.size` x `plan.size`; white beyond the edges of the slide.
 *
 * @throws HistogradError what the slide throws for a damaged region
 */
export async function readTile(
  slide: Slide,
  plan: TileScale,
  tile: PlannedTile,
): Promise<RgbImage> {
  const { level, factor, size } = plan;
  const { downsample } = slide.levels[level]!;
  const x = tile.x / downsample;
  const y = tile.y / downsample;
  if (factor === 1) return slide.readRegion(level, Math.round(x), Math.round(y), size, size);
  return readScaled(slide, {
    level,
    x,
    y,
    scaleX: factor,
    scaleY: factor,
    width: size,
    height: size,
  });
}

/**
 * The coarsest level that has at least the requested detail (0 when none has), and its pixels per pixel of the
 * picture: 1 where resampling would move no pixel by more than half a pixel.
 *
 * @param zoom level-0 pixels per pixel of the picture
 * @param size the picture's side in pixels
 */
export function levelFor(
  slide: Pick<Slide, 'levels'>,
  zoom: number,
  size: number,
): { level: number; factor: number } {
  let level = 0;
  for (const [i, { downsample }] of slide.levels.entries()) {
    const enough = (zoom / downsample - 1) * size >= -1;
    if (enough && downsample > slide.levels[level]!.downsample) level = i;
  }
  const exact = zoom / slide.levels[level]!.downsample;
  return { level, factor: Math.abs(exact - 1) * size <= 1 ? 1 : exact };
}

function tilesAlong(length: number, side: number, stride: number, edge: 'drop' | 'pad'): number {
  // What division loses must not cost, or add, a tile.
  const steps = (length - side) / stride;
  if (edge === 'drop') return steps < -1e-9 ? 0 : Math.floor(steps + 1e-9) + 1;
  return Math.max(0, Math.ceil(steps - 1e-9)) + 1;
}

function hint(objectivePower: number | null): string {
  if (objectivePower === null || !(objectivePower > 0))
    return ' (0.25 for most 40x scans, 0.5 for 20x)';
  return ` (a ${objectivePower}x scan has about ${Number((10 / objectivePower).toPrecision(3))})`;
}

function checkPositive(name: string, value: number, meaning: string): void {
  if (!Number.isFinite(value) || value <= 0) throw tilingError(name, value, `positive ${meaning}`);
}

function tilingError(name: string, found: unknown, expected: string): HistogradError {
  return new HistogradError(
    'tiling',
    `Tiling: ${name} is ${String(found)}, expected ${expected}.`,
    `Give a ${name} in that range.`,
  );
}
