import { describe, expect, it } from 'vitest';
import { type Upfirdn2dOptions, upfirdn2d, upfirdn2dOp } from '../../src/ops/upfirdn2d.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp } from './prove.ts';

const BLUR = [1, 3, 3, 1].map((a) => [1, 3, 3, 1].map((b) => (a * b) / 64));
const UNEVEN = [
  [1, -2, 0.5, 3],
  [0.25, 4, -1, 2],
  [-3, 0.75, 5, 1.5],
];

/** Step by step: zeros in, padding, convolution, every down-th pixel. */
function stepwise(
  x: Nd,
  { kernel, up = 1, down = 1, padding = [0, 0, 0, 0] }: Upfirdn2dOptions,
): Nd {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const [x0, x1, y0, y1] = padding as [number, number, number, number];
  const [kh, kw] = [kernel.length, kernel[0]!.length];
  const at = (plane: number, row: number, column: number) => {
    const [i, j] = [row - y0, column - x0];
    const inside = i >= 0 && j >= 0 && i < h * up && j < w * up;
    if (!inside || i % up !== 0 || j % up !== 0) return 0;
    return x.data[(plane * h + i / up) * w + j / up]!;
  };
  const oh = Math.floor((h * up + y0 + y1 - kh) / down) + 1;
  const ow = Math.floor((w * up + x0 + x1 - kw) / down) + 1;
  return nd([n, c, oh, ow], (flat) => {
    const plane = Math.floor(flat / (oh * ow));
    const [row, column] = [(Math.floor(flat / ow) % oh) * down, (flat % ow) * down];
    let total = 0;
    for (let i = 0; i < kh; i++) {
      for (let j = 0; j < kw; j++) {
        total += kernel[kh - 1 - i]![kw - 1 - j]! * at(plane, row + i, column + j);
      }
    }
    return total;
  });
}

proveOp({
  op: upfirdn2dOp,
  cases: [
    { shapes: [[1, 1, 1, 1]], options: { kernel: [[3]] } },
    { shapes: [[2, 3, 17, 13]], options: { kernel: BLUR, padding: [2, 1, 2, 1] } },
    { shapes: [[1, 2, 7, 11]], options: { kernel: BLUR, up: 2, padding: [2, 1, 2, 1] } },
    { shapes: [[1, 2, 16, 11]], options: { kernel: BLUR, down: 2, padding: [1, 1, 1, 1] } },
    { shapes: [[2, 1, 7, 5]], options: { kernel: UNEVEN, up: 3, down: 2, padding: [0, 5, -2, 1] } },
    {
      shapes: [[1, 1, 5, 9]],
      options: { kernel: UNEVEN, up: 2, down: 5, padding: [-3, -1, 4, 0] },
    },
    { shapes: [[1, 1, 4, 4]], options: { kernel: UNEVEN, up: 4, down: 3, padding: [9, 9, 7, 8] } },
    { shapes: [[0, 2, 5, 5]], options: { kernel: BLUR, padding: [1, 1, 1, 1] } },
  ] as { shapes: number[][]; options: Upfirdn2dOptions }[],
  reference: ([x], options) => stepwise(x!, options),
  linearIn: [0],
  splits: [
    { shapes: [[3, 7, 8, 8]], options: { kernel: BLUR, up: 2, padding: [2, 1, 2, 1] } },
    { shapes: [[2, 5, 16, 16]], options: { kernel: BLUR, down: 2, padding: [1, 1, 1, 1] } },
  ],
});

describe('upfirdn2d', () => {
  it('keeps a NaN within reach of the kernel', async () => {
    const values = Array.from({ length: 64 }, (_, i) => (i === 0 ? Number.NaN : 1));
    const x = Tensor.from(await testDevice(), values, [1, 1, 8, 8]);
    const found = await upfirdn2d(x, BLUR, { padding: [2, 1, 2, 1] }).floats();
    const where = [...found.keys()].filter((i) => Number.isNaN(found[i]));
    expect(where).toEqual([0, 1, 2, 8, 9, 10, 16, 17, 18]);
  });

  it('says what does not fit', async () => {
    const x = Tensor.zeros(await testDevice(), [1, 1, 2, 5]);
    await expectError(
      () => upfirdn2d(x, BLUR),
      'shape',
      /upfirdn2d: expected at least the kernel's 4 × 4 pixels after padding, found 2 × 5/,
    );
    await expectError(() => upfirdn2d(x, [[1, 2], [3]]), 'option', /a kernel of equally long rows/);
    await expectError(() => upfirdn2d(x, []), 'option', /a kernel of equally long rows/);
    await expectError(() => upfirdn2d(x, [[1]], { up: 0 }), 'option', /found 0 and 1/);
    await expectError(() => upfirdn2d(x, [[1]], { padding: [1, 1] }), 'option', /found \[1,1\]/);
    const flat = Tensor.zeros(await testDevice(), [4, 4]);
    await expectError(() => upfirdn2d(flat, [[1]]), 'shape', /found \[4, 4\]/);
  });
});
