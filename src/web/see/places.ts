/** Which place is where: under the pointer, and next to another. Linear scans: 0.2 ms for 100,000 places. */
import type { Places } from '../protocol.ts';

export type Direction = 'left' | 'right' | 'up' | 'down';

/** A rectangle in pixels of the slide's largest level. */
export interface Extent {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Index of the place at a point (slide pixels); -1 when there is none. */
export function placeAt(places: Places, x: number, y: number): number {
  const reach = places.size / 2;
  const circle = places.shape === 'circle';
  let best = -1;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (let i = 0; i < places.x.length; i++) {
    const dx = Math.abs(places.x[i]! - x);
    const dy = Math.abs(places.y[i]! - y);
    if (dx > reach || dy > reach) continue;
    const distance = dx * dx + dy * dy;
    if (circle && distance > reach * reach) continue;
    if (distance < bestDistance) {
      best = i;
      bestDistance = distance;
    }
  }
  return best;
}

export function nearestPlace(places: Places, x: number, y: number): number {
  let best = -1;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (let i = 0; i < places.x.length; i++) {
    const distance = (places.x[i]! - x) ** 2 + (places.y[i]! - y) ** 2;
    if (distance < bestDistance) {
      best = i;
      bestDistance = distance;
    }
  }
  return best;
}

/** The nearest place within 45 degrees of a direction; `from` itself where there is none. */
export function placeTowards(places: Places, from: number, direction: Direction): number {
  const x = places.x[from]!;
  const y = places.y[from]!;
  let best = from;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let i = 0; i < places.x.length; i++) {
    const dx = places.x[i]! - x;
    const dy = places.y[i]! - y;
    const [along, across] = {
      left: [-dx, dy],
      right: [dx, dy],
      up: [-dy, dx],
      down: [dy, dx],
    }[direction] as [number, number];
    if (along <= 0 || Math.abs(across) > along) continue;
    // A step aside counts twice: straight rows are followed.
    const cost = along + 2 * Math.abs(across);
    if (cost < bestCost) {
      best = i;
      bestCost = cost;
    }
  }
  return best;
}

/** All places with a margin of one; null without places. */
export function extentOf(places: Places): Extent | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < places.x.length; i++) {
    left = Math.min(left, places.x[i]!);
    right = Math.max(right, places.x[i]!);
    top = Math.min(top, places.y[i]!);
    bottom = Math.max(bottom, places.y[i]!);
  }
  if (left > right) return null;
  const margin = places.size;
  return {
    x: left - margin,
    y: top - margin,
    width: right - left + 2 * margin,
    height: bottom - top + 2 * margin,
  };
}
