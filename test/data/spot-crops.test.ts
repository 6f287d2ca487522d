import { describe, expect, it } from 'vitest';
import { sparseBuilder } from '../../src/data/sparse-rows.ts';
import { neighbourViews, spotCrops } from '../../src/data/spot-crops.ts';
import type { SpotSection } from '../../src/data/spots.ts';
import type { RgbImage, Slide } from '../../src/slides/slide.ts';
import { expectError } from './expect-error.ts';

const WIDTH = 40;
const HEIGHT = 30;

/** Red is the column, green the row, blue 9; level 1 is half as large. */
const slide: Slide = {
  name: 's.png',
  format: 'png',
  levels: [
    { width: WIDTH, height: HEIGHT, downsample: 1 },
    { width: WIDTH / 2, height: HEIGHT / 2, downsample: 2 },
  ],
  mpp: 0.5,
  objectivePower: null,
  async readRegion(level, x, y, width, height): Promise<RgbImage> {
    const { width: w, height: h, downsample } = slide.levels[level]!;
    const data = new Uint8Array(width * height * 3).fill(255);
    for (let j = 0; j < height; j++) {
      for (let i = 0; i < width; i++) {
        if (x + i < 0 || y + j < 0 || x + i >= w || y + j >= h) continue;
        data.set([(x + i) * downsample, (y + j) * downsample, 9], (j * width + i) * 3);
      }
    }
    return { width, height, data };
  },
  close() {},
};

const section = (...points: [number, number][]): SpotSection => ({
  name: 'S',
  spots: points.map(([x, y], i) => ({ id: `s${i}`, x, y, row: 0, column: i, inTissue: true })),
  genes: ['A'],
  counts: sparseBuilder(points.length, 1).finish('S'),
  pixelSpace: 'fullres',
  notes: [],
});

async function all<T>(crops: AsyncGenerator<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const crop of crops) out.push(crop);
  return out;
}
const pixel = ({ width, data }: RgbImage, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe('spotCrops', () => {
  it('copies pixels around the centre', async () => {
    const [a, b] = await all(spotCrops(slide, section([10, 20], [20.4, 12.6]), { size: 4 }));
    expect(pixel(a!.image, 0, 0)).toEqual([8, 18, 9]);
    expect(pixel(a!.image, 3, 3)).toEqual([11, 21, 9]);
    expect(pixel(b!.image, 0, 0)).toEqual([18, 11, 9]);
    expect([b!.index, b!.spot.id]).toEqual([1, 's1']);
  });

  it.each([
    ['white', [255, 255, 255]],
    ['black', [0, 0, 0]],
    ['edge', [0, 0, 9]],
  ] as const)('pads with %s', async (padding, colour) => {
    const [crop] = await all(spotCrops(slide, section([1, 1]), { size: 8, padding }));
    expect(pixel(crop!.image, 0, 0)).toEqual(colour);
    expect(pixel(crop!.image, 5, 4)).toEqual([2, 1, 9]);
  });

  it('reads the level that fits the resolution', async () => {
    const [crop] = await all(spotCrops(slide, section([20, 16]), { size: 4, mpp: 1 }));
    expect(pixel(crop!.image, 0, 0)).toEqual([16, 12, 9]);
    expect(pixel(crop!.image, 3, 0)).toEqual([22, 12, 9]);
  });

  it('refuses spots outside, and a resolution that nobody knows', async () => {
    const far = section([1, 1], [50, 3]);
    await expectError(() => all(spotCrops(slide, far, { size: 4 })), 'spots-outside', /1 of 2.*s1/);
    const unknown = { ...slide, mpp: null };
    const ask = () => all(spotCrops(unknown, section([9, 9]), { size: 4, mpp: 1 }));
    await expectError(ask, 'slide-mpp', /s.png/);
    await expectError(() => all(spotCrops(slide, far, { size: 0 })), 'spots-outside', /s1/);
    await expectError(
      () => all(spotCrops(slide, section([9, 9]), { size: 0 })),
      'bad-crop',
      /size/,
    );
  });
});

describe('neighbourViews', () => {
  it('cuts 25 tiles and masks those not wholly inside', async () => {
    const [view] = await all(neighbourViews(slide, section([9, 15]), { size: 4 }));
    expect(view!.tiles).toHaveLength(25);
    // Columns begin at -1, 3, 7, 11, 15; rows at 5, 9, 13, 17, 21.
    expect([...view!.mask]).toEqual(Array.from({ length: 25 }, (_, t) => (t % 5 === 0 ? 0 : 1)));
    expect(pixel(view!.tiles[12]!, 0, 0)).toEqual([7, 13, 9]);
    expect(pixel(view!.tiles[0]!, 0, 0)).toEqual([0, 0, 0]);
    expect(pixel(view!.tiles[0]!, 1, 0)).toEqual([0, 5, 9]);
  });
});
