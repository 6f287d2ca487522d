import { describe, expect, it } from 'vitest';
import { readScaled } from '../../src/slides/resample.ts';
import { GOLDEN_RESAMPLE } from './goldens.ts';
import { memorySlide, pictureSlide, tissue, tissuePixel } from './pictures.ts';

describe('readScaled', () => {
  const { width, height, seed, to } = GOLDEN_RESAMPLE;

  it.each(to)(
    'is the antialiased bilinear of torch: 24 x 18 to $width x $height',
    async (golden) => {
      const out = await readScaled(pictureSlide(tissue(width, height, seed)), {
        level: 0,
        x: 0,
        y: 0,
        scaleX: width / golden.width,
        scaleY: height / golden.height,
        width: golden.width,
        height: golden.height,
      });
      expect(out.data.length).toBe(golden.pixels.length);
      // Half a step of rounding, and the float32 of the reference.
      golden.pixels.forEach((value, i) => {
        expect(Math.abs(out.data[i]! - value)).toBeLessThanOrEqual(0.502);
      });
    },
  );

  it('gives the same pixels through every window, so that tiles have no seams', async () => {
    const slide = memorySlide(300, 200, (x, y) => tissuePixel(x, y, 5));
    const window = { level: 0, scaleX: 1.7, scaleY: 2.3 };
    const whole = await readScaled(slide, { ...window, x: 0, y: 0, width: 90, height: 60 });
    const part = await readScaled(slide, {
      ...window,
      x: 40 * 1.7,
      y: 20 * 2.3,
      width: 30,
      height: 25,
    });
    let differing = 0;
    for (let y = 0; y < 25; y++) {
      for (let i = 0; i < 90; i++) {
        const difference = part.data[y * 90 + i]! - whole.data[((y + 20) * 90 + 40) * 3 + i]!;
        expect(Math.abs(difference)).toBeLessThanOrEqual(1);
        if (difference !== 0) differing++;
      }
    }
    // Only a value that lies on a half can round to the other side.
    expect(differing).toBeLessThan(10);
  });

  it('is white outside the slide, without bleeding into it', async () => {
    const slide = memorySlide(50, 50, () => [10, 20, 30]);
    const out = await readScaled(slide, {
      level: 0,
      x: -10,
      y: 30,
      scaleX: 2,
      scaleY: 2,
      width: 40,
      height: 20,
    });
    const at = (x: number, y: number) => [
      ...out.data.subarray((y * 40 + x) * 3, (y * 40 + x) * 3 + 3),
    ];
    expect(at(4, 0)).toEqual([255, 255, 255]);
    expect(at(5, 0)).toEqual([10, 20, 30]);
    expect(at(29, 9)).toEqual([10, 20, 30]);
    expect(at(30, 9)).toEqual([255, 255, 255]);
    expect(at(29, 10)).toEqual([255, 255, 255]);
    const outside = await readScaled(slide, {
      level: 0,
      x: 500,
      y: 500,
      scaleX: 2,
      scaleY: 2,
      width: 3,
      height: 3,
    });
    expect(outside.data.every((value) => value === 255)).toBe(true);
  });

  it('reads a huge window in bounded blocks that join without seams', async () => {
    // Only the blocks' sizes matter here, so the pixels are one colour and cheap.
    const slide = memorySlide(20_000, 3000, () => [0, 0, 0]);
    let most = 0;
    const counting = {
      ...slide,
      readRegion: async (_: number, x: number, y: number, width: number, height: number) => {
        most = Math.max(most, width * height);
        expect(x >= 0 && y >= 0 && x + width <= 20_000 && y + height <= 3000).toBe(true);
        return { width, height, data: new Uint8Array(width * height * 3).fill(7) };
      },
    };
    const out = await readScaled(counting, {
      level: 0,
      x: 0,
      y: 0,
      scaleX: 100,
      scaleY: 100,
      width: 200,
      height: 30,
    });
    expect(out.data.every((value) => value === 7)).toBe(true);
    expect(most).toBeLessThanOrEqual(4 << 20);
  });
});
