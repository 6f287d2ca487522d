import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { kMeans } from '../../src/unsupervised/k-means.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import golden from '../reference/unsupervised/k-means.json';

/** Blobs of unequal size around `k` centres, all far from the origin. */
function blobs(n: number, d: number, k: number, seed: number): Float32Array {
  const random = new Random(seed);
  const centres = Array.from({ length: k * d }, () => 4 * random.normal() + 20);
  const x = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    const c = Math.min(random.integer(k), random.integer(k));
    for (let j = 0; j < d; j++) x[i * d + j] = centres[c * d + j]! + random.normal();
  }
  return x;
}

function squaredDistance(
  x: ArrayLike<number>,
  i: number,
  c: ArrayLike<number>,
  j: number,
  d: number,
) {
  let total = 0;
  for (let e = 0; e < d; e++) total += (x[i * d + e]! - c[j * d + e]!) ** 2;
  return total;
}

async function run(
  device: Device,
  x: ArrayLike<number>,
  shape: [number, number],
  k: number,
  options = {},
) {
  const data = Tensor.from(device, Float32Array.from(x), shape);
  const { centroids, ...rest } = await kMeans(data, k, options);
  const result = { ...rest, centroids: await centroids.floats() };
  centroids.dispose();
  data.dispose();
  return result;
}

describe.each(TUNINGS)('kMeans, $tuning', ({ open }) => {
  it('follows Lloyd in float64 from given centroids, empty clusters included', async () => {
    const device = await open();
    for (const one of golden) {
      const [n, d] = one.shape as [number, number];
      const init = Tensor.from(device, one.start, [one.k, d]);
      const found = await run(device, one.x, [n, d], one.k, { init, tolerance: 0 });
      init.dispose();
      expect([...found.labels]).toEqual(one.labels);
      const allowed = { relative: 1e-5, floor: 0 };
      expect(difference(found.centroids, one.centroids, allowed)).toBeNull();
      expect(Math.abs(found.inertia / one.inertia - 1)).toBeLessThan(1e-5);
    }
  });

  it.each([
    [1, 3, 1],
    [50, 1, 3],
    [301, 7, 13],
    [197, 64, 49],
    [700, 5, 2],
  ])(
    'of %i rows of %i in %i clusters gives labels, centroids and inertia that agree',
    async (n, d, k) => {
      const device = await open();
      const x = blobs(n, d, k, n);
      const { labels, centroids, inertia, history } = await run(device, x, [n, d], k, {
        tolerance: 0,
      });
      const means = new Float64Array(k * d);
      const counts = new Float64Array(k);
      let total = 0;
      for (let i = 0; i < n; i++) {
        const label = labels[i]!;
        counts[label]!++;
        for (let c = 0; c < d; c++) means[label * d + c]! += x[i * d + c]!;
        const own = squaredDistance(x, i, centroids, label, d);
        total += own;
        for (let j = 0; j < k; j++) {
          // A tie within rounding may go either way.
          expect(own).toBeLessThanOrEqual(
            squaredDistance(x, i, centroids, j, d) * (1 + 1e-4) + 1e-5,
          );
        }
      }
      expect(counts.every((count) => count > 0)).toBe(true);
      means.forEach((sum, i) => {
        means[i] = sum / counts[Math.floor(i / d)]!;
      });
      expect(difference(centroids, means, { relative: 1e-5, floor: 0 })).toBeNull();
      expect(Math.abs(inertia - total)).toBeLessThanOrEqual(1e-4 * total + 1e-5);
      history.slice(1).forEach((value, i) => {
        expect(value).toBeLessThanOrEqual(history[i]! * (1 + 1e-5));
      });
    },
  );

  it('gives the same bits for the same seed, and another start for another', async () => {
    const device = await open();
    const x = blobs(301, 7, 20, 1);
    const once = await run(device, x, [301, 7], 20, { seed: 3 });
    expect(await run(device, x, [301, 7], 20, { seed: 3 })).toEqual(once);
    const other = await run(device, x, [301, 7], 20, { seed: 4 });
    expect(other.centroids).not.toEqual(once.centroids);
    const several = await run(device, x, [301, 7], 20, { seed: 3, restarts: 4 });
    expect(several.inertia).toBeLessThanOrEqual(once.inertia);
  });
});

describe('kMeans', () => {
  it('seeds well: finds separate blobs at once', async () => {
    const centres = [0, 100, 200, 300, 400, 500, 600, 700];
    const random = new Random(1);
    const x = Array.from({ length: 400 }, (_, i) => centres[i % 8]! + random.normal());
    for (let seed = 0; seed < 5; seed++) {
      const { inertia, labels } = await run(await testDevice(), x, [400, 1], 8, {
        seed,
        maxIterations: 1,
      });
      expect(inertia).toBeLessThan(800);
      expect(new Set(labels.subarray(0, 8)).size).toBe(8);
      labels.forEach((label, i) => {
        expect(label).toBe(labels[i % 8]);
      });
    }
  });

  it('takes fewer different rows than clusters, every row at distance zero', async () => {
    const x = [1, 1, 1, 5, 5, 5];
    const { inertia, labels, centroids } = await run(await testDevice(), x, [6, 1], 4);
    expect(inertia).toBe(0);
    expect([...labels].map((label) => centroids[label])).toEqual(x);
    // Of equal centroids, the first.
    const firsts = [...labels].map((label) => centroids.indexOf(centroids[label]!));
    expect([...labels]).toEqual(firsts);
  });

  it('says what is wrong with its input, and leaves no memory behind', async () => {
    const device = await testDevice();
    const fine = Tensor.from(device, [1, 2, 3, 4, 5, 6], [3, 2]);
    const bad = Tensor.from(device, [1, 2, 3, Number.NaN, 5, 6], [3, 2]);
    const infinite = Tensor.from(device, [1, 2, 3, 4, 5, -Infinity], [3, 2]);
    const empty = Tensor.from(device, [], [0, 2]);
    const live = device.memory.live;
    await expectError(() => kMeans(fine, 4), 'option', /clusters from 1 to 3, found 4/);
    await expectError(() => kMeans(fine, 0), 'option', /found 0/);
    const options: unknown = { k: 3 };
    await expectError(
      () => kMeans(fine, options as number),
      'option',
      /found \{"k":3\}\.\n.*by itself: kMeans\(x, 3\)/,
    );
    await expectError(() => kMeans(fine, 1.5), 'option', /found 1.5/);
    await expectError(() => kMeans(bad, 2), 'non-finite', /row 1 is not finite/);
    await expectError(() => kMeans(infinite, 2), 'non-finite', /row 2 is not finite/);
    await expectError(() => kMeans(empty, 1), 'shape', /not empty, found f32 \[0, 2\]/);
    await expectError(
      () => kMeans(fine, 3, { init: bad }),
      'non-finite',
      /kMeans: a value of init is not finite/,
    );
    await expectError(
      () => kMeans(fine, 2, { init: fine }),
      'shape',
      /init \[2, 2\], found \[3, 2\]/,
    );
    (await kMeans(fine, 2, { restarts: 3 })).centroids.dispose();
    expect(device.memory.live).toBe(live);
  });
});
