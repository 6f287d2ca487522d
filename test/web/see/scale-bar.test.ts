import { expect, test } from 'vitest';
import { scaleBar } from '../../../src/web/see/scale-bar.ts';

test.each([
  // A slide at 0.25 µm per pixel, seen at different zooms.
  [1, 0.25, '20 µm', 80],
  [0.01, 0.25, '2 mm', 80],
  [0.1, 0.5, '500 µm', 100],
  [0.05, 0.5, '1 mm', 100],
  [8, 0.25, '2 µm', 64],
  [64, 0.1, '200 nm', 128],
  [0.2, null, '500 px', 100],
])('zoom %d, %s µm per pixel: %s', (zoom, mpp, label, width) => {
  const bar = scaleBar(zoom, mpp, 140);
  expect(bar?.label).toBe(label);
  expect(bar?.width).toBeCloseTo(width, 6);
});

test('no bar where there is no scale', () => {
  expect(scaleBar(0, 0.5, 140)).toBeNull();
  expect(scaleBar(1, 0, 140)).toBeNull();
  expect(scaleBar(Number.NaN, null, 140)).toBeNull();
});
