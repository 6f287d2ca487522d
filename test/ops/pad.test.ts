import { describe, expect, it } from 'vitest';
import { type PadMode, type PadOptions, pad, padOp } from '../../src/ops/pad.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { moved } from './indexing.ts';
import { proveOp } from './prove.ts';

/** Walks from p towards the axis of n entries, one step at a time. */
function walk(p: number, n: number, mode: string): number {
  if (mode === 'replicate') return p < 0 ? 0 : p >= n ? n - 1 : p;
  if (mode === 'reflect') return p < 0 ? -p : p >= n ? n - 1 - (p - (n - 1)) : p;
  return p;
}

const images = [
  { shapes: [[1, 1, 7, 49]], options: { padding: [3, 3, 3, 3] } },
  { shapes: [[2, 3, 13, 5]], options: { padding: [1, 4, 0, 2] } },
  { shapes: [[3, 2, 9, 4]], options: { padding: [0, 0, 8, 5] } },
  { shapes: [[2, 5, 8]], options: { padding: [0, 0, 2, 4, 1, 0] } },
  { shapes: [[0, 2, 3, 4]], options: { padding: [1, 1, 2, 2] } },
];

proveOp<PadOptions>({
  op: padOp,
  cases: [
    ...images,
    ...images.map(({ shapes, options }) => ({ shapes, options: { ...options, mode: 'reflect' } })),
    ...images.map(({ shapes, options }) => ({
      shapes,
      options: { ...options, mode: 'replicate' },
    })),
    { shapes: [[1, 1]], options: { padding: [197, 5, 3, 0], mode: 'replicate' } },
    { shapes: [[49, 197]], options: { padding: [-10, 1, 3, -7] } },
    { shapes: [[2, 7, 7, 3]], options: { padding: [0, 0, 0, 7, 0, 7] } },
    { shapes: [[5]], options: { padding: [-2, -3] } },
    { shapes: [[0, 3]], options: { padding: [1, 1, 2, 0] } },
    { shapes: [[4, 3]], options: { padding: [] } },
  ] as { shapes: number[][]; options: PadOptions }[],
  reference: ([x], { padding, mode = 'constant', value = 0 }) => {
    const sides = x!.shape.map((_, d) => {
      const at = 2 * (x!.shape.length - 1 - d);
      return [padding[at] ?? 0, padding[at + 1] ?? 0] as const;
    });
    const shape = x!.shape.map((n, d) => n + sides[d]![0] + sides[d]![1]);
    const source = (index: number[]) =>
      index.map((i, d) => walk(i - sides[d]![0], x!.shape[d]!, mode));
    return moved(x!, shape, source, value);
  },
  linearIn: [0], // with zeros around: the cases with another value are among the goldens and below
  splits: [
    { shapes: [[49, 197]], options: { padding: [-10, 1, 3, -7], value: 2 } },
    { shapes: [[3, 5, 7, 11]], options: { padding: [1, 2, 3, 4], value: 2 } },
    { shapes: [[100, 16]], options: { padding: [8, 8], mode: 'reflect' } },
    { shapes: [[5, 24, 16]], options: { padding: [0, 0, 4, 0], mode: 'replicate' } },
  ],
});

describe('pad', () => {
  it('keeps a NaN, and copies it with the border', async () => {
    const x = Tensor.from(await testDevice(), [Number.NaN, 1, 2]);
    expect([...(await pad(x, [1, 1], { mode: 'replicate' }).floats())]).toEqual([
      Number.NaN,
      Number.NaN,
      1,
      2,
      2,
    ]);
    expect([...(await pad(x, [1, 0]).floats())]).toEqual([0, Number.NaN, 1, 2]);
  });

  it('says what does not fit', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(() => pad(x, [1]), 'option', /pad: expected whole numbers .* found \[1\]/);
    await expectError(() => pad(x, [0, 0, 0, 0, 1, 1]), 'option', /for up to 2 axes/);
    await expectError(() => pad(x, [-2, -2]), 'shape', /at most 3 cropped along axis 1/);
    await expectError(
      () => pad(x, [3, 0], { mode: 'reflect' }),
      'shape',
      /pad \(reflect\): expected borders of 0 to 2 along axis 1 of \[2, 3\], found \[3, 0\]/,
    );
    await expectError(() => pad(x, [-1, 0], { mode: 'replicate' }), 'shape', /at least 0/);
    const mode = 'circular' as string as PadMode;
    await expectError(() => pad(x, [1, 0], { mode }), 'option', /no mode 'circular'/);
  });
});
