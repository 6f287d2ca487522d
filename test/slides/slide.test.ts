import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fileSource } from '../../src/slides/node/file-source.ts';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import { openSlideSources } from '../../src/slides/open-slide.ts';
import { testPicture, tiledPage, writeTiff } from './write-tiff.ts';

const SVS = 'test/slides/fixtures/ycbcr.svs';

/** A slide over a source that notes what is read of it. */
async function watched(path: string, cacheBytes: number) {
  const source = await fileSource(path);
  const reads: number[] = [];
  let closed = 0;
  const slide = await openSlideSources(
    [
      {
        ...source,
        readRange(offset, length) {
          reads.push(length);
          return source.readRange(offset, length);
        },
        close() {
          closed++;
          return source.close();
        },
      },
    ],
    { cacheBytes },
  );
  return { slide, reads, closed: () => closed };
}

describe('readRegion', () => {
  const tiff = writeTiff([tiledPage(testPicture(40, 30), 16)]);

  it('is white outside the slide, on every side', async () => {
    const slide = await openSlide(tiff);
    const region = await slide.readRegion(0, -2, -1, 44, 33);
    expect(region).toMatchObject({ width: 44, height: 33 });
    const pixel = (x: number, y: number) => [
      ...region.data.subarray(3 * (44 * y + x), 3 * (44 * y + x) + 3),
    ];
    expect(pixel(1, 1)).toEqual([255, 255, 255]);
    expect(pixel(2, 0)).toEqual([255, 255, 255]);
    expect(pixel(2, 1)).toEqual([0, 0, 40]);
    expect(pixel(41, 30)).toEqual([39, 29, 40]);
    expect(pixel(42, 30)).toEqual([255, 255, 255]);
    expect(pixel(41, 31)).toEqual([255, 255, 255]);
    const far = await slide.readRegion(0, 10_000_000, -10_000_000, 4, 4);
    expect(far.data.every((value) => value === 255)).toBe(true);
  });

  it.each<[number, number, number, number, number]>([
    [0, 0.5, 0, 8, 8],
    [0, 0, 0, 0, 8],
    [0, 0, 0, 8, -1],
    [0, 0, Number.NaN, 8, 8],
    [0, 0, 0, 100_000, 100_000],
    [1, 0, 0, 8, 8],
    [-1, 0, 0, 8, 8],
  ])('refuses level %d, region (%d, %d) of %d x %d', async (...region) => {
    const slide = await openSlide(tiff);
    await expect(slide.readRegion(...region)).rejects.toMatchObject({ code: 'slide-region' });
  });
});

describe('range reads', () => {
  it('opens and reads a region without the rest of the file', async () => {
    const { slide, reads } = await watched(SVS, 1 << 20);
    await slide.readRegion(1, 0, 0, 10, 10);
    const size = readFileSync(SVS).length;
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThan(size / 2);
    await slide.close();
  });

  it('keeps decoded tiles, within its bytes', async () => {
    const tile = 3 * 64 * 64;
    const { slide, reads } = await watched(SVS, 2 * tile);
    const fetched = async (x: number) => {
      const before = reads.length;
      await slide.readRegion(0, x, 0, 8, 8);
      return reads.length - before;
    };
    expect(await fetched(0)).toBe(1);
    expect(await fetched(10)).toBe(0);
    expect(await fetched(64)).toBe(1);
    expect(await fetched(0)).toBe(0);
    // The third tile puts out the least recently used, the second.
    expect(await fetched(128)).toBe(1);
    expect(await fetched(0)).toBe(0);
    expect(await fetched(64)).toBe(1);
    await slide.close();
  });

  it('decodes a tile once for reads at the same time', async () => {
    const { slide, reads } = await watched(SVS, 1 << 20);
    const before = reads.length;
    const regions = await Promise.all([0, 5, 9].map((x) => slide.readRegion(0, x, 0, 8, 8)));
    expect(regions).toHaveLength(3);
    expect(reads.length - before).toBe(1);
    await slide.close();
  });
});

describe('openSlide', () => {
  it('names the file and closes it when it is no slide', async () => {
    await expect(openSlide('test/slides/slide.test.ts')).rejects.toThrow(
      /^slide\.test\.ts: it is text, not a TIFF \(as \.svs files are\)[\s\S]*failed downloads/,
    );
    const binary = Uint8Array.of(1, 2, 3, 0, 5);
    await expect(openSlide(binary, { name: 'a.svs' })).rejects.toThrow(
      /^a\.svs: it is not TIFF, SVS[\s\S]*vips/,
    );
    await expect(openSlide('test/slides/nowhere.svs')).rejects.toMatchObject({
      code: 'file-not-readable',
    });
    await expect(openSlide('test/slides')).rejects.toThrow(/a folder is read as one DICOM series/);
    await expect(openSlide(new Uint8Array(0), { name: 'a.svs' })).rejects.toThrow(
      /a\.svs: it is empty/,
    );
    await expect(openSlide(SVS, { mpp: -1 })).rejects.toMatchObject({ code: 'bad-option' });
    const watchedSource = { ...(await fileSource('package.json')), closed: 0 };
    const source = { ...watchedSource, close: () => void watchedSource.closed++ };
    await expect(openSlideSources([source], {})).rejects.toThrow();
    expect(watchedSource.closed).toBe(1);
  });

  it('takes the scale that the user gives before the one of the file', async () => {
    const slide = await openSlide(SVS, { mpp: 1.5 });
    expect(slide.mpp).toBe(1.5);
    await slide.close();
  });
});
