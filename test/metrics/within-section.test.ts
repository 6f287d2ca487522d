import { describe, expect, it } from 'vitest';
import { pearson } from '../../src/metrics/pearson.ts';
import { withinSections } from '../../src/metrics/within-section.ts';
import { expectError } from '../data/expect-error.ts';

/** Rows of two genes. */
const table = (...rows: [number, number][]) => Float32Array.from(rows.flat());

describe('withinSections', () => {
  it('averages the correlation of every gene over sections, then over genes', () => {
    const predicted = table([1, 5], [2, 1], [4, 3], [0, 1], [1, 2], [5, 3]);
    const measured = table([2, 1], [1, 2], [3, 7], [9, 3], [4, 2], [1, 1]);
    const column = (values: Float32Array, gene: number, from: number, to: number) =>
      [...values].filter((_, i) => i % 2 === gene).slice(from, to);
    const r = (gene: number, from: number, to: number) =>
      pearson(column(predicted, gene, from, to), column(measured, gene, from, to));
    const { mean, perGene, perSection } = withinSections(predicted, measured, 2, [3, 3]);
    expect(perGene[0]).toBeCloseTo((r(0, 0, 3) + r(0, 3, 6)) / 2, 12);
    expect(perGene[1]).toBeCloseTo((r(1, 0, 3) + r(1, 3, 6)) / 2, 12);
    expect(perSection[1]).toBeCloseTo((r(0, 3, 6) + r(1, 3, 6)) / 2, 12);
    expect(mean).toBeCloseTo((perGene[0]! + perGene[1]!) / 2, 12);
  });

  it('is blind to differences between sections', () => {
    // Over all spots together the correlation would be close to 1.
    const predicted = table([1, 1], [2, 2], [101, 101], [102, 102]);
    const measured = table([2, 2], [1, 1], [102, 102], [101, 101]);
    expect(withinSections(predicted, measured, 2, [2, 2]).mean).toBeCloseTo(-1, 12);
  });

  it('leaves a gene out where it is constant', () => {
    const predicted = table([1, 1], [2, 2], [3, 1], [1, 2], [2, 3], [3, 4]);
    const constant = table([1, 5], [2, 5], [3, 5], [1, 2], [2, 3], [3, 4]);
    const { mean, perGene, perSection } = withinSections(predicted, constant, 2, [3, 3]);
    expect([mean, ...perGene, ...perSection]).toEqual([1, 1, 1, 1, 1]);
    const nowhere = withinSections(predicted.subarray(0, 6), constant.subarray(0, 6), 2, [3]);
    expect(nowhere.perGene[1]).toBeNaN();
    expect(nowhere.mean).toBe(1);
  });

  it('refuses values that do not fill the sections', async () => {
    const rows = table([1, 1], [2, 2]);
    await expectError(
      async () => withinSections(rows, rows, 2, [3]),
      'metrics-shape',
      'expected 6 values',
    );
    await expectError(async () => withinSections(rows, rows, 2, []), 'metrics-shape', 'found 4');
  });
});
