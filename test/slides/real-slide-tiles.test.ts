/** The whole way from a real slide to its tiles, with geotiff alone for the container. */
import { existsSync, readFileSync } from 'node:fs';
import { fromFile } from 'geotiff';
import { describe, expect, it } from 'vitest';
import { decodeJpeg } from '../../src/slides/jpeg.ts';
import { renderPreview } from '../../src/slides/preview.ts';
import { type SelectOptions, selectTiles } from '../../src/slides/select-tiles.ts';
import type { RgbImage, Slide } from '../../src/slides/slide.ts';
import { normaliseStains } from '../../src/slides/stain-normalise.ts';
import { readGrid } from '../../src/slides/tile-grid.ts';
import { planTiles, readTile } from '../../src/slides/tiling.ts';

const PATH = '../shared/data/slides/CMU-1-Small-Region.svs';

/** The single level of the slide; its decoded tiles (20 MB) are kept. */
async function openSmallRegion(): Promise<Slide> {
  const bytes = readFileSync(PATH);
  const tiff = await fromFile(PATH);
  const image = await tiff.getImage(0);
  const directory = image.fileDirectory;
  const [offsets, lengths, tables] = await Promise.all([
    directory.loadValue('TileOffsets'),
    directory.loadValue('TileByteCounts'),
    directory.loadValue('JPEGTables'),
  ]);
  await tiff.close();
  const [width, height, side] = [image.getWidth(), image.getHeight(), image.getTileWidth()];
  const across = Math.ceil(width / side);
  const options = { tables: Uint8Array.from(tables ?? []), colour: 'rgb', maxPixels: 1e6 } as const;
  const decoded = new Map<number, RgbImage>();
  const tile = async (column: number, row: number) => {
    const i = row * across + column;
    const known = decoded.get(i);
    if (known) return known;
    const start = Number(offsets?.[i]);
    const jpeg = bytes.subarray(start, start + Number(lengths?.[i]));
    const picture = await decodeJpeg(jpeg, options, PATH, `tile ${i}`);
    decoded.set(i, picture);
    return picture;
  };
  const grid = { width, height, tileWidth: side, tileHeight: side, tile };
  return {
    name: 'CMU-1-Small-Region.svs',
    format: 'aperio-svs',
    levels: [{ width, height, downsample: 1 }],
    mpp: 0.499,
    objectivePower: 20,
    readRegion: (_, x, y, w, h) => readGrid(grid, x, y, w, h),
    close() {},
  };
}

describe.skipIf(!existsSync(PATH))('CMU-1-Small-Region.svs', () => {
  it('keeps the tiles of its tissue, by every rule', async () => {
    const slide = await openSmallRegion();
    const plan = planTiles(slide, { mpp: 0.5, size: 224 });
    expect([plan.columns, plan.rows, plan.factor]).toEqual([9, 13, 1]);
    const kept = async (options?: SelectOptions) =>
      new Set((await selectTiles(slide, plan, options)).kept);
    const otsu = await kept();
    const sequoia = await kept({ tissue: 'sequoia' });
    // Epithelium and stroma in the middle; bare glass at the lower left.
    const at = (column: number, row: number) => row * plan.columns + column;
    for (const found of [otsu, sequoia]) {
      for (const [column, row] of [
        [4, 4],
        [5, 6],
        [4, 9],
        [3, 11],
      ] as const) {
        expect(found).toContain(at(column, row));
      }
      for (let row = 7; row < 13; row++) {
        expect(found).not.toContain(at(0, row));
      }
      expect(found.size).toBeGreaterThan(40);
      expect(found.size).toBeLessThan(75);
    }
    const shannon = await kept({ selector: 'shannon', keep: { fraction: 0.3 } });
    expect(shannon.size).toBe(Math.round(0.3 * otsu.size));
    for (const i of shannon) expect(otsu).toContain(i);
  });

  it('resamples, normalises and draws them', async () => {
    const slide = await openSmallRegion();
    const plan = planTiles(slide, { mpp: 1, size: 256 });
    expect(plan).toMatchObject({ columns: 4, rows: 5, level: 0 });
    const tile = await readTile(slide, plan, plan.tiles[9]!);
    expect([tile.width, tile.height, tile.data.length]).toEqual([256, 256, 256 * 256 * 3]);
    expect(normaliseStains(tile).unchanged).toBeNull();
    const selection = await selectTiles(slide, plan, { selector: 'ig', keep: { fraction: 0.5 } });
    const svg = await renderPreview(slide, plan, selection);
    expect(svg).toContain(`>${selection.kept.length} kept<`);
    expect(svg.length).toBeLessThan(3e6);
  });
});
