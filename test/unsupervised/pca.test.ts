import { describe, expect, it } from 'vitest';
import { Tensor } from '../../src/tensor/tensor.ts';
import { pca } from '../../src/unsupervised/pca.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { dot, Random } from '../ops/nd.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import golden from '../reference/unsupervised/pca.json';

/** Rows whose variance along axis j of some rotation falls as 0.8^j, far from the origin. */
function sample(n: number, d: number, seed: number): Float32Array {
  const random = new Random(seed);
  const mixing = Array.from({ length: d * d }, () => random.normal());
  const x = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    const z = Array.from({ length: d }, (_, j) => 0.8 ** j * random.normal());
    for (let c = 0; c < d; c++) {
      x[i * d + c] = 10 + z.reduce((total, v, j) => total + v * mixing[j * d + c]!, 0);
    }
  }
  return x;
}

function orthonormality(components: Float32Array, d: number): number {
  const rows = Array.from({ length: components.length / d }, (_, r) =>
    components.subarray(r * d, (r + 1) * d),
  );
  return Math.max(
    ...rows.flatMap((a, i) => rows.map((b, j) => Math.abs(dot(a, b) - (i === j ? 1 : 0)))),
  );
}

describe.each(TUNINGS)('pca, $tuning', ({ open }) => {
  it('agrees with the singular value decomposition of numpy', async () => {
    const device = await open();
    for (const one of golden) {
      const [n, d] = one.shape as [number, number];
      const x = Tensor.from(device, one.x, [n, d]);
      const found = await pca(x, one.k);
      // Directions of close singular values turn with rounding: measured 2e-7.
      const allowed = { relative: 2e-6, floor: 0 };
      const of = async (t: Tensor) => t.floats();
      const check = (name: string, values: ArrayLike<number>, expected: number[]) =>
        expect(difference(values, expected, allowed), `${name} of [${n}, ${d}]`).toBeNull();
      check('mean', await of(found.mean), one.mean);
      check('components', await of(found.components), one.components);
      check('singular values', found.singularValues, one.singularValues);
      check('variance', found.explainedVariance, one.explainedVariance);
      check('ratio', found.explainedVarianceRatio, one.explainedVarianceRatio);
      const transformed = found.transform(x);
      check('transform', await of(transformed), one.transformed);
      for (const t of [x, transformed]) t.dispose();
      found.dispose();
    }
  });

  it('by subspace iteration gives orthonormal components along which the variances are', async () => {
    const device = await open();
    const [n, d, k] = [197, 49, 6];
    const x = Tensor.from(device, sample(n, d, 1), [n, d]);
    const few = await pca(x, k);
    const all = await pca(x, d);
    expect(orthonormality(await few.components.floats(), d)).toBeLessThan(1e-6);
    expect(orthonormality(await all.components.floats(), d)).toBeLessThan(1e-6);
    // The exact ones: all of them are carried along.
    const exact = all.explainedVariance.slice(0, k);
    expect(difference(few.explainedVariance, exact, { relative: 1e-5, floor: 0 })).toBeNull();
    expect(all.explainedVarianceRatio.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    const scores = few.transform(x);
    const values = await scores.floats();
    for (let c = 0; c < k; c++) {
      const column = Array.from({ length: n }, (_, i) => values[i * k + c]!);
      expect(column.reduce((a, b) => a + b, 0) / n).toBeCloseTo(0, 3);
      expect(dot(column, column) / (n - 1) / few.explainedVariance[c]!).toBeCloseTo(1, 4);
    }
    const axes = await few.components.floats();
    for (let c = 0; c < k; c++) {
      const axis = [...axes.subarray(c * d, (c + 1) * d)];
      expect(Math.max(...axis)).toBe(Math.max(...axis.map(Math.abs)));
    }
    expect(await (await pca(x, k)).components.floats()).toEqual(axes);
    x.dispose();
  });
});

describe('pca', () => {
  it('of rows on a line, or all equal, completes the components', async () => {
    const device = await testDevice();
    const line = Tensor.from(device, [1, 2, 2, 4, 3, 6, 4, 8], [4, 2]);
    const found = await pca(line, 2);
    const [ax, ay] = await found.components.floats();
    expect(ax).toBeCloseTo(1 / Math.sqrt(5), 5);
    expect(ay).toBeCloseTo(2 / Math.sqrt(5), 5);
    expect(found.explainedVarianceRatio[0]).toBeCloseTo(1, 5);
    expect(found.singularValues[1]).toBeLessThan(1e-4);
    expect(orthonormality(await found.components.floats(), 2)).toBeLessThan(1e-6);
    const equal = await pca(Tensor.from(device, [7, 7, 7, 7, 7, 7], [2, 3]), 2);
    expect([...equal.explainedVariance, ...equal.explainedVarianceRatio]).toEqual([0, 0, 0, 0]);
    expect(orthonormality(await equal.components.floats(), 3)).toBeLessThan(1e-6);
  });

  it('says what is wrong with its input, and leaves no memory behind', async () => {
    const device = await testDevice();
    const fine = Tensor.from(device, [1, 2, 3, 4, 5, 7], [3, 2]);
    const bad = Tensor.from(device, [1, 2, 3, 4, Number.NaN, 6], [3, 2]);
    const wide = Tensor.from(device, [1, 2, 3], [1, 3]);
    const empty = Tensor.from(device, [], [0, 2]);
    const live = device.memory.live;
    await expectError(() => pca(fine, 3), 'option', /components from 1 to 2, found 3/);
    await expectError(() => pca(bad, 1), 'non-finite', /row 2 is not finite/);
    await expectError(() => pca(empty, 1), 'shape', /not empty/);
    const found = await pca(fine, 1);
    await expectError(() => found.transform(wide), 'shape', /\[m, 2\], found \[1, 3\]/);
    found.transform(fine).dispose();
    found.dispose();
    expect(device.memory.live).toBe(live);
  });
});
