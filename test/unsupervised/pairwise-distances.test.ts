import { describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import {
  type DistanceMetric,
  pairwiseDistances,
} from '../../src/unsupervised/pairwise-distances.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import golden from '../reference/unsupervised/distances.json';

const METRICS: DistanceMetric[] = ['sqeuclidean', 'euclidean', 'cosine'];

/** cdist in float64, as the definitions read. */
function reference(a: Float32Array, b: Float32Array, d: number, metric: DistanceMetric) {
  const out: number[] = [];
  for (let i = 0; i < a.length; i += d) {
    for (let j = 0; j < b.length; j += d) {
      let [squares, dot, aa, bb] = [0, 0, 0, 0];
      for (let c = 0; c < d; c++) {
        const [u, v] = [a[i + c]!, b[j + c]!];
        squares += (u - v) ** 2;
        dot += u * v;
        aa += u * u;
        bb += v * v;
      }
      const cosine = 1 - dot / Math.sqrt(aa) / Math.sqrt(bb);
      out.push({ sqeuclidean: squares, euclidean: Math.sqrt(squares), cosine }[metric]);
    }
  }
  return out;
}

describe.each(TUNINGS)('pairwiseDistances, $tuning', ({ open }) => {
  it('agrees with scipy', async () => {
    const device = await open();
    for (const { shapes, a, b, metric, distances } of golden) {
      const [x, y] = [Tensor.from(device, a, shapes[0]), Tensor.from(device, b, shapes[1])];
      const found = await pairwiseDistances(x, y, metric as DistanceMetric);
      const allowed = { relative: 2e-5, floor: 1e-6, elementwise: true };
      expect(difference(await found.floats(), distances, allowed), metric).toBeNull();
      for (const t of [x, y, found]) t.dispose();
    }
  });

  it.each(METRICS)('%s agrees with float64 over awkward shapes', async (metric) => {
    const device = await open();
    const random = new Random(4);
    for (const [n, m, d] of [
      [1, 1, 1],
      [7, 13, 3],
      [49, 31, 197],
      [101, 2, 8],
    ] as const) {
      // A common offset: without centring, the squares of the norms would hide the distances.
      const draw = (rows: number) =>
        Float32Array.from({ length: rows * d }, () => random.normal() + 5);
      const [a, b] = [draw(n), draw(m)];
      const [x, y] = [Tensor.from(device, a, [n, d]), Tensor.from(device, b, [m, d])];
      const found = await pairwiseDistances(x, y, metric);
      expect(found.shape).toEqual([n, m]);
      const expected = reference(a, b, d, metric);
      const allowed = { relative: 2e-5, floor: 1e-6, elementwise: true };
      expect(difference(await found.floats(), expected, allowed), `${[n, m, d]}`).toBeNull();
      for (const t of [x, y, found]) t.dispose();
    }
  });

  it('keeps its precision among near duplicates', async () => {
    const device = await open();
    const random = new Random(8);
    const d = 64;
    const base = Float32Array.from({ length: d }, () => 10 * random.normal());
    const near = Float32Array.from(base, (v) => v + 1e-3 * random.normal());
    const rows = Float32Array.from([...base, ...near, ...base.map((v) => -v)]);
    const x = Tensor.from(device, rows, [3, d]);
    for (const metric of METRICS) {
      const found = await (await pairwiseDistances(x, x, metric)).floats();
      expect([found[0], found[4], found[8]]).toEqual([0, 0, 0]);
      const exact = reference(rows, rows, d, metric)[1]!;
      // Cosine: what rounding the normalised rows leaves of a distance of 1e-8.
      expect(Math.abs(found[1]! / exact - 1), metric).toBeLessThan(
        metric === 'cosine' ? 1e-2 : 1e-5,
      );
    }
  });
});

describe('pairwiseDistances', () => {
  it('goes by blocks where a, b or the result exceed a binding', async () => {
    const device = await Device.open({ bindingBytes: 20 * 1024 });
    const random = new Random(2);
    const [n, m, d] = [203, 150, 50];
    const draw = (rows: number) => Float32Array.from({ length: rows * d }, () => random.normal());
    const [a, b] = [draw(n), draw(m)];
    const [x, y] = [Tensor.from(device, a, [n, d]), Tensor.from(device, b, [m, d])];
    for (const metric of METRICS) {
      const found = await pairwiseDistances(x, y, metric);
      const allowed = { relative: 2e-5, floor: 1e-6, elementwise: true };
      const expected = reference(a, b, d, metric);
      expect(difference(await found.floats(), expected, allowed), metric).toBeNull();
      found.dispose();
    }
    x.dispose();
    y.dispose();
    expect(device.memory.live).toBe(0);
    device.close();
  });

  it('lets extremes be, for cosine', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1e30, 0, 1e-30, 1e-30], [2, 2]);
    const found = await (await pairwiseDistances(x, x, 'cosine')).floats();
    expect(found[1]).toBeCloseTo(1 - Math.SQRT1_2, 5);
    expect(found[3]).toBe(0);
  });

  it('says what is wrong with its input', async () => {
    const device = await testDevice();
    const at = (values: number[], shape: number[]) => Tensor.from(device, values, shape);
    const fine = at([1, 2, 3, 4], [2, 2]);
    const live = device.memory.live;
    const bad = at([1, 2, Number.NaN, 4], [2, 2]);
    const run = (a: Tensor, b: Tensor, metric?: DistanceMetric) => () =>
      pairwiseDistances(a, b, metric);
    await expectError(run(fine, bad), 'non-finite', /row 1 of b is not finite/);
    await expectError(run(bad, fine, 'cosine'), 'non-finite', /row 1 of a/);
    const infinite = at([Infinity, 0], [1, 2]);
    await expectError(run(infinite, fine), 'non-finite', /row 0 of a/);
    await expectError(run(infinite, fine, 'cosine'), 'non-finite', /row 0 of a/);
    const zero = at([1, 1, 0, 0], [2, 2]);
    await expectError(run(fine, zero, 'cosine'), 'zero-row', /row 1 of b is zero/);
    const wide = at([1, 2, 3], [1, 3]);
    await expectError(
      run(fine, wide),
      'shape',
      /\[n, d\] and \[m, d\], found \[2, 2\] and \[1, 3\]/,
    );
    const empty = at([], [0, 2]);
    await expectError(run(empty, fine), 'shape', /not empty, found f32 \[0, 2\]/);
    for (const t of [bad, infinite, zero, wide, empty]) t.dispose();
    expect(device.memory.live).toBe(live);
    // Within a scope as well: only the result is left.
    const pending = scope(() => [pairwiseDistances(fine, fine)]);
    (await pending[0]!).dispose();
    expect(device.memory.live).toBe(live);
  });
});
