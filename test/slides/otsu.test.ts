import { describe, expect, it } from 'vitest';
import { otsuBytes, otsuFloats } from '../../src/slides/otsu.ts';
import { GOLDEN_CASES } from './goldens.ts';

describe('otsuBytes', () => {
  it.each(GOLDEN_CASES)('agrees with an exhaustive search: $title', ({ image, scores }) => {
    const thresholds = [0, 1, 2].map((channel) => {
      const counts = new Float64Array(256);
      image.data.forEach((value, i) => {
        if (i % 3 === channel) counts[value] = counts[value]! + 1;
      });
      return otsuBytes(counts);
    });
    expect(thresholds).toEqual(scores.otsu);
  });
});

describe('otsuFloats', () => {
  it('lies between two groups', () => {
    const threshold = otsuFloats(Float64Array.of(0.1, 0.12, 0.11, 0.9, 0.88));
    expect(threshold).toBeGreaterThanOrEqual(0.12);
    expect(threshold).toBeLessThan(0.88);
  });

  it('leaves nothing above where all values are one, and survives none', () => {
    expect(otsuFloats(Float64Array.of(0.3, 0.3, 0.3))).toBe(0.3);
    expect(otsuFloats(new Float32Array(0))).toBe(0);
  });
});
