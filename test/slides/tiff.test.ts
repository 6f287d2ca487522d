import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import {
  deflate,
  type PageSpec,
  type Tags,
  testPicture,
  tiledPage,
  writeTiff,
} from './write-tiff.ts';

const FIXTURES = 'test/slides/fixtures';
const EXPECTED = JSON.parse(readFileSync(`${FIXTURES}/expected.json`, 'utf8'));
const CMU = '../shared/data/slides/CMU-1-Small-Region.svs';

interface Crop {
  level: number;
  x: number;
  y: number;
  width: number;
  height: number;
  rgb: string;
}

async function expectCrops(path: string, crops: readonly Crop[]) {
  const slide = await openSlide(path);
  for (const { level, x, y, width, height, rgb } of crops) {
    const region = await slide.readRegion(level, x, y, width, height);
    const wanted = Buffer.from(rgb, 'base64');
    const largest = wanted.reduce((most, v, i) => Math.max(most, Math.abs(v - region.data[i]!)), 0);
    // Decoders of JPEG may round differently.
    expect(largest, `level ${level} at (${x}, ${y})`).toBeLessThanOrEqual(2);
  }
  await slide.close();
}

/** The slide's level 0 is the picture made of `testPicture`, in the channels. */
async function expectPicture(tiff: Uint8Array, width: number, height: number) {
  const slide = await openSlide(tiff);
  expect(slide.levels[0]).toEqual({ width, height, downsample: 1 });
  const region = await slide.readRegion(0, 0, 0, width, height);
  expect(Buffer.compare(region.data, testPicture(width, height).data)).toBe(0);
  return slide;
}

describe('Aperio SVS', () => {
  it.each(['ycbcr.svs', 'rgb.svs', 'jp2k-33003.svs', 'jp2k-33005.svs', 'jp2k-422.svs'])(
    '%s has the pixels that OpenSlide reads',
    async (name) => {
      await expectCrops(`${FIXTURES}/${name}`, EXPECTED[name].crops);
    },
  );

  it('takes levels, not thumbnail, label or macro, and the scale', async () => {
    const slide = await openSlide(`${FIXTURES}/ycbcr.svs`);
    expect(slide).toMatchObject({
      format: 'aperio-svs',
      name: 'ycbcr.svs',
      mpp: 0.252,
      objectivePower: 40,
    });
    expect(slide.levels).toEqual([
      { width: 300, height: 200, downsample: 1 },
      { width: 150, height: 100, downsample: 2 },
    ]);
    await slide.close();
  });

  it.skipIf(!existsSync(CMU))(
    'CMU-1-Small-Region has the pixels that OpenSlide reads',
    async () => {
      await expectCrops(CMU, EXPECTED['CMU-1-Small-Region.svs'].crops);
      const slide = await openSlide(CMU);
      expect(slide.levels).toEqual([{ width: 2220, height: 2967, downsample: 1 }]);
      expect(slide).toMatchObject({ mpp: 0.499, objectivePower: 20 });
      await slide.close();
    },
  );
});

