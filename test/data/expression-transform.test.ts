import { describe, expect, it } from 'vitest';
import {
  applyZScore,
  fitZScore,
  invertZScore,
  transformExpression,
} from '../../src/data/expression-transform.ts';
import { expectError } from './expect-error.ts';

const table = (values: number[]) => ({
  samples: ['s1', 's2'],
  genes: ['A', 'B'],
  values: Float32Array.from(values),
});

describe('transformExpression', () => {
  it('log2 and log10 of 1 + x, or nothing', () => {
    expect([...transformExpression(table([0, 1, 3, 1023]), 'log2', 'r').values]).toEqual([
      0, 1, 2, 10,
    ]);
    expect([...transformExpression(table([0, 9, 99, 999]), 'log10', 'r').values]).toEqual([
      0, 1, 2, 3,
    ]);
    expect([...transformExpression(table([0, -9, 99, 1]), 'none', 'r').values]).toEqual([
      0, -9, 99, 1,
    ]);
  });

  it('refuses negative values under a logarithm, naming the first', async () => {
    for (const transform of ['log2', 'log10'] as const) {
      await expectError(
        () => transformExpression(table([0, 1, -0.5, -3]), transform, 'rna.csv'),
        'negative-expression',
        /rna\.csv: sample s2, gene A is -0\.5/,
      );
    }
  });
});

describe('z-score', () => {
  // Rows 0 and 2 train; row 1 would change everything.
  const values = Float32Array.of(1, 7, 1e8, 1e9, 1e9, -1e9, 3, 7, 1e8 + 16);

  it('is fitted on the given rows only, with std 1 for a constant gene', () => {
    const { mean, std } = fitZScore(values, [0, 2], 3);
    expect([...mean]).toEqual([2, 7, 1e8 + 8]);
    expect([...std]).toEqual([1, 1, 8]);
  });

  it('applies and inverts', () => {
    const score = fitZScore(values, [0, 2], 3);
    const scored = applyZScore(values, score);
    expect([...scored.subarray(0, 3)]).toEqual([-1, 0, -1]);
    expect([...scored.subarray(6)]).toEqual([1, 0, 1]);
    expect([...invertZScore(scored, score)]).toEqual([...values]);
  });

  it('gives a constant gene std 1 even where its mean is not exact', () => {
    const tenth = new Float32Array(3).fill(0.1);
    expect([...fitZScore(tenth, [0, 1, 2], 1).std]).toEqual([1]);
  });

  it('refuses no rows', () => expectError(() => fitZScore(values, [], 3), 'no-rows', /no rows/));
});
