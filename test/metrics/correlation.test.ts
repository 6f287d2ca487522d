import { describe, expect, it } from 'vitest';
import { pearson, pearsonColumns, pearsonPValue, spearman } from '../../src/metrics/pearson.ts';
import { steigerTest } from '../../src/metrics/steiger.ts';

// Expected numbers were computed with SciPy 1.10.1 (pearsonr, spearmanr, t.sf) unless derived in the test.
const x = [2.1, 3.4, 1.9, 5.6, 4.4, 6.1, 3.3, 7.2];
const y = [1.0, 2.9, 2.2, 4.1, 5.3, 5.0, 3.1, 8.4];

describe('pearson', () => {
  it('equals scipy.stats.pearsonr', () => {
    expect(pearson(x, y)).toBeCloseTo(0.9036571593629122, 14);
    const weakX = [2.1, 3.4, 1.9, 5.6, 4.4, 6.1];
    const weakY = [1.0, 0.2, 2.2, -4.1, 1.3, 0.7];
    expect(pearson(weakX, weakY)).toBeCloseTo(-0.5692484753769134, 14);
  });

  it('does not leave [-1, 1] and survives a large offset', () => {
    expect(pearson([1, 2, 3], [2, 4, 6])).toBe(1);
    // Rounds to 1.0000000000000002 where it is not clamped.
    expect(pearson([0.9, 1, 1.2], [2.7, 3, 3.5999999999999996])).toBe(1);
    const shifted = x.map((value) => value + 1e8);
    expect(pearson(shifted, y)).toBeCloseTo(0.9036571593629122, 7);
  });

  it('is NaN where it is undefined', () => {
    // The mean of these equal values is rounded, so that a variance test would not see them as constant.
    expect(pearson([0.1, 0.1, 0.1], [1, 2, 4])).toBeNaN();
    expect(pearson([1, 2, 4], [7, 7, 7])).toBeNaN();
    expect(pearson([1], [2])).toBeNaN();
    expect(pearson([], [])).toBeNaN();
    expect(pearson([1, 2, Number.NaN], [1, 2, 3])).toBeNaN();
    expect(pearson([1, 2, 3], [1, Number.POSITIVE_INFINITY, 3])).toBeNaN();
  });

  it('refuses samples of different length', () => {
    expect(() => pearson([1, 2], [1, 2, 3])).toThrow(
      expect.objectContaining({
        code: 'metrics-length',
        message: expect.stringContaining('found 2 and 3'),
      }),
    );
  });

  it('works per column of a matrix', () => {
    const left = x.flatMap((value, i) => [value, 3, -value, y[i]!]);
    const right = y.flatMap((value) => [value, value, value, value]);
    const r = pearsonColumns(left, right, 4);
    expect(r[0]).toBeCloseTo(0.9036571593629122, 14);
    expect(r[1]).toBeNaN();
    expect(r[2]).toBeCloseTo(-0.9036571593629122, 14);
    expect(r[3]).toBeCloseTo(1, 14);
  });

  it('refuses a matrix that is not made of whole rows', () => {
    expect(() => pearsonColumns([1, 2, 3], [1, 2, 3], 2)).toThrow(
      expect.objectContaining({
        code: 'metrics-shape',
        message: expect.stringContaining('3 values cannot form rows of 2 columns'),
      }),
    );
  });
});

describe('pearsonPValue', () => {
  it.each([
    [0.9036571593629122, 8, 0.0020771948899055447],
    [-0.5692484753769134, 6, 0.2383580140921587],
    [0.5, 20, 0.024769558804109703],
    [-0.31, 57, 0.018938898955587324],
    [0.05, 20000, 1.4939379558995212e-12],
    [0.999, 5, 3.795497437340063e-5],
  ])('of r = %f with n = %i is %f, as SciPy says', (r, n, expected) => {
    expect(pearsonPValue(r, n) / expected).toBeCloseTo(1, 5);
  });

  it('has its limits', () => {
    expect(pearsonPValue(0, 10)).toBe(1);
    expect(pearsonPValue(1, 10)).toBe(0);
    expect(pearsonPValue(0.5, 2)).toBeNaN();
    expect(pearsonPValue(Number.NaN, 10)).toBeNaN();
  });
});

describe('spearman', () => {
  it('gives ties their mean rank, as scipy.stats.spearmanr', () => {
    expect(spearman([1, 2, 2, 3, 3, 3, 4, 10], [5, 5, 1, 2, 8, 8, 9, 7])).toBeCloseTo(
      0.5901645758711312,
      14,
    );
  });

  it('sees only the order, and is NaN for a constant or a non-finite value', () => {
    expect(spearman([1, 2, 3, 4], [1, 10, 100, 1000])).toBeCloseTo(1, 14);
    expect(spearman([1, 1, 1], [1, 2, 3])).toBeNaN();
    expect(spearman([1, 2, Number.NaN], [1, 2, 3])).toBeNaN();
  });
});

describe('steigerTest', () => {
  it('equals the published equation evaluated with NumPy and scipy.stats.t.sf', () => {
    // This first case is the example of R's psych::r.test, which prints t = -0.89, p < 0.37 (two tails).
    const psych = steigerTest({ xy: 0.4, xz: 0.5, yz: 0.1, n: 103 });
    expect(psych.t).toBeCloseTo(-0.8912799047605414, 12);
    expect(psych.p).toBeCloseTo(0.18745925874562785, 7);
    const better = steigerTest({ xy: 0.62, xz: 0.21, yz: 0.35, n: 40 });
    expect(better.t).toBeCloseTo(2.731782040728404, 12);
    expect(better.p).toBeCloseTo(0.004798463690110987, 8);
  });

  it('says 0.5 for equal correlations, also where y and z are the same variable', () => {
    expect(steigerTest({ xy: 0.3, xz: 0.3, yz: 0.2, n: 30 })).toEqual({ t: 0, p: 0.5 });
    expect(steigerTest({ xy: 0.3, xz: 0.3, yz: 1, n: 30 })).toEqual({ t: 0, p: 0.5 });
    expect(steigerTest({ xy: Number.NaN, xz: 0.3, yz: 0.2, n: 30 }).p).toBeNaN();
  });

  it('refuses too few samples and impossible correlations', () => {
    expect(() => steigerTest({ xy: 0.4, xz: 0.5, yz: 0.1, n: 3 })).toThrow(
      expect.objectContaining({
        code: 'metrics-steiger',
        message: expect.stringContaining('found n = 3'),
      }),
    );
    expect(() => steigerTest({ xy: 0.4, xz: 1.5, yz: 0.1, n: 30 })).toThrow(
      expect.objectContaining({
        code: 'metrics-steiger',
        message: expect.stringContaining('xz must be a correlation in [-1, 1], found 1.5'),
      }),
    );
  });
});
