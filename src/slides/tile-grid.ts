/** A level made of equal tiles, and regions put together from them. */
import { HistogradError } from '../errors.ts';
import type { RgbImage } from './slide.ts';

export interface TileGrid {
  /** Of the level, in its pixels. */
  readonly width: number;
  readonly height: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
  /** The decoded tile; it may be larger or smaller than the grid says, then it is cut or white. Null: nothing there. */
  tile(column: number, row: number): Promise<RgbImage | null>;
}

/** 192 MiB of RGB. */
const MAX_REGION_PIXELS = 2 ** 26;

/** @throws HistogradError `slide-region` when the region's numbers make no sense or it is too large */
export async function readGrid(
  grid: TileGrid,
  x: number,
  y: number,
  width: number,
  height: number,
): Promise<RgbImage> {
  if (![x, y, width, height].every(Number.isSafeInteger) || width < 1 || height < 1) {
    throw badRegion(`the region ${width} x ${height} at (${x}, ${y}) is not one of whole pixels`);
  }
  if (width * height > MAX_REGION_PIXELS) {
    throw badRegion(
      `a region of ${width} x ${height} pixels is larger than ${MAX_REGION_PIXELS} pixels`,
    );
  }
  const data = new Uint8Array(3 * width * height).fill(255);
  const right = Math.min(x + width, grid.width);
  const bottom = Math.min(y + height, grid.height);
  const { tileWidth, tileHeight } = grid;
  for (let row = Math.floor(Math.max(y, 0) / tileHeight); row * tileHeight < bottom; row++) {
    for (
      let column = Math.floor(Math.max(x, 0) / tileWidth);
      column * tileWidth < right;
      column++
    ) {
      const tile = await grid.tile(column, row);
      if (tile === null) continue;
      const left = column * tileWidth;
      const top = row * tileHeight;
      const fromX = Math.max(x, left);
      const toX = Math.min(right, left + Math.min(tile.width, tileWidth));
      const toY = Math.min(bottom, top + Math.min(tile.height, tileHeight));
      if (toX <= fromX) continue;
      for (let line = Math.max(y, top); line < toY; line++) {
        const source = 3 * ((line - top) * tile.width + (fromX - left));
        const target = 3 * ((line - y) * width + (fromX - x));
        data.set(tile.data.subarray(source, source + 3 * (toX - fromX)), target);
      }
    }
  }
  return { width, height, data };
}

export function checkLevel(name: string, level: number, count: number): void {
  if (Number.isInteger(level) && level >= 0 && level < count) return;
  throw badRegion(`${name} has no level ${level}: its levels are 0 to ${count - 1}`);
}

function badRegion(problem: string): HistogradError {
  return new HistogradError('slide-region', `${problem}.`, 'Ask for a region within the limits.');
}
