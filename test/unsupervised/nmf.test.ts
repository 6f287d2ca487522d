import { describe, expect, it } from 'vitest';
import { Tensor } from '../../src/tensor/tensor.ts';
import { nmf } from '../../src/unsupervised/nmf.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import golden from '../reference/unsupervised/nmf.json';

/** A product of non-negative factors, and some noise. */
function mixture(n: number, m: number, rank: number, noise: number): Float32Array {
  const random = new Random(n + m);
  const w = Array.from({ length: n * rank }, () => random.normal() ** 2);
  const h = Array.from({ length: rank * m }, () => random.normal() ** 2);
  return Float32Array.from({ length: n * m }, (_, i) => {
    let total = noise * random.uniform();
    for (let r = 0; r < rank; r++) total += w[Math.floor(i / m) * rank + r]! * h[r * m + (i % m)]!;
    return total;
  });
}

describe.each(TUNINGS)('nmf, $tuning', ({ open }) => {
  it('takes the steps of Lee and Seung in float64', async () => {
    const device = await open();
    for (const { shape, rank, v, start, iterations, w, h, errors } of golden) {
      const [n, m] = shape as [number, number];
      const data = Tensor.from(device, v, [n, m]);
      const init = {
        w: Tensor.from(device, start.w, [n, rank]),
        h: Tensor.from(device, start.h, [rank, m]),
      };
      const found = await nmf(data, rank, {
        init,
        maxIterations: iterations,
        checkEvery: 1,
        tolerance: -1,
      });
      // Rounding of up to 50 steps: measured 4e-7.
      const allowed = { relative: 5e-6, floor: 0 };
      expect(found.iterations).toBe(iterations);
      expect(difference(await found.w.floats(), w, allowed)).toBeNull();
      expect(difference(await found.h.floats(), h, allowed)).toBeNull();
      expect(
        difference(found.history.slice(1), errors, { ...allowed, elementwise: true }),
      ).toBeNull();
      expect(await init.w.floats()).toEqual(Float32Array.from(start.w));
      for (const t of [data, init.w, init.h, found.w, found.h]) t.dispose();
    }
  });

  it.each([
    [1, 1, 1],
    [31, 197, 7],
    [65, 40, 16],
  ])('of [%i, %i] and rank %i never raises the error, nor turns negative', async (n, m, rank) => {
    const device = await open();
    const v = Tensor.from(device, mixture(n, m, rank, 0.5), [n, m]);
    const { w, h, history, error } = await nmf(v, rank, {
      checkEvery: 1,
      maxIterations: 60,
      tolerance: 0,
    });
    expect(history.length).toBeGreaterThan(1);
    history.slice(1).forEach((value, i) => {
      // Up to the rounding of the products.
      expect(value).toBeLessThanOrEqual(history[i]! + 1e-6 * history[0]!);
    });
    expect(error).toBeLessThan(history[0]!);
    for (const factor of [w, h]) {
      expect((await factor.floats()).every((value) => value >= 0)).toBe(true);
      factor.dispose();
    }
    v.dispose();
  });
});

describe('nmf', () => {
  it('finds what a product was made of', async () => {
    const device = await testDevice();
    const values = mixture(40, 30, 3, 0);
    const v = Tensor.from(device, values, [40, 30]);
    const { error } = await nmf(v, 3, { maxIterations: 500, tolerance: 1e-6 });
    expect(error / Math.hypot(...values)).toBeLessThan(0.02);
    v.dispose();
  });

  it('gives the same bits for the same seed, and stops by tolerance', async () => {
    const device = await testDevice();
    const v = Tensor.from(device, mixture(31, 19, 4, 0.1), [31, 19]);
    const once = await nmf(v, 4);
    const again = await nmf(v, 4);
    const other = await nmf(v, 4, { seed: 1, maxIterations: 10 });
    expect(await again.w.floats()).toEqual(await once.w.floats());
    expect(await other.w.floats()).not.toEqual(await once.w.floats());
    const loose = await nmf(v, 4, { tolerance: 0.1, maxIterations: 1000 });
    expect(loose.iterations).toBeLessThan(1000);
    expect(loose.iterations % 10).toBe(0);
    expect(loose.history).toHaveLength(1 + loose.iterations / 10);
  });

  it('takes zero rows and columns, even nothing but zeros', async () => {
    const device = await testDevice();
    const v = Tensor.from(device, [0, 0, 0, 1, 0, 2, 3, 0, 4], [3, 3]);
    const { w, h } = await nmf(v, 2);
    for (const t of [w, h]) expect((await t.floats()).every(Number.isFinite)).toBe(true);
    const zeros = await nmf(Tensor.zeros(device, [3, 2]), 1);
    expect(zeros.error).toBe(0);
    expect([...(await zeros.w.floats())]).toEqual([0, 0, 0]);
  });

  it('says what is wrong with its input, and leaves no memory behind', async () => {
    const device = await testDevice();
    const at = (...values: number[]) => Tensor.from(device, values, [2, 2]);
    const [fine, negative, bad, infinite] = [
      at(1, 2, 3, 4),
      at(1, -2, 3, 4),
      at(1, Number.NaN, 3, 4),
      at(1, Infinity, 3, 4),
    ];
    const empty = Tensor.from(device, [], [0, 2]);
    const [column, row] = [
      Tensor.from(device, [1, 2], [2, 1]),
      Tensor.from(device, [1, -0.5], [1, 2]),
    ];
    const live = device.memory.live;
    await expectError(() => nmf(negative, 1), 'negative', /smallest is -2/);
    await expectError(() => nmf(bad, 1), 'non-finite', /a value of v is not finite/);
    await expectError(() => nmf(infinite, 1), 'non-finite', /not finite/);
    await expectError(() => nmf(fine, 3), 'option', /a rank from 1 to 2, found 3/);
    await expectError(() => nmf(empty, 1), 'shape', /not empty/);
    const init = { w: fine, h: fine };
    await expectError(() => nmf(fine, 1, { init }), 'shape', /init \[2, 1\], found \[2, 2\]/);
    await expectError(
      () => nmf(fine, 1, { init: { w: column, h: fine } }),
      'shape',
      /init \[1, 2\], found \[2, 2\]/,
    );
    await expectError(
      () => nmf(fine, 1, { init: { w: column, h: row } }),
      'negative',
      /init\.h has negative values, the smallest is -0\.5/,
    );
    const { w, h } = await nmf(fine, 2);
    w.dispose();
    h.dispose();
    expect(device.memory.live).toBe(live);
  });
});
