import { describe, expect, it } from 'vitest';
import { Generator, normal, uniform } from '../../src/tensor/random.ts';
import type { Shape } from '../../src/tensor/tensor.ts';
import { testDevice, tightDevice } from '../device.ts';
import { philoxUniform } from '../ops/philox.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import { loadGolden } from '../reference/goldens.ts';

interface Fill {
  shape: Shape;
  seed: [number, number];
  offset: number;
}

describe.each(TUNINGS)('random numbers, $tuning', ({ open }) => {
  it('are those of Philox in NumPy', async () => {
    const device = await open();
    const { cases, tensor } = await loadGolden('ops', 'random');
    expect(cases.length).toBe(8);
    for (const { name, options, output } of cases) {
      const { shape, seed, offset } = options as unknown as Fill;
      const draw = name === 'normal' ? normal : uniform;
      const found = await draw(device, shape, { seed, offset }).floats();
      const { data: expected } = tensor(output);
      if (!(expected instanceof Float32Array)) throw new Error('a golden is not float32');
      if (name === 'uniform') expect(found, output).toEqual(expected);
      // WGSL allows sin and cos an absolute error of 2^-11, here times a radius of up to 5.9. Seen: 1e-6 on
      // lavapipe, 3e-4 on the SwiftShader of Chromium 156.
      else expect(difference(found, expected, { relative: 0, floor: 1e-3 }), output).toBeNull();
    }
  });
});

it('a tensor larger than one binding holds the same numbers', async () => {
  const draw = { seed: [3, 4] as const, offset: 5 };
  for (const fill of [uniform, normal]) {
    const [whole, parts] = await Promise.all(
      [await testDevice(), await tightDevice()].map((device) =>
        fill(device, [5001], draw).floats(),
      ),
    );
    expect(parts).toEqual(whole);
  }
});

describe('a draw', () => {
  it('has the range, or the mean and deviation, asked for', async () => {
    const device = await testDevice();
    const draws = new Generator(1);
    const flat = await uniform(device, [20_001], draws.next(), -3, 5).floats();
    expect(flat.every((v) => v >= -3 && v <= 5)).toBe(true);
    expect(flat.reduce((sum, v) => sum + v, 0) / flat.length).toBeCloseTo(1, 1);
    const bell = await normal(device, [20_001], draws.next(), 10, 3).floats();
    const mean = bell.reduce((sum, v) => sum + v, 0) / bell.length;
    const variance = bell.reduce((sum, v) => sum + (v - mean) ** 2, 0) / bell.length;
    expect(Math.abs(mean - 10)).toBeLessThan(0.1);
    expect(Math.abs(Math.sqrt(variance) - 3)).toBeLessThan(0.1);
  });
});

describe('Generator', () => {
  it('repeats itself from its seed, and resumes from its offset', async () => {
    const device = await testDevice();
    const read = (draws: Generator) => uniform(device, [101], draws.next()).floats();
    const generator = new Generator(42);
    const [first, second] = [await read(generator), await read(generator)];
    expect(generator.offset).toBe(2);
    expect(second).not.toEqual(first);
    expect(await read(new Generator(42))).toEqual(first);
    expect(await read(new Generator(42, 1))).toEqual(second);
    expect(await read(new Generator(43))).not.toEqual(first);
  });

  it('uses seeds beyond 32 bits', async () => {
    const draw = new Generator(2 ** 32 + 5).next();
    expect(draw).toEqual({ seed: [5, 1], offset: 0 });
    const found = await uniform(await testDevice(), [6], draw).floats();
    expect(found).toEqual(Float32Array.from(philoxUniform([5, 1], 0, 6)));
  });
});
