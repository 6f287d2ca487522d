/** Pictures for tests, drawn by integer arithmetic; `tissue` repeats test/reference/golden_slides.py. */
import type { RgbImage, Slide, SlideLevel } from '../../src/slides/slide.ts';

type Colour = readonly [number, number, number];

/** A picture from a function of the pixel. */
export function draw(
  width: number,
  height: number,
  at: (x: number, y: number) => Colour,
): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(at(x, y), (y * width + x) * 3);
  }
  return { width, height, data };
}

export function flat(width: number, height: number, colour: Colour): RgbImage {
  return draw(width, height, () => colour);
}

export function hashNoise(x: number, y: number, seed: number): number {
  let h = (Math.imul(x, 374761393) + Math.imul(y, 668265263) + Math.imul(seed, 2246822519)) | 0;
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  return (h ^ (h >>> 16)) & 255;
}

/** Violet nuclei on pink stroma with white gaps. */
export function tissue(width: number, height: number, seed: number): RgbImage {
  return draw(width, height, (x, y) => tissuePixel(x, y, seed));
}

export function tissuePixel(x: number, y: number, seed: number): Colour {
  const n = hashNoise(x, y, seed);
  const cell = hashNoise(x >> 4, y >> 4, seed + 1);
  const dx = (x & 15) - 8;
  const dy = (y & 15) - 8;
  const gap = hashNoise(Math.floor(x / 48), Math.floor(y / 48), seed + 2) < 70;
  const [base, spread]: [Colour, number] = gap
    ? [[241, 240, 242], 6]
    : dx * dx + dy * dy < 9 + (cell % 40)
      ? [[96 + (cell % 32), 64 + (cell % 24), 140], 24]
      : [[214, 150 + (cell % 32), 190], 28];
  const value = (channel: 0 | 1 | 2) =>
    Math.min(
      255,
      Math.max(0, base[channel] + (n % spread) - (spread >> 1) + ((n >> (5 + channel)) % 3)),
    );
  return [value(0), value(1), value(2)];
}

/** What a slide made in memory was asked for. */
export interface Read {
  level: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/**
 * A slide whose level-0 pixel (x, y) is `at(x, y)`, and whose other levels are sampled from it. Reads
 * are recorded in `reads`.
 */
export function memorySlide(
  width: number,
  height: number,
  at: (x: number, y: number) => Colour,
  { downsamples = [1], mpp = 0.25 as number | null, objectivePower = null as number | null } = {},
): Slide & { reads: Read[] } {
  const levels: SlideLevel[] = downsamples.map((downsample) => ({
    width: Math.max(1, Math.floor(width / downsample)),
    height: Math.max(1, Math.floor(height / downsample)),
    downsample,
  }));
  const reads: Read[] = [];
  return {
    name: 'memory.svs',
    format: 'aperio-svs',
    levels,
    mpp,
    objectivePower,
    reads,
    async readRegion(level, x, y, regionWidth, regionHeight) {
      reads.push({ level, x, y, width: regionWidth, height: regionHeight });
      const { width: w, height: h, downsample } = levels[level]!;
      return draw(regionWidth, regionHeight, (i, j) =>
        x + i < 0 || y + j < 0 || x + i >= w || y + j >= h
          ? [255, 255, 255]
          : at(Math.floor((x + i + 0.5) * downsample), Math.floor((y + j + 0.5) * downsample)),
      );
    },
    close() {},
  };
}

/** A picture as a slide of one level. */
export function pictureSlide(image: RgbImage, mpp: number | null = 0.5) {
  const at = (x: number, y: number): Colour => {
    const i = (y * image.width + x) * 3;
    return [image.data[i]!, image.data[i + 1]!, image.data[i + 2]!];
  };
  return memorySlide(image.width, image.height, at, { mpp });
}
