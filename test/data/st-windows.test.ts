import { describe, expect, it } from 'vitest';
import { cutWindows, leaveOneGroupOut, perTenThousand } from '../../src/data/st-windows.ts';

const grid = (width: number, height: number, x0 = 0, y0 = 0) =>
  Array.from({ length: width * height }, (_, i) => ({
    arrayX: x0 + (i % width),
    arrayY: y0 + Math.floor(i / width),
  }));

describe('cutWindows', () => {
  it('tiles a grid from its lowest corner, without overlap', () => {
    const windows = cutWindows(grid(5, 4, 7, 3), 2, 2);
    expect(windows.map(({ x, y, spots }) => [x, y, spots.length])).toEqual([
      [7, 3, 4],
      [9, 3, 4],
      [11, 3, 2],
      [7, 5, 4],
      [9, 5, 4],
      [11, 5, 2],
    ]);
    expect(windows[1]!.spots).toContainEqual({ arrayX: 10, arrayY: 4 });
  });

  it('overlaps with a smaller stride, and skips spots with a larger one', () => {
    const overlapping = cutWindows(grid(3, 3), 2, 1).filter(({ spots }) => spots.length === 4);
    expect(overlapping.map(({ x, y }) => `${x},${y}`)).toEqual(['0,0', '1,0', '0,1', '1,1']);
    const sparse = cutWindows(grid(6, 1), 2, 3);
    expect(sparse.map(({ spots }) => spots.map(({ arrayX }) => arrayX))).toEqual([
      [0, 1],
      [3, 4],
    ]);
  });

  it('takes fractional coordinates, negative ones and staggered arrays', () => {
    const staggered = grid(4, 4, -2).filter(({ arrayX, arrayY }) => (arrayX + arrayY) % 2 === 0);
    expect(cutWindows(staggered, 2, 2).map(({ spots }) => spots.length)).toEqual([2, 2, 2, 2]);
    const moved = cutWindows(
      [
        { arrayX: 1.96, arrayY: 0.1 },
        { arrayX: 3.1, arrayY: 0 },
      ],
      1,
      1,
    );
    expect(moved.map(({ x }) => x)).toEqual([1, 3]);
  });

  it('makes one bag per spot for a window of 1', () => {
    expect(cutWindows(grid(3, 2), 1, 1)).toHaveLength(6);
    expect(cutWindows([], 2, 2)).toEqual([]);
  });
});

describe('perTenThousand', () => {
  it('scales counts to a library of 10,000', () => {
    expect([...perTenThousand(Float64Array.of(0, 5, 20), 2000)]).toEqual([0, 25, 100]);
  });
});

describe('leaveOneGroupOut', () => {
  const slides = ['a1', 'a2', 'b1', 'c1'].map((slide) => ({ slide, group: slide[0]! }));

  it('tests each group once, and gives every slide a part in every fold', () => {
    const rows = leaveOneGroupOut(slides, 0, false);
    expect(rows).toHaveLength(12);
    const tested = rows.filter(({ part }) => part === 'test');
    expect(tested.map(({ fold, slide }) => `${fold}:${slide}`)).toEqual([
      '0:a1',
      '0:a2',
      '1:b1',
      '2:c1',
    ]);
    expect(rows.filter(({ part }) => part === 'train')).toHaveLength(8);
  });

  it('keeps a whole group for validation, drawn by the seed', () => {
    const parts = (seed: number) => {
      const rows = leaveOneGroupOut(slides, seed, true);
      for (let fold = 0; fold < 3; fold++) {
        for (const part of ['train', 'validation', 'test']) {
          const own = rows.filter((row) => row.fold === fold && row.part === part);
          expect(new Set(own.map(({ slide }) => slide[0])).size).toBe(1);
        }
      }
      return rows.map(({ part }) => part).join();
    };
    expect(parts(3)).toBe(parts(3));
    expect(new Set([0, 1, 2, 3, 4, 5].map(parts)).size).toBeGreaterThan(1);
  });

  it('keeps none when only one group is left to train on, and gives nothing for one group', () => {
    const two = slides.filter(({ group }) => group !== 'c');
    expect(leaveOneGroupOut(two, 0, true).some(({ part }) => part === 'validation')).toBe(false);
    expect(leaveOneGroupOut(slides.slice(0, 2), 0, true)).toEqual([]);
  });
});
