import { describe, expect, it } from 'vitest';
import { greyPlane } from '../../../src/slides/selectors/plane-filters.ts';
import {
  cannyEdges,
  cannyScore,
  dogScore,
  gradientScore,
  logScore,
} from '../../../src/slides/selectors/texture.ts';
import { GOLDEN_CASES } from '../goldens.ts';
import { draw } from '../pictures.ts';

describe('texture scores', () => {
  it.each(GOLDEN_CASES)('agree with scipy.ndimage: $title', ({ image, scores }) => {
    expect(gradientScore(image)).toBeCloseTo(scores.ig, 12);
    expect(dogScore(image)).toBeCloseTo(scores.dog, 12);
    expect(logScore(image)).toBeCloseTo(scores.log, 12);
    expect(cannyScore(image)).toBeCloseTo(scores.canny / (image.width * image.height), 12);
  });
});

describe('cannyEdges', () => {
  it('draws one thin line along a step, and none where a weak edge stands alone', () => {
    const strong = cannyEdges(
      greyPlane(draw(40, 30, (x) => (x < 20 ? [0, 0, 0] : [255, 255, 255]))),
    );
    for (let y = 2; y < 28; y++) {
      const row = strong.subarray(y * 40, y * 40 + 40);
      const edges = [...row.keys()].filter((x) => row[x]);
      expect(edges.length).toBeGreaterThan(0);
      for (const x of edges) expect([19, 20]).toContain(x);
    }
    // A step of 0.06 has a blurred Sobel magnitude near 0.14: weak, and touches nothing strong.
    const weak = cannyEdges(
      greyPlane(draw(40, 30, (x) => (x < 20 ? [90, 90, 90] : [106, 106, 106]))),
    );
    expect(weak.includes(1)).toBe(false);
  });
});
