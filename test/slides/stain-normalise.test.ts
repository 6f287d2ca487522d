import { describe, expect, it } from 'vitest';
import {
  applyStains,
  estimateStains,
  MACENKO_REFERENCE,
  normaliseStains,
  type Stains,
} from '../../src/slides/stain-normalise.ts';
import { GOLDEN_CASES } from './goldens.ts';
import { draw, flat, hashNoise } from './pictures.ts';

function stainsOf(...args: Parameters<typeof estimateStains>): Stains {
  const stains = estimateStains(...args);
  if (typeof stains === 'string') throw new Error(stains);
  return stains;
}

/** A picture painted with two given stains in known, varying amounts. */
function painted({ haematoxylin, eosin, maxima }: Stains) {
  return draw(96, 96, (x, y) => {
    const h = hashNoise(x, y, 1) < 100 ? (maxima[0] * hashNoise(x, y, 2)) / 255 : 0;
    const e = h === 0 ? (maxima[1] * hashNoise(x, y, 3)) / 255 : 0;
    const value = (c: 0 | 1 | 2) =>
      Math.max(0, Math.round(240 * Math.exp(-haematoxylin[c] * h - eosin[c] * e) - 1));
    return [value(0), value(1), value(2)];
  });
}

describe('Macenko normalisation', () => {
  it.each(GOLDEN_CASES)('agrees with numpy: $title', ({ image, ...golden }) => {
    const expected = 'macenko' in golden ? golden.macenko : undefined;
    if (!expected) {
      expect(estimateStains(image)).toMatch(/blank|one-stain/);
      return;
    }
    const stains = stainsOf(image);
    for (const name of ['haematoxylin', 'eosin', 'maxima'] as const) {
      stains[name].forEach((value, i) => {
        expect(value).toBeCloseTo(expected[name][i]!, 9);
      });
    }
    const { data } = applyStains(image, stains);
    const means = [0, 0, 0];
    data.forEach((value, i) => {
      means[i % 3]! += value / (data.length / 3);
    });
    means.forEach((value, c) => {
      expect(value).toBeCloseTo(expected.mean[c]!, 2);
    });
    expected.pixels.forEach((value, i) => {
      const found = data[Math.floor(i / 3) * 97 * 3 + (i % 3)]!;
      expect(Math.abs(found - value)).toBeLessThanOrEqual(1);
    });
  });

  it('finds the stains that a picture was painted with, and leaves the reference alone', () => {
    const image = painted(MACENKO_REFERENCE);
    const stains = stainsOf(image);
    for (const name of ['haematoxylin', 'eosin'] as const) {
      const unit = Math.hypot(...MACENKO_REFERENCE[name]);
      stains[name].forEach((value, i) => {
        expect(value).toBeCloseTo(MACENKO_REFERENCE[name][i]! / unit, 1);
      });
    }
    const { image: out, unchanged } = normaliseStains(image);
    expect(unchanged).toBeNull();
    const error = out.data.reduce((sum, value, i) => sum + Math.abs(value - image.data[i]!), 0);
    expect(error / out.data.length).toBeLessThan(6);
  });

  it('brings two scanners together', () => {
    const other: Stains = {
      haematoxylin: [0.68, 0.65, 0.33],
      eosin: [0.28, 0.9, 0.34],
      maxima: [1.4, 1.5],
    };
    const mean = (data: Uint8Array) =>
      [0, 1, 2].map(
        (c) => data.reduce((s, v, i) => s + (i % 3 === c ? v : 0), 0) / (data.length / 3),
      );
    const gap = (a: number[], b: number[]) => Math.hypot(...a.map((v, i) => v - b[i]!));
    const [a, b] = [painted(MACENKO_REFERENCE), painted(other)];
    const before = gap(mean(a.data), mean(b.data));
    const after = gap(mean(normaliseStains(a).image.data), mean(normaliseStains(b).image.data));
    expect(after).toBeLessThan(0.3 * before);
  });

  it('leaves pictures without two stains as they are, and says why', () => {
    const white = flat(64, 64, [244, 243, 245]);
    expect(normaliseStains(white)).toEqual({ image: white, unchanged: 'blank' });
    // Eosin alone, in many amounts.
    const pink = painted({ ...MACENKO_REFERENCE, haematoxylin: MACENKO_REFERENCE.eosin });
    expect(normaliseStains(pink)).toEqual({ image: pink, unchanged: 'one-stain' });
    const even = flat(64, 64, [150, 80, 140]);
    expect(normaliseStains(even)).toEqual({ image: even, unchanged: 'one-stain' });
    const black = flat(64, 64, [0, 0, 0]);
    expect(normaliseStains(black).unchanged).toBe('one-stain');
  });

  it('is deterministic', () => {
    const { image } = GOLDEN_CASES[0]!;
    expect(normaliseStains(image).image.data).toEqual(normaliseStains(image).image.data);
  });
});
