/** float16 and float32 into each other on the host: every half, and every kind of float32. */
import { describe, expect, it } from 'vitest';
import { float16ToFloat32, float32ToFloat16 } from '../src/half.ts';
import { awkward, halfTable, roundedToHalf } from './halves.ts';

describe('halves', () => {
  it('are the numbers that IEEE 754 says, all 65,536 of them', () => {
    const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const values = float16ToFloat32(bits);
    expect(values).toEqual(halfTable());
    const numbers = bits.filter((_, i) => !Number.isNaN(values[i]));
    expect(numbers.length).toBe(65_536 - 2 * 1023);
    expect(float32ToFloat16(values.filter((v) => !Number.isNaN(v)))).toEqual(numbers);
    expect([...new Set(float32ToFloat16(values.filter(Number.isNaN)))]).toEqual([0x7e00]);
  });

  it('are what float32 values are rounded to: to nearest, ties to even, infinite beyond', () => {
    const values = awkward();
    const expected = values.map(roundedToHalf);
    expect(float16ToFloat32(float32ToFloat16(values))).toEqual(expected);
    expect(expected.filter((v) => v === Infinity).length).toBeGreaterThan(10);
    expect(expected.filter((v) => v === 0).length).toBeGreaterThan(10);
  });
});
