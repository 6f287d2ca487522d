/** What a submission may hold, and what products say that they take. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { SubmissionLimit, workOf } from '../../src/gpu/submission-limit.ts';
import { attention } from '../../src/ops/attention.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';

describe('SubmissionLimit', () => {
  it('keeps GPUs from their watchdogs, whatever the first dispatch does', () => {
    const limit = new SubmissionLimit('gpu', {});
    expect(limit.fits(1e12)).toBe(true);
    limit.add(9e10);
    expect([limit.fits(1e10), limit.fits(2e10)]).toEqual([true, false]);
    limit.reset();
    expect(limit.fits(2e10)).toBe(true);
  });

  it('is none on CPU adapters, unless asked for', () => {
    const none = new SubmissionLimit('cpu', {});
    none.add(1e15);
    expect(none.fits(1e15)).toBe(true);
    const two = new SubmissionLimit('cpu', { dispatchesPerSubmission: 2 });
    two.add(0);
    expect(two.fits(0)).toBe(true);
    two.add(0);
    expect(two.fits(0)).toBe(false);
  });

  it('counts operations, or bytes where those take longer', () => {
    expect([workOf(100, 10), workOf(10, 10)]).toEqual([100, 40]);
  });
});

// What they bind would let 3 of them into one submission.
it.each<[string, Shape[], number, (...x: Tensor[]) => Tensor]>([
  [
    'matmul',
    [
      [256, 256],
      [256, 256],
    ],
    2 * 256 ** 3,
    (x, y) => matmul(x!, y!),
  ],
  [
    'conv2d',
    [
      [1, 32, 16, 16],
      [32, 32, 3, 3],
    ],
    2 * 256 * 32 * 32 * 9,
    (x, w) => conv2d(x!, w!, null, { padding: 1 }),
  ],
  ['attention', [[1, 1, 512, 32]], 2 * 512 * 512 * 64, (x) => attention(x!, x!, x!)],
])('%s counts by its operations', async (_, shapes, flops, run) => {
  const device = await Device.open({ workPerSubmission: 1.5 * flops });
  const inputs = shapes.map((shape) => Tensor.zeros(device, shape));
  const submissions = () => device.counts.submissions;
  scope(() => void run(...inputs));
  expect(submissions()).toBe(0);
  scope(() => void run(...inputs));
  expect(submissions()).toBe(1);
  device.close();
});
