import { describe, expect, test } from 'vitest';
import {
  type ColourMap,
  colourTable,
  NO_VALUE_COLOUR,
  SEQUENTIAL_MAPS,
  STEPS,
} from '../../../src/web/see/colour-maps.ts';

/** CIE lightness L* (0 to 100) of an sRGB colour. */
function lightness(colour: string): number {
  const [r, g, b] = colour.match(/\d+/g)!.map((channel) => {
    const value = Number(channel) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const y = 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

const lightnesses = (map: ColourMap): number[] => colourTable(map).slice(0, STEPS).map(lightness);

describe('colour maps', () => {
  test.each(SEQUENTIAL_MAPS)('%s grows lighter evenly, so that equal steps look equal', (map) => {
    const light = lightnesses(map);
    const slope = (light[STEPS - 1]! - light[0]!) / (STEPS - 1);
    expect(slope).toBeGreaterThan(0.25);
    for (const [i, value] of light.entries()) {
      // Uniform in CAM02-UCS, whose lightness is not quite L*.
      expect(Math.abs(value - (light[0]! + slope * i))).toBeLessThan(6);
      if (i >= 8) expect(value).toBeGreaterThan(light[i - 8]!);
    }
  });

  test('the map of differences is lightest in the middle and alike on both sides', () => {
    const light = lightnesses('blue-red');
    expect(Math.max(...light)).toBeGreaterThan(94);
    expect(Math.abs(light.indexOf(Math.max(...light)) - STEPS / 2)).toBeLessThan(10);
    for (let i = 0; i < STEPS / 2; i++) {
      expect(Math.abs(light[i]! - light[STEPS - 1 - i]!)).toBeLessThan(12);
    }
  });

  test('the ends are the published ones, and no value has a colour of its own', () => {
    expect(colourTable('viridis')[0]).toBe('rgb(68, 1, 84)');
    expect(colourTable('viridis')[STEPS - 1]).toBe('rgb(253, 231, 37)');
    expect(colourTable('magma')[STEPS]).toBe(NO_VALUE_COLOUR);
  });
});
