import { describe, expect, test } from 'vitest';
import type { GeneScatter } from '../../../src/web/protocol.ts';
import { regression } from '../../../src/web/see/regression.ts';
import { byObserved, nearestSample, scatterAxis } from '../../../src/web/see/scatter-scale.ts';

const SCATTER: GeneScatter = {
  gene: 'g',
  samples: ['a', 'b', 'c'],
  slides: new Uint32Array(3),
  places: null,
  observed: Float32Array.of(4, 0, 2),
  predicted: Float32Array.of(3, 1, 10),
};

describe('scatter', () => {
  test('one range for both axes, with a margin', () => {
    expect(scatterAxis(SCATTER)).toMatchObject({ low: -0.5, high: 10.5 });
    expect(scatterAxis(SCATTER).ticks.map(({ label }) => label)).toEqual([
      '0',
      '2',
      '4',
      '6',
      '8',
      '10',
    ]);
    const flat = { ...SCATTER, observed: new Float32Array(3), predicted: new Float32Array(3) };
    expect(scatterAxis(flat)).toMatchObject({ low: -0.5, high: 0.5 });
  });

  test('the point under the pointer, within reach', () => {
    const axis = { low: 0, high: 10, ticks: [] };
    expect(nearestSample(SCATTER, axis, 0.39, 0.31, 0.05)).toBe(0);
    expect(nearestSample(SCATTER, axis, 0.5, 0.5, 0.05)).toBe(-1);
  });

  test('arrow keys go by the measured values', () => {
    expect([...byObserved(SCATTER)]).toEqual([1, 2, 0]);
  });

  test('least squares; undefined for a constant, ignoring what is not finite', () => {
    expect(regression([0, 1, 2, Number.NaN], [1, 3, 5, 9])).toEqual({ slope: 2, intercept: 1 });
    expect(regression([1e6, 1e6 + 1], [0, 1])?.slope).toBeCloseTo(1, 6);
    expect(regression([3, 3, 3], [1, 2, 3])).toBeNull();
    expect(regression([1], [1])).toBeNull();
  });
});
