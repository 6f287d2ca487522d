import { describe, expect, it } from 'vitest';
import { tileSheet } from '../../src/data/simulated/tile-sheet.ts';

/** A 4 x 4 tile of one grey value. */
const tile = (value: number) => new Uint8Array(4 * 4 * 3).fill(value);
const slide = (...values: number[]) => ({ tiles: values.map(tile), tileSize: 4 });

describe('tileSheet', () => {
  it('puts slides in rows and tiles in columns, with white gaps', () => {
    const cohort = { slides: [slide(10, 20, 30), slide(40), slide(50, 60), slide(70, 80)] };
    const { width, height, rgb } = tileSheet(cohort, { columns: 2, rows: 2 });
    expect([width, height]).toEqual([10, 10]);
    const at = (x: number, y: number) => [
      ...rgb.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
    ];
    expect(at(0, 0)).toEqual([10, 10, 10]);
    expect(at(9, 3)).toEqual([20, 20, 20]);
    expect(at(4, 0)).toEqual([255, 255, 255]);
    expect(at(0, 5)).toEqual([255, 255, 255]);
    // Two of four slides: the first and the third.
    expect(at(3, 9)).toEqual([50, 50, 50]);
    expect(at(6, 6)).toEqual([60, 60, 60]);
  });

  it('leaves white where a slide has fewer tiles, and shows no more rows than slides', () => {
    const { width, height, rgb } = tileSheet({ slides: [slide(0)] }, { columns: 2, rows: 5 });
    expect([width, height]).toEqual([10, 4]);
    expect(rgb[(width * 2 + 8) * 3]).toBe(255);
    expect(rgb[0]).toBe(0);
  });

  it('is empty for a cohort without slides', () => {
    expect(tileSheet({ slides: [] }, { columns: 3, rows: 2 }).rgb).toHaveLength(0);
  });
});
