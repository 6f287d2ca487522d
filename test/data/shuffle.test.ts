import { describe, expect, it } from 'vitest';
import { randomBelow, randomUint32, sampleSorted, shuffle } from '../../src/data/shuffle.ts';

const draw = (count: number, ...keys: number[]) => {
  const next = randomUint32(...keys);
  return Array.from({ length: count }, next);
};

describe('randomUint32', () => {
  it('is a function of its keys, in order', () => {
    expect(draw(4, 1, 2)).toEqual(draw(4, 1, 2));
    expect(draw(4, 1, 2)).not.toEqual(draw(4, 2, 1));
    expect(draw(4, 0)).not.toEqual(draw(4, 0, 0));
    expect(draw(4, -1)).toEqual(draw(4, 2 ** 32 - 1));
  });

  it('keeps its values from version to version: saved runs depend on them', () => {
    expect(draw(3, 42)).toMatchInlineSnapshot(`
      [
        618902962,
        1985041052,
        594259973,
      ]
    `);
    expect(shuffle(8, 42, 1)).toMatchInlineSnapshot(`
      [
        3,
        5,
        6,
        7,
        0,
        2,
        4,
        1,
      ]
    `);
  });

  it('is uniform in every bit, also over consecutive seeds', () => {
    for (const values of [draw(4096, 7), Array.from({ length: 4096 }, (_, i) => draw(1, i)[0]!)]) {
      for (let bit = 0; bit < 32; bit++) {
        const ones = values.filter((value) => (value >>> bit) & 1).length;
        // 5 standard deviations of Binomial(4096, 1/2).
        expect(Math.abs(ones - 2048)).toBeLessThan(160);
      }
    }
  });
});

describe('randomBelow', () => {
  it('draws again where the remainder would be biased', () => {
    const queue = [2 ** 32 - 1, 2 ** 32 - 2, 5];
    expect(randomBelow(() => queue.shift() ?? 0, 3)).toBe(2);
    expect(queue).toEqual([5]);
  });
});

describe('shuffle', () => {
  it('is a permutation, a function of n, seed and epoch', () => {
    const order = shuffle(100, 3, 1);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(shuffle(100, 3, 1)).toEqual(order);
    expect(shuffle(100, 3, 2)).not.toEqual(order);
    expect(shuffle(100, 4, 1)).not.toEqual(order);
    expect([shuffle(0, 1), shuffle(1, 1)]).toEqual([[], [0]]);
  });

  it('gives all orders of three about equally often', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const key = shuffle(3, seed).join('');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('sampleSorted', () => {
  it('draws without replacement, in order', () => {
    const sample = [...sampleSorted(1000, 50, 1, 2, 3)];
    expect(new Set(sample).size).toBe(50);
    expect(sample).toEqual([...sample].sort((a, b) => a - b));
    expect(sample.every((value) => value >= 0 && value < 1000)).toBe(true);
    expect([...sampleSorted(1000, 50, 1, 2, 3)]).toEqual(sample);
    expect([...sampleSorted(1000, 50, 1, 3, 3)]).not.toEqual(sample);
    expect([...sampleSorted(3, 5, 1)]).toEqual([0, 1, 2]);
  });

  it('draws every element about equally often', () => {
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 5000; seed++)
      for (const i of sampleSorted(10, 3, seed)) counts[i]! += 1;
    for (const count of counts) expect(Math.abs(count - 1500)).toBeLessThan(170);
  });
});
