import { describe, expect, it } from 'vitest';
import {
  blur,
  gradientStatistics,
  localMaxima,
  regionAreas,
} from '../../src/slides/tile-filters.ts';

/** A plane from rows of one-digit numbers. */
function plane(...rows: string[]): Float32Array {
  return Float32Array.from(rows.join(''), Number);
}

describe('blur', () => {
  it('keeps a constant and the sum of an inner point, and is a Gaussian', () => {
    const flat = new Float32Array(15 * 9).fill(0.7);
    for (const value of blur(flat, 15, 9, 2)) expect(value).toBeCloseTo(0.7, 6);
    const point = new Float32Array(21 * 21);
    point[10 * 21 + 10] = 1;
    const blurred = blur(point, 21, 21, 1.5);
    expect(blurred.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    const ratio = blurred[10 * 21 + 13]! / blurred[10 * 21 + 10]!;
    expect(ratio).toBeCloseTo(Math.exp(-9 / (2 * 1.5 * 1.5)), 5);
    expect(blurred[13 * 21 + 10]).toBeCloseTo(blurred[10 * 21 + 13]!, 7);
  });
});

describe('gradientStatistics', () => {
  it('measures a ramp, whose border pixels have half the slope', () => {
    const ramp = Float32Array.from({ length: 4 * 6 }, (_, i) => 2 * (i % 6));
    const { mean, std } = gradientStatistics(ramp, 4, 6);
    expect(mean).toBeCloseTo((4 * 2 + 2 * 1) / 6, 6);
    expect(std).toBeCloseTo(Math.sqrt((4 * 4 + 2 * 1) / 6 - (10 / 6) ** 2), 6);
  });
});

describe('localMaxima', () => {
  it('counts strict inner maxima above the threshold', () => {
    const peaks = plane('000009', '050330', '000000', '001020', '000000');
    // 9 lies on the border, 33 is a plateau, 1 is too low.
    expect(localMaxima(peaks, 5, 6, 2)).toEqual({ count: 2, mean: (5 + 2) / 2 });
    expect(localMaxima(peaks, 5, 6, 6)).toEqual({ count: 0, mean: 0 });
  });
});

describe('regionAreas', () => {
  it('joins direct neighbours only and does not wrap around rows', () => {
    const regions = plane('110001', '010010', '000000', '000001', '100000');
    expect(regionAreas(regions, 6, 0.5)).toEqual([3, 1, 1, 1, 1]);
  });
});
