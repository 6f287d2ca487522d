import { describe, expect, test } from 'vitest';
import type { GeneMap } from '../../../src/web/protocol.ts';
import { type LayerSettings, layersOf, modeProblem } from '../../../src/web/see/layers.ts';

const SETTINGS: LayerSettings = { colours: 'viridis', range: 'full', common: true, blend: 0.25 };
const MAP: GeneMap = {
  slide: 's',
  gene: 'ESR1',
  predicted: Float32Array.of(1, 2, 3),
  observed: Float32Array.of(0, 2, 8),
  slidePredicted: null,
  slideObserved: null,
};
const layers = (mode: Parameters<typeof layersOf>[0], settings: Partial<LayerSettings> = {}) =>
  layersOf(mode, MAP, Float32Array.of(0.5, 0.25, 0.25), 'log2', { ...SETTINGS, ...settings });

describe('layers', () => {
  test('predicted and measured have one range, or each its own', () => {
    expect(layers('predicted')[0]!.scale).toMatchObject({ map: 'viridis', low: 0, high: 8 });
    expect(layers('predicted', { common: false })[0]!.scale).toMatchObject({ low: 1, high: 3 });
    const [left, right] = layers('side', { common: false });
    expect([left!.kind, right!.kind]).toEqual(['predicted', 'measured']);
    expect(right!.scale).toMatchObject({ low: 0, high: 8 });
  });

  test('the blend is the weighted mean, always in the common range, and says its shares', () => {
    const [blend] = layers('blend', { common: false });
    expect([...blend!.values]).toEqual([0.75, 2, 4.25]);
    expect(blend!.scale).toMatchObject({ low: 0, high: 8 });
    expect(blend!.title).toBe('ESR1: 75 % predicted, 25 % measured');
  });

  test('the difference is predicted minus measured, around zero', () => {
    const [difference] = layers('difference');
    expect([...difference!.values]).toEqual([1, 0, -5]);
    expect(difference!.scale).toMatchObject({ map: 'blue-red', low: -5, high: 5 });
  });

  test('attention is told relative to the average place', () => {
    const [attention] = layers('attention');
    expect([...attention!.values]).toEqual([1.5, 0.75, 0.75]);
    expect(attention!.unit).toBe('× average');
  });

  test('what cannot be shown is no layer, and there are words for it', () => {
    const whole = { ...MAP, predicted: null, observed: null };
    for (const mode of ['predicted', 'measured', 'side', 'blend', 'difference'] as const) {
      expect(layersOf(mode, whole, undefined, 'log2', SETTINGS)).toEqual([]);
    }
    const unmeasured = layersOf('side', { ...MAP, observed: null }, undefined, 'log2', SETTINGS);
    expect(unmeasured.map(({ kind }) => kind)).toEqual(['predicted']);
    expect(modeProblem('predicted', whole, undefined)).toContain('whole slides only');
    expect(modeProblem('measured', whole, undefined)).toContain('whole slide');
    expect(modeProblem('side', { ...MAP, observed: null }, undefined)).toContain('measured');
    expect(modeProblem('predicted', { ...MAP, observed: null }, undefined)).toBeNull();
    expect(modeProblem('attention', MAP, null)).toContain('no attention');
    expect(modeProblem('attention', MAP, undefined)).toBeNull();
    expect(layersOf('attention', MAP, null, 'log2', SETTINGS)).toEqual([]);
  });
});
