import { describe, expect, test } from 'vitest';
import type { Places } from '../../../src/web/protocol.ts';
import { extentOf, nearestPlace, placeAt, placeTowards } from '../../../src/web/see/places.ts';

/** A grid of 3 x 3, 10 apart, from (100, 200). */
const grid = (shape: Places['shape']): Places => ({
  slide: 's',
  shape,
  x: Float32Array.from({ length: 9 }, (_, i) => 100 + 10 * (i % 3)),
  y: Float32Array.from({ length: 9 }, (_, i) => 200 + 10 * Math.floor(i / 3)),
  size: 8,
  names: Array.from({ length: 9 }, (_, i) => `p${i}`),
});
const none: Places = { ...grid('circle'), x: new Float32Array(), y: new Float32Array(), names: [] };

describe('places', () => {
  test('a circle is hit within its radius, a square to its corners', () => {
    expect(placeAt(grid('circle'), 113.9, 210)).toBe(4);
    expect(placeAt(grid('circle'), 113.5, 213.5)).toBe(-1);
    expect(placeAt(grid('square'), 113.5, 213.5)).toBe(4);
    expect(placeAt(grid('square'), 115, 210)).toBe(-1);
  });

  test('where places overlap, the nearest is hit', () => {
    expect(placeAt({ ...grid('circle'), size: 30 }, 118, 201)).toBe(2);
  });

  test('the nearest place, from anywhere', () => {
    expect(nearestPlace(grid('circle'), -500, 1000)).toBe(6);
    expect(nearestPlace(none, 0, 0)).toBe(-1);
  });

  test('arrow keys follow rows and columns, and stop at the edge', () => {
    const places = grid('circle');
    expect(placeTowards(places, 4, 'left')).toBe(3);
    expect(placeTowards(places, 4, 'right')).toBe(5);
    expect(placeTowards(places, 4, 'up')).toBe(1);
    expect(placeTowards(places, 4, 'down')).toBe(7);
    expect(placeTowards(places, 0, 'left')).toBe(0);
    expect(placeTowards(places, 0, 'up')).toBe(0);
  });

  test('in a staggered array, a row is followed rather than the nearer neighbour', () => {
    const staggered: Places = {
      ...grid('circle'),
      x: Float32Array.of(0, 10, 5),
      y: Float32Array.of(0, 0, 4.9),
      names: ['a', 'b', 'c'],
    };
    expect(placeTowards(staggered, 0, 'right')).toBe(1);
  });

  test('the extent has a margin of one place; without places there is none', () => {
    expect(extentOf(grid('square'))).toEqual({ x: 92, y: 192, width: 36, height: 36 });
    expect(extentOf(none)).toBeNull();
  });
});
