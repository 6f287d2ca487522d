import { describe, expect, it } from 'vitest';
import { TILE_STATISTICS, tileStatistics } from '../../src/slides/tile-statistics.ts';
import { expectError } from '../data/expect-error.ts';

type Colour = readonly [number, number, number];
const PINK: Colour = [230, 150, 190];
const PURPLE: Colour = [90, 60, 140];

/** A tile painted pixel by pixel. */
function paint(height: number, width: number, at: (x: number, y: number) => Colour): Uint8Array {
  const rgb = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rgb.set(at(x, y), (y * width + x) * 3);
  }
  return rgb;
}

/** Purple discs on pink, one per `pitch` pixels. */
function nuclei(side: number, pitch: number, radius: number): Uint8Array {
  const offset = (v: number) => (v % pitch) - pitch / 2;
  return paint(side, side, (x, y) => (Math.hypot(offset(x), offset(y)) <= radius ? PURPLE : PINK));
}

function named(rgb: Uint8Array, height: number, width = height): Record<string, number> {
  const values = tileStatistics(rgb, height, width);
  return Object.fromEntries(TILE_STATISTICS.map((name, i) => [name, values[i]!]));
}

/** Reproducible noise without a generator. */
const noisy = paint(48, 48, (x, y) => {
  const value = (x * 7919 + y * 104729 + x * y * 31) % 256;
  return [value, (value * 5) % 256, (value * 11) % 256];
});

describe('tileStatistics', () => {
  it('names every column once', () => {
    expect(new Set(TILE_STATISTICS).size).toBe(TILE_STATISTICS.length);
    expect(TILE_STATISTICS).toHaveLength(75);
    expect(tileStatistics(noisy, 48)).toHaveLength(TILE_STATISTICS.length);
  });

  it('measures colour in parts of full scale', () => {
    const half = paint(20, 32, (x) => (x < 16 ? [0, 51, 255] : [255, 51, 255]));
    const s = named(half, 20, 32);
    expect(s.red_mean).toBeCloseTo(0.5, 6);
    expect(s.red_std).toBeCloseTo(0.5, 6);
    expect(s.red_q10).toBe(0);
    expect(s.red_q90).toBe(1);
    expect(s.green_mean).toBeCloseTo(0.2, 6);
    expect(s.green_std).toBe(0);
    expect(s.blue_q50).toBe(1);
  });

  it('tells haematoxylin from eosin', () => {
    const pink = named(
      paint(32, 32, () => PINK),
      32,
    );
    const purple = named(
      paint(32, 32, () => PURPLE),
      32,
    );
    expect(pink.eosin_mean!).toBeGreaterThan(pink.haematoxylin_mean!);
    expect(purple.haematoxylin_mean!).toBeGreaterThan(pink.haematoxylin_mean! + 0.2);
  });

  it('unmixes a pixel made from the published stain vectors', () => {
    // Optical densities 0.4 of haematoxylin alone: 10^-(0.4 v), v = (0.65, 0.704, 0.286) / length.
    const length = Math.hypot(0.65, 0.704, 0.286);
    const channel = (v: number) => Math.round(256 * 10 ** ((-0.4 * v) / length) - 1);
    const colour: Colour = [channel(0.65), channel(0.704), channel(0.286)];
    const s = named(
      paint(16, 16, () => colour),
      16,
    );
    expect(s.haematoxylin_mean).toBeCloseTo(0.4, 2);
    expect(s.eosin_mean).toBeCloseTo(0, 2);
    expect(s.residual_mean).toBeCloseTo(0, 2);
  });

  it('sees background, and saturation as HSV has it', () => {
    const s = named(
      paint(16, 16, (x) => (x < 4 ? [250, 250, 250] : [200, 100, 150])),
      16,
    );
    expect(s.background).toBeCloseTo(0.25, 6);
    expect(s.saturation_mean).toBeCloseTo(0.75 * 0.5, 5);
  });

  it('counts nuclei and measures their area', () => {
    const few = named(nuclei(64, 16, 3), 64);
    const many = named(nuclei(64, 8, 3), 64);
    // 16 and 64 discs in 4096 pixels; discs that touch the border can be missed.
    expect(few.dark_regions).toBeCloseTo((16 * 1000) / 4096, 3);
    expect(few.dark_mean_side!).toBeGreaterThan(4);
    expect(few.dark_mean_side!).toBeLessThan(7);
    expect(few.blob4_density!).toBeGreaterThan(0);
    expect(many.blob2_density!).toBeGreaterThan(2 * few.blob2_density!);
  });

  it('puts energy into the band of its scale', () => {
    const stripes = (period: number) =>
      named(
        paint(64, 64, (x) => (x % period < period / 2 ? PINK : PURPLE)),
        64,
      );
    const fine = stripes(2);
    const coarse = stripes(16);
    const leaning = (s: Record<string, number>) => s.grey_band1_log_rms! - s.grey_band4_log_rms!;
    expect(leaning(fine)).toBeGreaterThan(leaning(coarse) + 2);
  });

  it('does not depend on mirroring or a quarter turn', () => {
    const turned = paint(48, 48, (x, y) => {
      const i = (x * 48 + (47 - y)) * 3;
      return [noisy[i]!, noisy[i + 1]!, noisy[i + 2]!];
    });
    const a = tileStatistics(noisy, 48);
    const b = tileStatistics(turned, 48);
    for (const [i, name] of TILE_STATISTICS.entries()) {
      expect(b[i]!, name).toBeCloseTo(a[i]!, 3);
    }
  });

  it('gives the same bits again, and finite values for every kind of blank tile', () => {
    expect(tileStatistics(noisy, 48)).toEqual(tileStatistics(noisy, 48));
    for (const value of [0, 128, 255]) {
      for (const side of [16, 33, 256]) {
        const blank = new Uint8Array(side * side * 3).fill(value);
        expect(tileStatistics(blank, side).every(Number.isFinite)).toBe(true);
      }
    }
  });

  it('refuses tiles that are too small, too large or of another size than said', async () => {
    const tile = (side: number) => new Uint8Array(side * side * 3);
    await expectError(() => tileStatistics(tile(15), 15), 'tile-shape', /height is 15/);
    await expectError(() => tileStatistics(tile(257), 257), 'tile-shape', /16 to 256/);
    await expectError(() => tileStatistics(tile(32), 32, 31.5), 'tile-shape', /width is 31.5/);
    await expectError(
      () => tileStatistics(new Uint8Array(32 * 32 * 4), 32),
      'tile-shape',
      /expected 3072 bytes \(32 x 32 x 3\), found 4096/,
    );
  });
});
