import { describe, it } from 'vitest';
import { softClipLoss } from '../../src/ops/clip-loss.ts';
import type { Op } from '../../src/ops/op.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { softCrossEntropies } from './nd-losses.ts';
import { proveOp } from './prove.ts';

const softClipOp: Op<{ temperature: number }> = {
  name: 'soft-clip',
  apply: ([images, spots], { temperature }) => softClipLoss(images!, spots!, temperature),
};

/** a bᵀ / by. */
function products(a: Nd, b: Nd, by: number): Nd {
  const [n, d] = a.shape as [number, number];
  return nd([n, n], (at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let total = 0;
    for (let k = 0; k < d; k++) total += a.data[i * d + k]! * b.data[j * d + k]!;
    return total / by;
  });
}

function transposed({ shape, data }: Nd): Nd {
  const n = shape[0]!;
  return nd(shape, (at) => data[(at % n) * n + Math.floor(at / n)]!);
}

proveOp({
  op: softClipOp,
  cases: [
    { shape: [1, 1], temperature: 1 },
    { shape: [13, 7], temperature: 1 },
    { shape: [49, 31], temperature: 3 },
    { shape: [5, 197], temperature: 20 },
  ].map(({ shape, temperature }) => ({ shapes: [shape, shape], options: { temperature } })),
  reference: ([images, spots], { temperature }) => {
    const n = images!.shape[0]!;
    const logits = products(spots!, images!, temperature);
    const own = products(images!, images!, 2 * temperature);
    const other = products(spots!, spots!, 2 * temperature);
    const alike = nd([n, n], (i) => own.data[i]! + other.data[i]!);
    const targets = nd([n, n], (at) => {
      const row = alike.data.subarray(n * Math.floor(at / n), n * (Math.floor(at / n) + 1));
      return 1 / row.reduce((t, v) => t + Math.exp(v - alike.data[at]!), 0);
    });
    const rows = softCrossEntropies(logits, targets);
    const columns = softCrossEntropies(transposed(logits), transposed(targets));
    return nd([], () => [...rows, ...columns].reduce((t, v) => t + v, 0) / (2 * n));
  },
});

describe('soft-clip', () => {
  it('needs two matrices of one shape', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [5, 3])];
    await expectError(() => softClipLoss(a, a, -1), 'option', /above 0, found -1/);
    await expectError(() => softClipLoss(a, b), 'shape', /soft-clip: .*\[4, 3\] and \[5, 3\]/);
  });
});
