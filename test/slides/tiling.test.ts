import { describe, expect, it } from 'vitest';
import { planTiles, readTile } from '../../src/slides/tiling.ts';
import { expectError } from '../data/expect-error.ts';
import { memorySlide } from './pictures.ts';

/** A pixel that tells where it lies, up to 65,536 along each side. */
const coordinates = (x: number, y: number) => [x & 255, y & 255, (x >> 8) ^ (y >> 8)] as const;

describe('planTiles', () => {
  it('asks for --mpp where the slide says nothing, and takes an override', async () => {
    const slide = memorySlide(1000, 1000, coordinates, { mpp: null, objectivePower: 40 });
    const act = () => planTiles(slide, { mpp: 0.5, size: 256 });
    await expectError(act, 'slide-mpp', /memory\.svs.*\n.*--mpp.*40x scan has about 0\.25/);
    const plan = planTiles(slide, { mpp: 0.5, size: 256, mppOverride: 0.25 });
    expect(plan).toMatchObject({ slideMpp: 0.25, side: 512, columns: 1, rows: 1 });
  });

  it('covers a slide of whole tiles exactly, with either edge policy', () => {
    const slide = memorySlide(1024, 512, coordinates, { mpp: 0.5 });
    for (const edge of ['drop', 'pad'] as const) {
      const plan = planTiles(slide, { mpp: 0.5, size: 256, edge });
      expect(plan).toMatchObject({ columns: 4, rows: 2, level: 0, factor: 1, upsampled: false });
      expect(plan.tiles[5]).toEqual({ x: 256, y: 256, column: 1, row: 1 });
    }
  });

  it('drops or pads what sticks out, and handles a slide smaller than a tile', () => {
    const slide = memorySlide(1025, 600, coordinates, { mpp: 0.5 });
    expect(planTiles(slide, { mpp: 0.5, size: 256 })).toMatchObject({ columns: 4, rows: 2 });
    const padded = planTiles(slide, { mpp: 0.5, size: 256, edge: 'pad' });
    expect(padded).toMatchObject({ columns: 5, rows: 3 });
    const small = memorySlide(100, 100, coordinates, { mpp: 0.5 });
    expect(planTiles(small, { mpp: 0.5, size: 256 }).tiles).toEqual([]);
    expect(planTiles(small, { mpp: 0.5, size: 256, edge: 'pad' }).tiles).toHaveLength(1);
  });

  it('overlaps by exactly the pixels asked for', () => {
    const slide = memorySlide(1000, 256, coordinates, { mpp: 0.5 });
    const plan = planTiles(slide, { mpp: 0.5, size: 256, overlap: 64 });
    expect(plan.tiles.map(({ x }) => x)).toEqual([0, 192, 384, 576]);
  });

  it('gives columns back from coordinates, and never drifts, at awkward resolutions', () => {
    for (const mpp of [0.2521, 0.2277, 0.4991, 0.1617]) {
      const slide = memorySlide(90_001, 300, coordinates, { mpp });
      const plan = planTiles(slide, { mpp: 0.5, size: 224, overlap: 17, edge: 'pad' });
      for (const { x, y, column, row } of plan.tiles) {
        expect(Math.round(x / plan.stride)).toBe(column);
        expect(Math.round(y / plan.stride)).toBe(row);
        expect(Math.abs(x - (column * 207 * 0.5) / mpp)).toBeLessThanOrEqual(0.5);
      }
      const last = plan.tiles.at(-1)!;
      expect(last.x + plan.side).toBeGreaterThanOrEqual(90_001);
      expect(last.x + plan.side - plan.stride).toBeLessThan(90_001);
    }
  });

  it('reads from the coarsest level with enough detail', () => {
    const slide = memorySlide(8000, 8000, coordinates, { downsamples: [1, 4.0006, 16.004] });
    const level = (mpp: number) => planTiles(slide, { mpp, size: 256 }).level;
    expect([0.25, 0.5, 0.99].map(level)).toEqual([0, 0, 0]);
    // 4.0006 is a rounding of 4: the level is taken, and copied.
    expect(planTiles(slide, { mpp: 1, size: 256 })).toMatchObject({ level: 1, factor: 1 });
    expect([1.5, 3.9].map(level)).toEqual([1, 1]);
    expect([4.01, 8].map(level)).toEqual([2, 2]);
    expect(planTiles(slide, { mpp: 2, size: 256 }).factor).toBeCloseTo(8 / 4.0006, 12);
  });

  it('says when the slide is too coarse', () => {
    const slide = memorySlide(800, 800, coordinates, { mpp: 1 });
    const plan = planTiles(slide, { mpp: 0.5, size: 256 });
    expect(plan).toMatchObject({ upsampled: true, factor: 0.5, level: 0, columns: 6 });
    expect(planTiles(slide, { mpp: 0.999, size: 256 }).upsampled).toBe(false);
  });

  it('refuses what makes no sense, or too many tiles', async () => {
    const slide = memorySlide(100_000, 100_000, coordinates);
    const bad: [object, RegExp][] = [
      [{ mpp: 0 }, /mpp is 0/],
      [{ mpp: Number.NaN }, /mpp is NaN/],
      [{ mppOverride: -1 }, /mppOverride is -1/],
      [{ size: 0 }, /size is 0/],
      [{ size: 100.5 }, /size is 100.5/],
      [{ overlap: 256 }, /overlap is 256/],
      [{ size: 1 }, /100000 x 100000 tiles/],
      [{ mpp: 1e-9 }, /pixels apart/],
    ];
    for (const [options, text] of bad) {
      await expectError(
        () => planTiles(slide, { mpp: 0.25, size: 256, ...options }),
        'tiling',
        text,
      );
    }
    await expectError(
      () => planTiles({ ...slide, levels: [] }, { mpp: 0.5, size: 256 }),
      'slide-empty',
      /no image/,
    );
  });
});

