import { describe, expect, it } from 'vitest';
import { planTiles } from '../../src/slides/tiling.ts';
import {
  readOverview,
  sequoiaTile,
  tissueFraction,
  tissueMask,
} from '../../src/slides/tissue-mask.ts';
import { expectError } from '../data/expect-error.ts';
import { GOLDEN_CASES } from './goldens.ts';
import { flat, hashNoise, memorySlide, tissuePixel } from './pictures.ts';

/** White with faint noise and one block of tissue, [x from, y from, x to, y to) in pixels. */
function island(left: number, top: number, right: number, bottom: number) {
  return (x: number, y: number) => {
    const noise = hashNoise(x, y, 1) & 3;
    return x >= left && x < right && y >= top && y < bottom
      ? ([200 - 10 * noise, 110, 170 - noise] as const)
      : ([240 + noise, 242, 241] as const);
  };
}

describe('tissueMask', () => {
  it.each(GOLDEN_CASES)('sequoia: pixel for pixel as scipy: $title', ({ image, sequoia }) => {
    const mask = tissueMask({ image, scaleX: 1, scaleY: 1 }, 'sequoia');
    expect(mask.data.reduce((sum, value) => sum + value, 0)).toBe(sequoia.overview);
    const rows = Array.from({ length: mask.height }, (_, y) =>
      mask.data
        .subarray(y * mask.width, (y + 1) * mask.width)
        .reduce((sum, value, x) => sum + value * (x + 1), 0),
    );
    expect(rows).toEqual(sequoia.overviewRows);
  });

  it.each(GOLDEN_CASES)('sequoia judges a tile by its own pixels: $title', ({ image, sequoia }) => {
    const judged = sequoiaTile(image);
    expect(judged.tissue).toBeCloseTo(sequoia.tissue, 12);
    expect(judged.lowContrast).toBe(sequoia.lowContrast);
    expect(judged.kept).toBe(sequoia.tissue > 0.2 && !sequoia.lowContrast);
  });

  it.each(['sequoia', 'otsu'] as const)('%s finds an island of tissue', async (rule) => {
    const slide = memorySlide(400, 300, island(100, 60, 300, 180));
    const mask = tissueMask(await readOverview(slide), rule);
    for (const [x, y, expected] of [
      [50, 50, 0],
      [200, 100, 1],
      [102, 62, 1],
      [350, 250, 0],
    ] as const) {
      expect(mask.data[y * mask.width + x]).toBe(expected);
    }
  });

  it('otsu finds nothing in a blank or a black slide; none takes everything', () => {
    const overview = { image: flat(64, 64, [240, 240, 240]), scaleX: 1, scaleY: 1 };
    overview.image.data.forEach((value, i) => {
      overview.image.data[i] = value + (hashNoise(i, 0, 2) & 3);
    });
    expect(tissueMask(overview, 'otsu').data.includes(1)).toBe(false);
    expect(tissueMask(overview, 'none').data.includes(0)).toBe(false);
    const black = { image: flat(8, 8, [3, 0, 1]), scaleX: 1, scaleY: 1 };
    black.image.data.fill(0, 0, 60);
    expect(tissueMask(black, 'otsu').data.includes(1)).toBe(false);
  });

  it('refuses a rule it does not know', async () => {
    const overview = { image: flat(8, 8, [1, 2, 3]), scaleX: 1, scaleY: 1 };
    const act = () => tissueMask(overview, JSON.parse('"all"'));
    await expectError(act, 'tissue-rule', /"all".*sequoia, otsu, none/);
  });
});

describe('tissueFraction', () => {
  it('is the part of the tile that is tissue, through every scale', async () => {
    const slide = memorySlide(4000, 2000, island(1000, 0, 2500, 2000), { mpp: 0.5 });
    const overview = await readOverview(slide, 500);
    expect([overview.image.width, overview.scaleX]).toEqual([500, 8]);
    const mask = tissueMask(overview, 'otsu');
    const plan = planTiles(slide, { mpp: 1, size: 500, edge: 'pad' });
    const fractions = plan.tiles.map((tile) => tissueFraction(mask, plan, tile));
    expect(fractions.slice(0, 4)).toEqual([0, 1, 0.5, 0].map((v) => expect.closeTo(v, 1)));
  });

  it('counts what lies outside the slide as empty, and works below one mask pixel', async () => {
    const slide = memorySlide(1000, 1000, island(0, 0, 2000, 2000), { mpp: 0.5 });
    const mask = { ...tissueMask(await readOverview(slide, 100), 'none') };
    const big = planTiles(slide, { mpp: 0.5, size: 800, edge: 'pad' });
    expect(tissueFraction(mask, big, big.tiles[1]!)).toBeCloseTo(0.25, 6);
    const small = planTiles(slide, { mpp: 0.5, size: 2 });
    mask.data[0] = 0;
    expect(tissueFraction(mask, small, small.tiles[0]!)).toBe(0);
    expect(tissueFraction(mask, small, small.tiles[7]!)).toBe(1);
  });
});

describe('readOverview', () => {
  it('reads a huge slide from its smallest adequate level', async () => {
    const at = (x: number, y: number) => tissuePixel(x >> 8, y >> 8, 3);
    const slide = memorySlide(100_000, 80_000, at, { downsamples: [1, 4, 64, 256] });
    const { image, scaleX, scaleY } = await readOverview(slide);
    expect(new Set(slide.reads.map(({ level }) => level))).toEqual(new Set([2]));
    expect([image.width, image.height]).toEqual([1562, 1250]);
    expect([scaleX, scaleY]).toEqual([100_000 / 1562, 64]);
  });

  it('reads a slide of one level in strips, and leaves a small one at its size', async () => {
    let most = 0;
    const slide = {
      ...memorySlide(20_000, 4000, () => [0, 0, 0]),
      readRegion: async (_: number, _x: number, _y: number, width: number, height: number) => {
        most = Math.max(most, width * height);
        return { width, height, data: new Uint8Array(width * height * 3).fill(9) };
      },
    };
    const { image } = await readOverview(slide, 400);
    expect([image.width, image.height]).toEqual([400, 80]);
    expect(most).toBeLessThanOrEqual(4 << 20);
    const small = await readOverview(memorySlide(30, 20, island(0, 0, 9, 9)));
    expect([small.image.width, small.image.height, small.scaleX]).toEqual([30, 20, 1]);
  });

  it('refuses a size out of range', async () => {
    const slide = memorySlide(30, 20, island(0, 0, 9, 9));
    await expectError(() => readOverview(slide, 1e6), 'overview-size', /1000000/);
  });
});
