import { describe, expect, it } from 'vitest';
import {
  type ConvTranspose2dOptions,
  type ConvTransposeOptions,
  convTranspose2d,
  convTranspose2dOp,
} from '../../src/ops/conv-transpose2d.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { convTranspose2dOf } from './conv-reference.ts';
import { proveOp } from './prove.ts';

const PLAIN: ConvTranspose2dOptions = {
  stride: [1, 1],
  padding: [0, 0],
  outputPadding: [0, 0],
  dilation: [1, 1],
  groups: 1,
};

function fuzz(x: Shape, weight: Shape, options: Partial<ConvTranspose2dOptions> = {}) {
  return { shapes: [x, weight], options: { ...PLAIN, ...options } };
}

proveOp({
  op: convTranspose2dOp,
  linearIn: [0, 1],
  cases: [
    fuzz([1, 1, 1, 1], [1, 1, 1, 1]),
    fuzz([2, 5, 7, 5], [5, 10, 3, 3], { stride: [2, 2] }),
    fuzz([1, 10, 5, 7], [10, 9, 4, 4], { stride: [2, 2], padding: [1, 1] }),
    fuzz([1, 3, 5, 3], [3, 9, 3, 3], { stride: [2, 2], padding: [1, 1], outputPadding: [1, 1] }),
    fuzz([1, 2, 5, 3], [2, 9, 2, 2], { stride: [3, 4], outputPadding: [2, 1] }), // gaps between windows
    fuzz([1, 2, 7, 3], [2, 9, 3, 2], { dilation: [2, 3], padding: [1, 0] }),
    fuzz([1, 2, 4, 3], [2, 9, 3, 3], { dilation: [3, 2], stride: [2, 3], padding: [2, 1] }),
    fuzz([3, 4, 3, 5], [4, 9, 3, 3], { groups: 2, stride: [1, 2] }),
    fuzz([2, 3, 5, 7], [3, 2, 4, 4], { groups: 3, stride: [2, 2], padding: [1, 1] }),
    fuzz([1, 1, 3, 2], [1, 1, 16, 16], { stride: [2, 2], padding: [7, 7] }),
    fuzz([0, 3, 5, 5], [3, 9, 3, 3], { stride: [2, 2] }),
  ],
  splits: [fuzz([6, 5, 6, 7], [5, 3, 3, 3], { stride: [2, 2] })],
  reference: convTranspose2dOf,
});

describe('conv-transpose2d', () => {
  const run = async (x: Shape, weight: Shape, options: ConvTransposeOptions = {}, bias?: Shape) => {
    const device = await testDevice();
    const zeros = (shape: Shape) => Tensor.zeros(device, shape);
    return convTranspose2d(zeros(x), zeros(weight), bias ? zeros(bias) : null, options);
  };

  it('takes numbers and pairs, as PyTorch does', async () => {
    const options = { stride: 2, padding: [1, 0], outputPadding: 1 } as const;
    expect((await run([2, 4, 5, 3], [4, 3, 3, 3], options)).shape).toEqual([2, 3, 10, 8]);
  });

  it('says which shapes and options it needs', async () => {
    await expectError(
      () => run([1, 4, 5, 5], [3, 4, 3, 3]),
      'shape',
      /expected weight \[4, O \/ 1, kH, kW\].*found \[1, 4, 5, 5\] and \[3, 4, 3, 3\]/,
    );
    await expectError(() => run([1, 4, 5, 5], [4, 2, 3, 3], {}, [3]), 'shape', /and \[3\]/);
    await expectError(
      () => run([1, 4, 1, 5], [4, 2, 3, 3], { padding: 2 }),
      'shape',
      /at least one pixel, found -1 x 3 pixels/,
    );
    await expectError(
      () => run([1, 4, 5, 5], [4, 2, 3, 3], { stride: 2, outputPadding: 2 }),
      'option',
      /outputPadding must be less than the stride.*at most \[1, 1\]\), found \[2, 2\]/,
    );
    await expectError(
      () => run([1, 4, 5, 5], [4, 2, 3, 3], { groups: 3 }),
      'option',
      /groups must divide/,
    );
    await expectError(
      () => run([1, 4, 5, 5], [4, 2, 3, 3], { stride: 1.5 }),
      'option',
      /stride must be/,
    );
  });
});
