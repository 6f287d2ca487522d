/** Damaged and malicious files: a HistogradError, or a picture of the size asked for; never more. */
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { HistogradError } from '../../src/errors.ts';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import { dicomFile } from './write-dicom.ts';
import { deflate, type Tags, testPicture, tiledPage, writeTiff } from './write-tiff.ts';

const bytesOf = (name: string) => Uint8Array.from(readFileSync(`test/slides/fixtures/${name}`));

/** Opens and reads every level's whole (or its first 512 pixels); what goes wrong must be a HistogradError. */
async function survive(data: Uint8Array): Promise<'read' | 'refused'> {
  try {
    const slide = await openSlide(data, { cacheBytes: 1 << 20 });
    for (const [level, size] of slide.levels.entries()) {
      const width = Math.min(512, size.width);
      const height = Math.min(512, size.height);
      const region = await slide.readRegion(level, 0, 0, width, height);
      expect(region.data.length).toBe(3 * width * height);
    }
    await slide.close();
    return 'read';
  } catch (error) {
    if (!(error instanceof HistogradError)) throw error;
    expect(error.code).toMatch(/^slide-/);
    return 'refused';
  }
}

function randomness(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const small = writeTiff([tiledPage(testPicture(40, 30), 16, { 259: ['short', [8]] }, deflate)]);
const SOURCES: [string, Uint8Array, number][] = [
  ['ycbcr.svs', bytesOf('ycbcr.svs'), 200],
  ['jp2k-33005.svs', bytesOf('jp2k-33005.svs'), 60],
  ['lzw.tif', bytesOf('lzw.tif'), 100],
  ['a deflated TIFF', small, 200],
  ['a native DICOM', dicomFile(), 100],
];

describe('damaged files', () => {
  it.each(SOURCES)('%s with random bytes changed', async (_, data, count) => {
    const random = randomness(data.length);
    const peak = process.memoryUsage().rss;
    const outcomes: string[] = [];
    for (let i = 0; i < count; i++) {
      const damaged = data.slice();
      // Directories lie at the end of these files, DICOM's elements at the start.
      const from = i % 2 === 0 ? 0 : Math.max(0, data.length - 2000);
      for (let flips = 1 + random(8); flips > 0; flips--) {
        damaged[from + random(data.length - from)] = random(256);
      }
      outcomes.push(await survive(damaged));
    }
    expect(outcomes).toContain('refused');
    expect(process.memoryUsage().rss - peak).toBeLessThan(256 * 2 ** 20);
  });

  it.each(SOURCES)('%s cut off anywhere', async (_, data) => {
    const step = Math.max(1, Math.floor(data.length / 120));
    for (let length = 0; length < data.length - 64; length += step) {
      await survive(data.slice(0, length));
    }
    expect(await survive(data)).toBe('read');
    expect(await survive(data.slice(0, data.length / 2))).toBe('refused');
  });
});

describe('malicious TIFF', () => {
  const picture = testPicture(40, 30);
  const refusal = (tags: Tags, tiles?: Uint8Array[]) => {
    const page = tiledPage(picture, 16, tags);
    return survivesAs(writeTiff([tiles ? { ...page, tiles } : page]));
  };

  it('refuses absurd dimensions', async () => {
    expect(await refusal({ 256: ['long', [2 ** 31 - 1]], 257: ['long', [2 ** 31 - 1]] })).toMatch(
      /needs \d+ tiles or strips, but lists 6/,
    );
    expect(await refusal({ 256: ['long', [2 ** 32 - 1]] })).toMatch(/claims 4294967295 x 30/);
    expect(await refusal({ 256: ['long', [0]] })).toMatch(/claims 0 x 30/);
    expect(await refusal({ 322: ['long', [65536]], 323: ['long', [65536]] })).toMatch(
      /too large to decode/,
    );
    expect(await refusal({ 277: ['short', [60000]] })).toMatch(/60000 samples/);
    expect(await refusal({ 277: ['short', [0]] })).toMatch(/0 samples/);
  });

  it('refuses tiles outside the file, and byte counts that cannot be', async () => {
    expect(await refusal({ 324: ['long', new Array(6).fill(2 ** 32 - 5)] })).toMatch(
      /tile \(0, 0\) of page 0 should lie at/,
    );
    expect(await refusal({ 325: ['long', new Array(6).fill(2 ** 32 - 1)] })).toMatch(
      /claims 4294967295 bytes for 16 x 16/,
    );
    expect(await refusal({ 325: ['long', [1, 1, 1, 1, 1, 1]] })).toMatch(/has 1 bytes, not 768/);
  });

  it('shows white where a tile has no bytes', async () => {
    const slide = await openSlide(
      writeTiff([tiledPage(picture, 16, { 325: ['long', new Array(6).fill(0)] })]),
    );
    expect((await slide.readRegion(0, 0, 0, 40, 30)).data.every((value) => value === 255)).toBe(
      true,
    );
  });

  it('inflates a bomb no further than the tile', async () => {
    const bomb = deflateSync(new Uint8Array(64 * 2 ** 20));
    const page = tiledPage(picture, 16, { 259: ['short', [8]] });
    const slide = await openSlide(writeTiff([{ ...page, tiles: new Array(6).fill(bomb) }]));
    // 64 KiB of compressed bytes cannot be what 768 bytes need.
    await expect(slide.readRegion(0, 0, 0, 40, 30)).resolves.toMatchObject({ width: 40 });
  });

  it('refuses loops of directories and of parts', async () => {
    const file = writeTiff([tiledPage(picture, 16), tiledPage(picture, 16)]);
    const view = new DataView(file.buffer);
    const first = view.getUint32(4, true);
    // The last four bytes link to the next directory.
    view.setUint32(file.length - 4, first, true);
    expect(await survivesAs(file)).toMatch(/loop at page 2/);
    expect(
      await survivesAs(writeTiff([tiledPage(picture, 16, { 330: ['long', [8, 8]] })])),
    ).toMatch(/has no ImageWidth/);
    const own = writeTiff([tiledPage(picture, 16, { 330: ['long', [first]] })]);
    const start = new DataView(own.buffer).getUint32(4, true);
    const self = writeTiff([tiledPage(picture, 16, { 330: ['long', [start]] })]);
    expect(await survivesAs(self)).toMatch(/loop at page 0, part 0/);
  });

  it('refuses a JPEG of another size in a tile, before decoding a huge one', async () => {
    const svs = bytesOf('ycbcr.svs');
    const sizes: number[] = [];
    for (let at = 0; at < svs.length - 9; at++) {
      if (svs[at] === 0xff && svs[at + 1] === 0xc0 && svs[at + 2] === 0 && svs[at + 3] === 17)
        sizes.push(at + 5);
    }
    expect(sizes.length).toBeGreaterThan(20);
    const with_ = (side: number) => {
      const changed = svs.slice();
      for (const at of sizes) changed.set([side >> 8, side & 255, side >> 8, side & 255], at);
      return changed;
    };
    expect(await survivesAs(with_(65500))).toMatch(/65500 x 65500 pixels, too large/);
    expect(await survivesAs(with_(32))).toMatch(/tile \(0, 0\) of page 0 is a damaged JPEG/);
  });

  it('says what it does not read', async () => {
    expect(await refusal({ 259: ['short', [50000]] })).toMatch(/compression 50000/);
    expect(await refusal({ 258: ['short', [32, 32, 32]] })).toMatch(/32, 32, 32 bits/);
    expect(await refusal({ 262: ['short', [5]] })).toMatch(/photometric interpretation 5/);
    expect(await refusal({ 339: ['short', [3, 3, 3]] })).toMatch(/not unsigned/);
  });
});

async function survivesAs(data: Uint8Array): Promise<string> {
  const error = await openSlide(data, { name: 'bad.tif' })
    .then((slide) => slide.readRegion(0, 0, 0, 8, 8))
    .then(
      () => new Error('it was read'),
      (cause: unknown) => cause,
    );
  if (!(error instanceof HistogradError)) throw error;
  expect(error.message).toMatch(/^bad\.tif: /);
  return error.message;
}
