import { describe, expect, it } from 'vitest';
import { type ResizeMode, type ResizeOptions, resize, resizeOp } from '../../src/ops/resize.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp } from './prove.ts';

/** Keys' cubic convolution kernel with a = −0.75, as a function of the distance. */
function cubic(distance: number): number {
  const d = Math.abs(distance);
  if (d <= 1) return 1.25 * d ** 3 - 2.25 * d ** 2 + 1;
  if (d < 2) return -0.75 * (d ** 3 - 5 * d ** 2 + 8 * d - 4);
  return 0;
}

/** The weight of every pixel of an axis of n in pixel p of m: the interpolating function over the pixels, edges repeated. */
function weightsOf(p: number, n: number, m: number, factor: number | null, o: ResizeOptions) {
  const weights = new Float64Array(n);
  const ratio = factor === null ? n / m : 1 / factor;
  if ((o.mode ?? 'nearest') === 'nearest') {
    // PyTorch works the position out in float32.
    weights[Math.min(n - 1, Math.floor(Math.fround(p * Math.fround(ratio))))] = 1;
    return weights;
  }
  const middle = (p + 0.5) * ratio - 0.5;
  let at = o.alignCorners ? (m > 1 ? (p * (n - 1)) / (m - 1) : 0) : middle;
  if (o.mode === 'bilinear') at = Math.min(Math.max(at, 0), n - 1);
  for (let i = -3; i < n + 3; i++) {
    const w = o.mode === 'bilinear' ? Math.max(0, 1 - Math.abs(at - i)) : cubic(at - i);
    const edge = Math.min(Math.max(i, 0), n - 1);
    weights[edge] = weights[edge]! + w;
  }
  return weights;
}

function resized(x: Nd, options: ResizeOptions): Nd {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const { scaleFactor } = options;
  const factors = typeof scaleFactor === 'number' ? [scaleFactor, scaleFactor] : scaleFactor;
  const [oh, ow] = (options.size ?? [
    Math.floor(h * factors![0]!),
    Math.floor(w * factors![1]!),
  ]) as [number, number];
  const rows = Array.from({ length: oh }, (_, p) =>
    weightsOf(p, h, oh, factors?.[0] ?? null, options),
  );
  const columns = Array.from({ length: ow }, (_, p) =>
    weightsOf(p, w, ow, factors?.[1] ?? null, options),
  );
  return nd([n, c, oh, ow], (flat) => {
    const plane = Math.floor(flat / (oh * ow));
    const row = rows[Math.floor(flat / ow) % oh]!;
    const column = columns[flat % ow]!;
    let total = 0;
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        total += row[i]! * column[j]! * x.data[(plane * h + i) * w + j]!;
      }
    }
    return total;
  });
}

const MODES: ResizeOptions[] = [
  { mode: 'nearest' },
  { mode: 'bilinear' },
  { mode: 'bilinear', alignCorners: true },
  { mode: 'bicubic' },
  { mode: 'bicubic', alignCorners: true },
];

proveOp<ResizeOptions>({
  op: resizeOp,
  cases: MODES.flatMap((mode) => [
    { shapes: [[1, 1, 1, 1]], options: { ...mode, size: [3, 2] } },
    { shapes: [[2, 3, 7, 13]], options: { ...mode, size: [16, 5] } },
    { shapes: [[1, 3, 14, 8]], options: { ...mode, size: [1, 31] } },
    { shapes: [[1, 2, 5, 4]], options: { ...mode, scaleFactor: [2, 1.3] } },
    { shapes: [[0, 3, 4, 4]], options: { ...mode, size: [2, 2] } },
  ]),
  reference: ([x], options) => resized(x!, options),
  linearIn: [0],
  splits: [
    { shapes: [[3, 7, 8, 8]], options: { scaleFactor: 2 } },
    { shapes: [[3, 2, 16, 16]], options: { mode: 'bicubic', size: [8, 20] } },
  ],
});

describe('resize', () => {
  it('keeps a NaN near where it was', async () => {
    const values = Array.from({ length: 25 }, (_, i) => (i === 0 ? Number.NaN : 1));
    const x = Tensor.from(await testDevice(), values, [1, 1, 5, 5]);
    const found = await resize(x, { scaleFactor: 2, mode: 'bilinear' }).floats();
    expect(found[0]).toBeNaN();
    expect(found.subarray(50).every((v) => v === 1)).toBe(true);
  });

  it('says what it needs', async () => {
    const x = Tensor.zeros(await testDevice(), [1, 1, 4, 4]);
    const either = /resize: expected either size or scaleFactor/;
    await expectError(() => resize(x, {}), 'option', either);
    await expectError(() => resize(x, { size: [2, 2], scaleFactor: 2 }), 'option', either);
    await expectError(() => resize(x, { scaleFactor: 0.1 }), 'option', /at least 1 × 1/);
    await expectError(() => resize(x, { size: [2] }), 'option', either);
    await expectError(
      () => resize(x, { size: [2, 2], alignCorners: true }),
      'option',
      /alignCorners has no meaning in mode 'nearest'/,
    );
    const mode = 'area' as string as ResizeMode;
    await expectError(() => resize(x, { size: [2, 2], mode }), 'option', /no mode 'area'/);
    const flat = Tensor.zeros(await testDevice(), [4, 4]);
    await expectError(() => resize(flat, { size: [2, 2] }), 'shape', /found \[4, 4\]/);
  });
});
