import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { encode } from 'fast-png';
import { expect, it } from 'vitest';
import { openSlide } from '../../src/slides/node/open-slide.ts';

const FIXTURES = 'test/slides/fixtures';
const EXPECTED = JSON.parse(readFileSync(`${FIXTURES}/expected.json`, 'utf8'));

it('reads a JPEG section as Pillow does, with the scale that the user gives', async () => {
  const slide = await openSlide(`${FIXTURES}/picture.jpg`, { mpp: 0.7 });
  expect(slide).toMatchObject({ format: 'jpeg', mpp: 0.7, objectivePower: null });
  expect(slide.levels).toEqual([{ width: 48, height: 32, downsample: 1 }]);
  const { data } = await slide.readRegion(0, 0, 0, 48, 32);
  const wanted = Buffer.from(EXPECTED['picture.jpg'].rgb, 'base64');
  expect(Math.max(...wanted.map((value, i) => Math.abs(value - data[i]!)))).toBeLessThanOrEqual(2);
});

it('reads a PNG section', async () => {
  const slide = await openSlide(`${FIXTURES}/picture.png`);
  expect(slide).toMatchObject({ format: 'png', mpp: null });
  const { data } = await slide.readRegion(0, 0, 0, 48, 32);
  expect(createHash('sha256').update(data).digest('hex')).toBe(EXPECTED['picture.png'].sha256);
});

it('shows clear pixels of a PNG white, grey as colours, and 16 bits by their high byte', async () => {
  const first = async (channels: number, depth: 8 | 16, pixel: number[]) => {
    const data = depth === 8 ? Uint8Array.from(pixel) : Uint16Array.from(pixel);
    const slide = await openSlide(encode({ width: 1, height: 1, channels, depth, data }));
    return [...(await slide.readRegion(0, 0, 0, 1, 1)).data];
  };
  expect(await first(4, 8, [10, 20, 30, 0])).toEqual([255, 255, 255]);
  expect(await first(4, 8, [10, 20, 30, 255])).toEqual([10, 20, 30]);
  expect(await first(1, 8, [77])).toEqual([77, 77, 77]);
  expect(await first(3, 16, [0x1234, 0x5678, 0xff00])).toEqual([0x12, 0x56, 0xff]);
});

it('refuses a PNG whose header promises too much or too little', async () => {
  const png = Uint8Array.from(readFileSync(`${FIXTURES}/picture.png`));
  const sized = (width: number, height: number) => {
    const changed = png.slice();
    new DataView(changed.buffer).setUint32(16, width);
    new DataView(changed.buffer).setUint32(20, height);
    return openSlide(changed, { name: 'p.png' });
  };
  await expect(sized(100_000, 100_000)).rejects.toThrow(
    /p\.png: it is a PNG of 100000 x 100000 pixels/,
  );
  await expect(sized(2, 2)).rejects.toThrow(/more pixels than its header says/);
  await expect(sized(48, 4000)).rejects.toThrow(/damaged/);
  for (let length = 0; length < png.length; length += 37) {
    await expect(openSlide(png.slice(0, length))).rejects.toMatchObject({ code: /^slide-/ });
  }
});