describe('readTile', () => {
  it('copies pixels where no resampling is needed', async () => {
    const slide = memorySlide(1000, 1000, coordinates, { mpp: 0.5 });
    const plan = planTiles(slide, { mpp: 0.5, size: 100 });
    const tile = plan.tiles[23]!;
    const { width, height, data } = await readTile(slide, plan, tile);
    expect([width, height]).toEqual([100, 100]);
    expect([...data.subarray(0, 3)]).toEqual([...coordinates(300, 200)]);
    expect([...data.subarray(-3)]).toEqual([...coordinates(399, 299)]);
  });

  it('reads a level of downsample 4.0006 at the right place, far from the origin', async () => {
    const slide = memorySlide(60_000, 2000, coordinates, { downsamples: [1, 4.0006] });
    const plan = planTiles(slide, { mpp: 1, size: 64 });
    const tile = plan.tiles[plan.columns - 1]!;
    expect(tile.x).toBeGreaterThan(59_000);
    const { data } = await readTile(slide, plan, tile);
    // The level-0 pixel that the tile's first pixel shows, at most two of them (half a level pixel) off its centre.
    const shown = data[0]! + 256 * (tile.x >> 8);
    expect(Math.abs(shown - (tile.x + 2))).toBeLessThanOrEqual(2.5);
    expect(slide.reads.at(-1)).toMatchObject({ level: 1, width: 64, height: 64 });
  });

  it('places resampled pixels by their centres, to a hundredth of a pixel', async () => {
    // Each channel is linear in x or y, and so is every antialiased average inside.
    const slide = memorySlide(2000, 2000, (x, y) => [x / 10, y / 10, 0], { mpp: 0.2521 });
    const plan = planTiles(slide, { mpp: 0.5, size: 200 });
    const tile = plan.tiles[plan.columns + 2]!;
    const { data } = await readTile(slide, plan, tile);
    let error = 0;
    for (let i = 0; i < 200; i++) {
      const centre = tile.x + (i + 0.5) * plan.factor - 0.5;
      error += data[(100 * 200 + i) * 3]! - (centre / 10 - 0.45);
    }
    // Truncation to bytes when drawing cancels out on average.
    expect(Math.abs(error / 200)).toBeLessThan(0.1);
  });

  it('pads with white, resampled or not', async () => {
    const slide = memorySlide(300, 300, () => [9, 9, 9], { mpp: 0.25 });
    for (const mpp of [0.25, 0.5, 0.1]) {
      const plan = planTiles(slide, { mpp, size: 128, edge: 'pad' });
      const last = await readTile(slide, plan, plan.tiles.at(-1)!);
      expect(last.data.length).toBe(128 * 128 * 3);
      expect([...last.data.subarray(0, 3)]).toEqual([9, 9, 9]);
      expect([...last.data.subarray(-3)]).toEqual([255, 255, 255]);
    }
  });
});
