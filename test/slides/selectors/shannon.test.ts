import { describe, expect, it, vi } from 'vitest';
import { paethRows, shannonScore, streamedLength } from '../../../src/slides/selectors/shannon.ts';
import { GOLDEN_CASES } from '../goldens.ts';
import { draw, flat, hashNoise } from '../pictures.ts';

/** CRC-32 as zlib's, bit by bit: a check of bytes against Python without storing them. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

describe('paethRows', () => {
  it.each(GOLDEN_CASES)('filters as the PNG standard says: $title', ({ image, crc, scores }) => {
    expect(crc32(image.data)).toBe(crc);
    expect(crc32(paethRows(image))).toBe(scores.paethCrc);
  });
});

describe('shannonScore', () => {
  it.each(GOLDEN_CASES)(
    'is what zlib needs at level 9, within 5 %: $title',
    async ({ image, scores }) => {
      // Node's zlib is Chromium's, whose matches differ from the reference zlib's.
      const bits = await shannonScore(image);
      expect(bits % 8).toBe(0);
      expect(Math.abs(bits - scores.bits)).toBeLessThanOrEqual(Math.max(16, 0.05 * scores.bits));
    },
  );

  it('grows from nothing through texture to noise', async () => {
    const blank = await shannonScore(flat(128, 128, [240, 240, 240]));
    const stripes = await shannonScore(draw(128, 128, (x) => [x & 16, x & 8, 200]));
    const noise = await shannonScore(
      draw(128, 128, (x, y) => [hashNoise(x, y, 1), hashNoise(x, y, 2), hashNoise(x, y, 3)]),
    );
    expect(blank).toBeLessThan(0.01 * noise);
    expect(stripes).toBeGreaterThan(blank);
    expect(noise).toBeGreaterThan(0.98 * 8 * 128 * 128 * 3);
  });

  it('works without zlib, with the stream that browsers have', async () => {
    const { image, scores } = GOLDEN_CASES[0]!;
    const builtin = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
    try {
      const bits = await shannonScore(image);
      expect(bits).toBe(8 * (await streamedLength(paethRows(image))));
      expect(Math.abs(bits - scores.bits)).toBeLessThanOrEqual(0.05 * scores.bits);
    } finally {
      builtin.mockRestore();
    }
  });
});
