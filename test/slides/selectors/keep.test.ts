import { describe, expect, it } from 'vitest';
import { keepTiles } from '../../../src/slides/selectors/keep.ts';
import { expectError } from '../../data/expect-error.ts';

const SCORES = Float64Array.of(2, 4, 4, 4, 5, 5, 7, 9);

describe('keepTiles', () => {
  it('keeps by a threshold, per tile or per pixel', () => {
    expect(keepTiles(SCORES, { above: 5 }, 10)).toEqual({ kept: [4, 5, 6, 7], threshold: 5 });
    expect(keepTiles(SCORES, { abovePerPixel: 0.7 }, 10)).toEqual({ kept: [6, 7], threshold: 7 });
    expect(keepTiles(SCORES, { above: 100 }, 10).kept).toEqual([]);
  });

  it('keeps what lies a number of standard deviations above the mean', () => {
    // Mean 5, population standard deviation 2.
    expect(keepTiles(SCORES, { sigmas: 1 }, 10)).toEqual({ kept: [6, 7], threshold: 7 });
    expect(keepTiles(SCORES, { sigmas: -0.5 }, 10)).toEqual({
      kept: [1, 2, 3, 4, 5, 6, 7],
      threshold: 4,
    });
    expect(keepTiles(Float64Array.of(3, 3, 3), { sigmas: 1 }, 1).kept).toEqual([0, 1, 2]);
  });

  it('keeps most of a very large slide', () => {
    const scores = Float64Array.from({ length: 300_000 }, (_, i) => i);
    const { kept, threshold } = keepTiles(scores, { fraction: 0.9 }, 1);
    expect([kept.length, kept[0], threshold]).toEqual([270_000, 30_000, 30_000]);
  });

  it('keeps a fraction exactly, ties by position', () => {
    expect(keepTiles(SCORES, { fraction: 0.25 }, 1)).toEqual({ kept: [6, 7], threshold: 7 });
    expect(keepTiles(SCORES, { fraction: 0.625 }, 1).kept).toEqual([1, 4, 5, 6, 7]);
    expect(keepTiles(SCORES, { fraction: 0.01 }, 1).kept).toEqual([7]);
    expect(keepTiles(SCORES, { fraction: 1 }, 1).kept).toHaveLength(8);
  });

  it('keeps nothing of nothing', () => {
    for (const rule of [{ fraction: 0.5 }, { sigmas: 1 }, { above: 1 }]) {
      expect(keepTiles(new Float64Array(0), rule, 1).kept).toEqual([]);
    }
  });

  it('refuses rules and scores that make no sense', async () => {
    await expectError(() => keepTiles(SCORES, { fraction: 0 }, 1), 'keep-rule', /fraction is 0/);
    await expectError(() => keepTiles(SCORES, { fraction: 30 }, 1), 'keep-rule', /fraction is 30/);
    await expectError(
      () => keepTiles(SCORES, { above: Number.NaN }, 1),
      'keep-rule',
      /above is NaN/,
    );
    const scores = Float64Array.of(1, Number.NaN);
    await expectError(() => keepTiles(scores, { above: 1 }, 1), 'scores', /tile 1 is NaN/);
  });
});
