import { describe, expect, it } from 'vitest';
import { HALVES, IMAGENET, type Preprocessing } from '../../../src/models/extractors/extractor.ts';
import { preprocess } from '../../../src/models/extractors/preprocess.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { difference, floats, TUNINGS } from '../../ops/prove.ts';
import { loadGolden } from '../../reference/goldens.ts';

const KERAS: Preprocessing = {
  size: 5,
  resize: 'none',
  mean: [103.939, 116.779, 123.68],
  std: [1, 1, 1],
  scale: 1,
  channels: 'bgr',
};

/** Bytes that differ from pixel to pixel and from channel to channel. */
function pixelsOf(count: number): Uint8Array {
  return Uint8Array.from({ length: 3 * count }, (_, i) => (37 * i + (i >> 3)) % 256);
}

/** [count, 3, height, width] in float64. */
function normalised(
  pixels: Uint8Array,
  plane: number,
  { mean, std, scale, channels }: Preprocessing,
) {
  return Array.from(pixels, (_, i) => {
    const [image, c, at] = [Math.floor(i / (3 * plane)), Math.floor(i / plane) % 3, i % plane];
    const byte = pixels[3 * (image * plane + at) + (channels === 'bgr' ? 2 - c : c)]!;
    return (byte * scale - mean[c]!) / std[c]!;
  });
}

describe.each(TUNINGS)('preprocess, $tuning', ({ open, tight }) => {
  it('normalises the bytes of images of any size, and in the order asked for', async () => {
    const device = await open();
    for (const [n, h, w] of [
      [1, 1, 1],
      [2, 3, 5],
      [1, 7, 9],
      [3, 8, 8],
      [2, 64, 65],
    ] as const) {
      const pixels = pixelsOf(n * h * w);
      for (const published of [IMAGENET, HALVES, KERAS]) {
        const images = preprocess(device, pixels, [n, h, w], { ...published, resize: 'none' });
        expect(images.shape).toEqual([n, 3, h, w]);
        const expected = normalised(pixels, h * w, published);
        const allowed = { relative: 1e-6, floor: 1e-6 };
        expect(difference(await images.floats(), expected, allowed)).toBeNull();
        images.dispose();
      }
    }
  });

  it('takes bytes from the middle of a buffer', async () => {
    const device = await open();
    for (const start of [1, 4]) {
      const pixels = pixelsOf(1 + 16 * 2).subarray(start, start + 48);
      const images = preprocess(device, pixels, [1, 4, 4], { ...IMAGENET, size: 4 });
      const expected = normalised(pixels, 16, IMAGENET);
      expect(difference(await images.floats(), expected, { relative: 1e-6, floor: 0 })).toBeNull();
      images.dispose();
    }
  });

  it('works on batches larger than a binding', async () => {
    const device = await tight();
    const pixels = pixelsOf(5 * 16 * 16);
    const images = preprocess(device, pixels, [5, 16, 16], { ...IMAGENET, size: 16 });
    const expected = normalised(pixels, 256, IMAGENET);
    expect(difference(await images.floats(), expected, { relative: 1e-6, floor: 0 })).toBeNull();
    images.dispose();
  });

  it('resamples as PyTorch does with antialiasing, and as PIL but for its rounding', async () => {
    const device = await open();
    const { metadata, tensor } = await loadGolden('extractors', 'preprocess');
    const cases: Pick<Preprocessing, 'size' | 'resize'>[] = JSON.parse(metadata.case!);
    expect(cases.length).toBeGreaterThan(0);
    for (const [index, { size, resize }] of cases.entries()) {
      const pixels = tensor(`${index}.pixels`);
      const [n, h, w] = pixels.shape as [number, number, number];
      const plain = { size, resize, mean: [0, 0, 0], std: [1, 1, 1], scale: 1 } as const;
      const bytes = Uint8Array.from(pixels.data, Number);
      const images = preprocess(device, bytes, [n, h, w], plain);
      expect(images.shape).toEqual([n, 3, size, size]);
      const found = await images.floats();
      const exact = floats(tensor(`${index}.torch`)).data;
      expect(difference(found, exact, { relative: 1e-6, floor: 0 })).toBeNull();
      // PIL rounds to bytes behind each axis.
      const plane = size * size;
      const pil = Array.from(tensor(`${index}.pil`).data, Number);
      const apart = Array.from(found, (value, i) => {
        const [image, c] = [Math.floor(i / (3 * plane)), Math.floor(i / plane) % 3];
        const byte = pil[3 * (image * plane + (i % plane)) + c]!;
        return Math.abs(value - byte);
      });
      expect(Math.max(...apart)).toBeLessThan(1.3);
      images.dispose();
    }
  });
});

it('preprocess refuses pixels that do not fill the shape', async () => {
  const device = await testDevice();
  const alpha = () => preprocess(device, new Uint8Array(64), [1, 4, 4], IMAGENET);
  await expectError(alpha, 'shape', /48 bytes of 1 RGB images of 4 x 4 pixels, found 64/);
  const none = () => preprocess(device, new Uint8Array(), [0, 4, 4], IMAGENET);
  await expectError(none, 'shape', /at least one image/);
});
