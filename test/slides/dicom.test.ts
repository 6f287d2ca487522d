import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import { type DicomSpec, dicomFile, frames } from './write-dicom.ts';

const FIXTURES = 'test/slides/fixtures';
const PATHML = '../shared/data/slides/pathml_small.dcm';
const JPEG = '1.2.840.10008.1.2.4.50';
const folder = mkdtempSync(join(tmpdir(), 'histograd-dicom-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Pixel (x, y) of the files of `dicomFile` is (x, y, 20). */
async function expectPicture(spec: DicomSpec) {
  const slide = await openSlide(dicomFile(spec));
  const { data } = await slide.readRegion(0, 0, 0, 20, 14);
  const wanted = Array.from({ length: 280 }, (_, i) => [i % 20, Math.floor(i / 20), 20]).flat();
  expect([...data]).toEqual(wanted);
  return slide;
}

describe('DICOM', () => {
  it('reads native frames and the scale', async () => {
    const slide = await expectPicture({});
    expect(slide).toMatchObject({ format: 'dicom', mpp: 0.25, objectivePower: 40 });
    expect(slide.levels).toEqual([{ width: 20, height: 14, downsample: 1 }]);
  });

  it('reads planes', async () => {
    const planar = frames(20, 14, 8).map((frame) =>
      Uint8Array.from({ length: 192 }, (_, i) => frame[3 * (i % 64) + Math.floor(i / 64)]!),
    );
    await expectPicture({ elements: { '00280006': ['US', 1] }, pixels: Buffer.concat(planar) });
  });

  it('places sparse frames where they say, and leaves the rest white', async () => {
    const all = frames(20, 14, 8);
    const positions = [5, 0].map((frame) => ({
      '0048021A': [
        'SQ',
        [
          {
            '0048021E': ['SL', 8 * (frame % 3) + 1],
            '0048021F': ['SL', 8 * Math.floor(frame / 3) + 1],
          },
        ],
      ] as const,
    }));
    const file = dicomFile({
      elements: {
        '00209311': ['CS', 'TILED_SPARSE'],
        '00280008': ['IS', '2'],
        '52009230': ['SQ', positions],
      },
      pixels: Buffer.concat([all[5]!, all[0]!]),
    });
    const slide = await openSlide(file);
    expect((await slide.readRegion(0, 17, 9, 1, 1)).data).toEqual(Uint8Array.of(17, 9, 20));
    expect((await slide.readRegion(0, 3, 4, 1, 1)).data).toEqual(Uint8Array.of(3, 4, 20));
    expect((await slide.readRegion(0, 9, 4, 1, 1)).data).toEqual(Uint8Array.of(255, 255, 255));
  });

  it('finds by the seams that frames run down columns where the file says no order', async () => {
    const all = frames(20, 14, 8);
    const downColumns = Buffer.concat([0, 3, 1, 4, 2, 5].map((frame) => all[frame]!));
    await expectPicture({ elements: { '00209311': null }, pixels: downColumns });
    await expectPicture({ elements: { '00209311': null } });
  });

  it.each([true, false])('reads JPEG frames, with an offset table: %s', async (offsetTable) => {
    const jpeg = readFileSync(`${FIXTURES}/picture.jpg`);
    const slide = await openSlide(
      dicomFile({
        transferSyntax: JPEG,
        elements: {
          '00280004': ['CS', 'YBR_FULL_422'],
          '00280008': ['IS', '2'],
          '00280010': ['US', 32],
          '00280011': ['US', 48],
          '00480006': ['UL', 96],
          '00480007': ['UL', 32],
        },
        pixels: [jpeg, jpeg],
        offsetTable,
      }),
    );
    const picture = await openSlide(jpeg);
    expect(await slide.readRegion(0, 48, 0, 48, 32)).toEqual(
      await picture.readRegion(0, 0, 0, 48, 32),
    );
  });

  it('reads a folder as one series, without its label', async () => {
    writeFileSync(join(folder, 'b.dcm'), dicomFile());
    const half = {
      '00480006': ['UL', 10],
      '00480007': ['UL', 7],
      '00280008': ['IS', '2'],
    } as const;
    writeFileSync(
      join(folder, 'a.dcm'),
      dicomFile({ elements: half, pixels: Buffer.concat(frames(10, 7, 8)) }),
    );
    const label = { '00080008': ['CS', 'ORIGINAL\\PRIMARY\\LABEL\\NONE'] } as const;
    writeFileSync(join(folder, 'c.dcm'), dicomFile({ elements: label }));
    const slide = await openSlide(folder);
    expect(slide.levels).toEqual([
      { width: 20, height: 14, downsample: 1 },
      { width: 10, height: 7, downsample: 2 },
    ]);
    expect((await slide.readRegion(1, 9, 6, 1, 1)).data).toEqual(Uint8Array.of(9, 6, 10));
    await slide.close();
    await expect(openSlide(join(folder, 'c.dcm'))).rejects.toThrow(/shows no tissue.*LABEL/);
  });

  it.each<[string, DicomSpec, RegExp]>([
    ['no columns', { elements: { '00280011': null } }, /without columns \(00280011\)/],
    [
      'too few frames for the size',
      { elements: { '00480006': ['UL', 2_000_000_000] } },
      /pixels need \d+ frames, but it has 6/,
    ],
    [
      'more frames than pixels',
      { elements: { '00280008': ['IS', '600'] } },
      /600 frames of 192 bytes do not fit/,
    ],
    [
      'frames that are no number',
      { elements: { '00280008': ['IS', 'many'] } },
      /need 6 frames, but it has 1/,
    ],
    [
      'fewer fragments than frames',
      { transferSyntax: JPEG, pixels: [new Uint8Array(8)] },
      /claims 6 frames, but has 1/,
    ],
    [
      'a frame that is no JPEG',
      { transferSyntax: JPEG, pixels: new Array(6).fill(new Uint8Array(8)) },
      /frame 0 is not a JPEG/,
    ],
    ['16 bits', { elements: { '00280100': ['US', 16] } }, /3 samples of 16 bits/],
    [
      'an unknown transfer syntax',
      { transferSyntax: '1.2.840.10008.1.2.5' },
      /1\.2\.840\.10008\.1\.2\.5; native, JPEG/,
    ],
    ['another order of bytes', { transferSyntax: '1.2.840.10008.1.2.2' }, /not read/],
  ])('refuses %s', async (_, spec, message) => {
    const read = openSlide(dicomFile(spec)).then((slide) => slide.readRegion(0, 0, 0, 8, 8));
    await expect(read).rejects.toThrow(message);
  });

  it('refuses sequences nested without end', async () => {
    type Nested = { '00400555': readonly ['SQ', readonly Nested[]] } | Record<string, never>;
    let nested: Nested = {};
    for (let i = 0; i < 50; i++) nested = { '00400555': ['SQ', [nested]] };
    await expect(openSlide(dicomFile({ elements: nested }))).rejects.toThrow(/nested too deep/);
  });

  it.skipIf(!existsSync(PATHML))('reads a real slide whose frames run down columns', async () => {
    const slide = await openSlide(PATHML);
    expect(slide.levels).toEqual([{ width: 3236, height: 2638, downsample: 1 }]);
    // A scanned field of 15 x 15 mm that is not square in pixels is no scale.
    expect(slide.mpp).toBeNull();
    // Filled-up black lies outside the slide.
    for (const [x, y] of [
      [0, 2636],
      [3234, 0],
      [3234, 2636],
    ] as const) {
      const { data } = await slide.readRegion(0, x, y, 2, 2);
      expect(Math.min(...data)).toBeGreaterThan(200);
    }
    await slide.close();
  });
});