describe('generic TIFF', () => {
  const picture = testPicture(100, 70);
  const cases: [string, PageSpec, Parameters<typeof writeTiff>[1]][] = [
    ['tiles', tiledPage(picture, 32), {}],
    ['strips', tiledPage(picture, 32, {}, undefined, true), {}],
    // Over a hundred tiles: their offsets lie apart from the directory.
    ['big-endian', tiledPage(picture, 8), { bigEndian: true }],
    ['BigTIFF', tiledPage(picture, 16), { big: true }],
    ['big-endian BigTIFF', tiledPage(picture, 16), { big: true, bigEndian: true }],
    ['deflate', tiledPage(picture, 32, { 259: ['short', [8]] }, deflate), {}],
    [
      'deflate with differencing',
      tiledPage(picture, 32, { 259: ['short', [8]], 317: ['short', [2]] }, (raw) =>
        deflate(difference(raw, 32)),
      ),
      {},
    ],
    ['PackBits', tiledPage(picture, 32, { 259: ['short', [32773]] }, packBits), {}],
    ['planes', planes(picture.data, 100, 70), {}],
    ['alpha that is opaque', tiledPage(opaque(100, 70), 32, { 338: ['short', [2]] }), {}],
  ];
  it.each(cases)('reads %s', async (_, page, layout) => {
    await expectPicture(writeTiff([page], layout), 100, 70);
  });

  it('reads LZW with differencing as libtiff wrote it', async () => {
    const slide = await openSlide(`${FIXTURES}/lzw.tif`);
    const { data } = await slide.readRegion(0, 0, 0, 120, 90);
    expect(createHash('sha256').update(data).digest('hex')).toBe(EXPECTED['lzw.tif'].sha256);
    await slide.close();
  });

  it('reads grey, inverted grey, 16 bits and palettes', async () => {
    const raw = Uint8Array.of(0, 10, 200, 255);
    const pixels = async (tags: Tags, tile: Uint8Array, samples = 1) => {
      const page = tiledPage(
        { width: 4, height: 1, samples, data: new Uint8Array(4 * samples) },
        1,
        tags,
        undefined,
        true,
      );
      const slide = await openSlide(writeTiff([{ ...page, tiles: [tile] }]));
      return [...(await slide.readRegion(0, 0, 0, 4, 1)).data].filter((_, i) => i % 3 === 0);
    };
    expect(await pixels({}, raw)).toEqual([0, 10, 200, 255]);
    expect(await pixels({ 262: ['short', [0]] }, raw)).toEqual([255, 245, 55, 0]);
    const words = Uint8Array.of(9, 0, 9, 10, 9, 200, 9, 255);
    expect(await pixels({ 258: ['short', [16]] }, words)).toEqual([0, 10, 200, 255]);
    const map = Array.from({ length: 768 }, (_, i) => (i < 256 ? 256 * (255 - i) : 0));
    expect(await pixels({ 262: ['short', [3]], 320: ['short', map] }, raw)).toEqual([
      255, 245, 55, 0,
    ]);
    const halfClear = Uint8Array.of(0, 128, 100, 0, 100, 255, 200, 51);
    expect(await pixels({ 338: ['short', [2]], 258: ['short', [8, 8]] }, halfClear, 2)).toEqual([
      127, 255, 100, 244,
    ]);
  });

  it('takes smaller pages of the same shape for levels, and nothing else', async () => {
    const tiff = writeTiff([
      tiledPage(testPicture(50, 35), 16, { 254: ['long', [1]] }),
      tiledPage(picture, 32),
      tiledPage(testPicture(25, 17), 16, { 254: ['long', [1]] }),
      // Another shape; in strips; called a label; the same size again.
      tiledPage(testPicture(40, 40), 16),
      tiledPage(testPicture(20, 14), 16, {}, undefined, true),
      tiledPage(testPicture(10, 7), 16, { 270: ['ascii', 'Label'] }),
      tiledPage(picture, 32),
    ]);
    const slide = await expectPicture(tiff, 100, 70);
    expect(slide.levels.map(({ width }) => width)).toEqual([100, 50, 25]);
    expect(slide.levels[2]!.downsample).toBeCloseTo((100 / 25 + 70 / 17) / 2, 10);
    const { data } = await slide.readRegion(1, 30, 20, 3, 2);
    expect([...data.subarray(0, 6)]).toEqual([30, 20, 50, 31, 20, 50]);
  });

  it.each<[string, Tags, number | null]>([
    [
      'centimetres',
      { 282: ['rational', [40000, 1]], 283: ['rational', [40000, 1]], 296: ['short', [3]] },
      0.25,
    ],
    [
      'inches',
      { 282: ['rational', [50800, 1]], 283: ['rational', [50800, 1]], 296: ['short', [2]] },
      0.5,
    ],
    [
      '72 dots per inch',
      { 282: ['rational', [72, 1]], 283: ['rational', [72, 1]], 296: ['short', [2]] },
      null,
    ],
    [
      'no unit',
      { 282: ['rational', [40000, 1]], 283: ['rational', [40000, 1]], 296: ['short', [1]] },
      null,
    ],
    [
      'a division by zero',
      { 282: ['rational', [1, 0]], 283: ['rational', [1, 0]], 296: ['short', [3]] },
      null,
    ],
    ['nothing', {}, null],
  ])('reads the scale from %s', async (_, tags, mpp) => {
    const slide = await openSlide(writeTiff([tiledPage(picture, 32, tags)]));
    if (mpp === null) expect(slide.mpp).toBeNull();
    else expect(slide.mpp).toBeCloseTo(mpp, 10);
  });
});

