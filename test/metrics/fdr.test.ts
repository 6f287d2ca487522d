import { describe, expect, it } from 'vitest';
import { benjaminiHochberg } from '../../src/metrics/fdr.ts';

describe('benjaminiHochberg', () => {
  it('adjusts by hand-computed steps: 0.03 * 6/3 and 0.04 * 6/4 share the smaller 0.06', () => {
    const q = benjaminiHochberg([0.01, 0.04, 0.03, 0.002, 0.8, 0.8]);
    [0.03, 0.06, 0.06, 0.012, 0.8, 0.8].forEach((expected, i) => {
      expect(q[i]).toBeCloseTo(expected, 14);
    });
  });

  it('does not count undefined tests', () => {
    const q = benjaminiHochberg([0.02, Number.NaN, 0.5]);
    expect(q[0]).toBeCloseTo(0.04, 14);
    expect(q[1]).toBeNaN();
    expect(q[2]).toBeCloseTo(0.5, 14);
    expect(benjaminiHochberg([])).toHaveLength(0);
  });
});
