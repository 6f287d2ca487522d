import { describe, expect, test } from 'vitest';
import { STEPS } from '../../../src/web/see/colour-maps.ts';
import {
  binOf,
  rangeAroundZero,
  rangeOf,
  tickLabels,
  ticks,
} from '../../../src/web/see/colour-scale.ts';

const hundred = Float32Array.from({ length: 101 }, (_, i) => i);

describe('ranges', () => {
  test('robust leaves 2 % beyond each end, and says so', () => {
    const outliers = Float32Array.of(...hundred, 1e6, Number.NaN, Number.POSITIVE_INFINITY);
    const { low, high, below, above } = rangeOf([outliers], 'robust');
    expect(low).toBeCloseTo(2.02, 5);
    expect(high).toBeCloseTo(98.98, 4);
    expect([below, above]).toEqual([true, true]);
  });

  test('full takes all finite values, of both arrays together', () => {
    expect(rangeOf([hundred, Float32Array.of(-7, Number.NaN)], 'full')).toEqual({
      low: -7,
      high: 100,
      below: false,
      above: false,
    });
  });

  test('a constant gets room around it; a gene that few places express keeps what there is', () => {
    expect(rangeOf([new Float32Array(9).fill(3)], 'robust')).toMatchObject({ low: 2.7, high: 3.3 });
    expect(rangeOf([new Float32Array(9)], 'full')).toMatchObject({ low: -0.5, high: 0.5 });
    const rare = new Float32Array(200);
    rare[17] = 4;
    expect(rangeOf([rare], 'robust')).toMatchObject({ low: 0, high: 4, above: false });
  });

  test('nothing finite is 0 to 1', () => {
    expect(rangeOf([Float32Array.of(Number.NaN)], 'robust')).toMatchObject({ low: 0, high: 1 });
    expect(rangeOf([], 'full')).toMatchObject({ low: 0, high: 1 });
    expect(rangeAroundZero(new Float32Array(0), 'robust')).toMatchObject({ low: -1, high: 1 });
  });

  test('around zero: as far down as up', () => {
    expect(rangeAroundZero(Float32Array.of(-1, 0, 3), 'full')).toEqual({
      low: -3,
      high: 3,
      below: false,
      above: false,
    });
    expect(rangeAroundZero(new Float32Array(4), 'robust')).toMatchObject({ low: -1, high: 1 });
    const tail = Float32Array.from({ length: 100 }, (_, i) => (i === 0 ? -50 : (i % 2) - 0.5));
    expect(rangeAroundZero(tail, 'robust')).toMatchObject({ below: true, above: false });
  });

  test('bins: the ends hold what lies beyond, NaN has its own', () => {
    const scale = { low: 10, high: 20, below: true, above: true };
    expect(binOf(10, scale)).toBe(0);
    expect(binOf(15, scale)).toBe(STEPS / 2);
    expect(binOf(20, scale)).toBe(STEPS - 1);
    expect(binOf(-1e9, scale)).toBe(0);
    expect(binOf(1e9, scale)).toBe(STEPS - 1);
    expect(binOf(Number.NaN, scale)).toBe(STEPS);
  });
});

describe('ticks', () => {
  test.each([
    [0, 10, ['0', '2', '4', '6', '8', '10']],
    [0.3, 3.7, ['1', '2', '3']],
    [-0.62, 0.61, ['−0.6', '−0.4', '−0.2', '0.0', '0.2', '0.4', '0.6']],
    [0.0011, 0.0032, ['0.0015', '0.0020', '0.0025', '0.0030']],
    [0, 4e6, ['0.0e+0', '1.0e+6', '2.0e+6', '3.0e+6', '4.0e+6']],
  ])('of %d to %d', (low, high, labels) => {
    expect(tickLabels(ticks(low, high, 4))).toEqual(labels);
  });

  test('of an empty range: the one value', () => {
    expect(ticks(3, 3, 4)).toEqual([3]);
    expect(tickLabels([3])).toEqual(['3']);
  });
});