describe('OME-TIFF', () => {
  const xml = (pixels: string) =>
    `<?xml version="1.0"?><!-- Warning --><OME xmlns="x"><Instrument><Objective ID="o" NominalMagnification="20.0"/></Instrument>
     <Image ID="Image:0" Name="label image"><Pixels SizeX="64" SizeC="3" PhysicalSizeX="9"><TiffData IFD="0"/></Pixels></Image>
     <Image ID="Image:1" Name="slide"><Pixels ${pixels}><TiffData IFD="1"/></Pixels></Image></OME>`;
  const page = (description: Tags, parts: PageSpec[]): PageSpec => ({
    ...tiledPage(testPicture(100, 70), 32, description),
    parts,
  });

  it('takes the image that is no label, its SubIFDs and its PhysicalSizeX in its unit', async () => {
    const text = xml('SizeC="3" PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="0.25"');
    const label = tiledPage(testPicture(200, 140), 64, { 270: ['ascii', text] });
    const tiff = writeTiff([
      label,
      page({}, [tiledPage(testPicture(50, 35), 16), tiledPage(testPicture(25, 18), 16)]),
    ]);
    const slide = await expectPicture(tiff, 100, 70);
    expect(slide).toMatchObject({ format: 'ome-tiff', mpp: 0.25, objectivePower: 20 });
    expect(slide.levels.map(({ width }) => width)).toEqual([100, 50, 25]);
    expect((await slide.readRegion(2, 3, 5, 1, 1)).data).toEqual(Uint8Array.of(3, 5, 25));
  });

  it('refuses channels in separate pages', async () => {
    const grey = tiledPage(testPicture(100, 70, 1), 32);
    const label = tiledPage(testPicture(16, 16), 16, { 270: ['ascii', xml('SizeC="4"')] });
    await expect(openSlide(writeTiff([label, grey]))).rejects.toThrow(
      /4 channels as separate pages/,
    );
  });
});

function difference(raw: Uint8Array, width: number): Uint8Array {
  return raw.map((value, i) => (i % (3 * width) < 3 ? value : value - raw[i - 3]!));
}

/** Literal runs, with a repeated one where four bytes are equal. */
function packBits(raw: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let i = 0; i < raw.length; i += 4) {
    const four = raw.subarray(i, i + 4);
    if (four.length === 4 && four.every((v) => v === four[0])) out.push(257 - 4, four[0]!);
    else out.push(four.length - 1, ...four);
  }
  return Uint8Array.from(out);
}

function planes(data: Uint8Array, width: number, height: number): PageSpec {
  const plane = (c: number) =>
    tiledPage({ width, height, samples: 1, data: data.filter((_, i) => i % 3 === c) }, 32).tiles;
  const page = tiledPage({ width, height, samples: 3, data }, 32, {
    284: ['short', [2]],
    259: ['short', [8]],
  });
  return { ...page, tiles: [0, 1, 2].flatMap(plane).map((tile) => deflateSync(tile)) };
}

function opaque(width: number, height: number) {
  const picture = testPicture(width, height, 4);
  return { ...picture, data: picture.data.map((value, i) => (i % 4 === 3 ? 255 : value)) };
}
