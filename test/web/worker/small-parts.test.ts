import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ByteCache } from '../../../src/web/worker/byte-cache.ts';
import { Pace } from '../../../src/web/worker/pace.ts';
import { chosenGenes, genesByVariance, pickColumns } from '../../../src/web/worker/settings.ts';
import { throttle } from '../../../src/web/worker/throttle.ts';
import { tinyDataset } from './tiny-data.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('ByteCache', () => {
  it('drops what was not asked for longest, but never the newest', () => {
    const cache = new ByteCache(40);
    const values = (n: number) => new Float32Array(n);
    cache.set('a', values(4));
    cache.set('b', values(4));
    expect(cache.get('a')).toHaveLength(4);
    cache.set('c', values(5));
    expect(cache.get('b')).toBeNull();
    expect(cache.get('a')).toHaveLength(4);
    cache.set('large', values(100));
    expect(cache.get('large')).toHaveLength(100);
    expect(cache.get('a')).toBeNull();
    cache.set('large', values(1));
    cache.set('d', values(9));
    expect(cache.get('large')).toHaveLength(1);
  });
});

describe('throttle', () => {
  it('sends at once, then no more often than allowed, and the last one always', () => {
    const send = vi.fn();
    const { soon, now } = throttle(send, 100);
    soon();
    expect(send).toHaveBeenCalledTimes(1);
    for (let i = 0; i < 50; i++) {
      vi.advanceTimersByTime(10);
      soon();
    }
    expect(send.mock.calls.length).toBeGreaterThanOrEqual(5);
    expect(send.mock.calls.length).toBeLessThanOrEqual(6);
    vi.advanceTimersByTime(1000);
    const before = send.mock.calls.length;
    soon();
    soon();
    now();
    expect(send).toHaveBeenCalledTimes(before + 2);
    vi.advanceTimersByTime(1000);
    expect(send).toHaveBeenCalledTimes(before + 2);
  });
});

describe('Pace', () => {
  it('is that of the last seconds', () => {
    const pace = new Pace();
    expect(pace.stepsPerSecond).toBeNull();
    for (let step = 1; step <= 30; step++) {
      pace.at(step);
      vi.advanceTimersByTime(1000);
    }
    expect(pace.stepsPerSecond).toBeCloseTo(1);
    for (let step = 40; step <= 240; step += 10) {
      pace.at(step);
      vi.advanceTimersByTime(1000);
    }
    expect(pace.stepsPerSecond).toBeCloseTo(10);
    expect(pace.seconds).toBeCloseTo(51);
    pace.restart();
    pace.at(300);
    expect(pace.stepsPerSecond).toBeNull();
  });
});

describe('genes', () => {
  it('are found by name, and picked as columns', () => {
    const dataset = tinyDataset('slides');
    const { columns } = chosenGenes({ genes: ['G3', 'G1'] }, dataset);
    expect(columns).toEqual([2, 0]);
    const values = Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13);
    expect([...pickColumns(values, 4, columns)]).toEqual([2, 0, 12, 10]);
    expect(chosenGenes({ genes: null }, dataset).columns).toEqual([0, 1, 2, 3]);
    expect(() => chosenGenes({ genes: [] }, dataset)).toThrow('No gene is chosen');
  });

  it('are sorted by how much they vary', () => {
    const dataset = tinyDataset('slides');
    const targets = Float32Array.of(5, 1, 0, 2, 5, 9, 1, 2.5, 5, 5, 0, 2);
    expect(genesByVariance({ ...dataset, targets })).toEqual(['G2', 'G3', 'G4', 'G1']);
  });
});
