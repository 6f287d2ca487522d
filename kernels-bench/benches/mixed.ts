/** Products of halves: on the matrix unit where the adapter has one, else in the kernels for float16. */

import type { Device } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { convert } from '../../src/tensor/convert.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';
import { type Bench, FLOAT } from '../bench.ts';
import { disposeAll, random } from './tensors.ts';

const HALF = 2;

/** Random halves that live until disposed of. */
function randomHalves(device: Device, shape: Shape, seed: number): Tensor {
  const numbers = random(device, shape, seed);
  const halves = convert(numbers, 'f16');
  numbers.dispose();
  return halves;
}

interface Sizes {
  m: number;
  k: number;
  n: number;
  transposeA?: boolean;
  transposeB?: boolean;
}

function product(id: string, name: string, quick: boolean, sizes: Sizes): Bench {
  const { m, k, n, transposeA = false, transposeB = false } = sizes;
  return {
    id,
    name,
    quick,
    prepare(device) {
      const a = randomHalves(device, transposeA ? [k, m] : [m, k], 1);
      const b = randomHalves(device, transposeB ? [n, k] : [k, n], 2);
      return {
        cost: { flops: 2 * m * k * n, bytes: HALF * (m * k + k * n) + FLOAT * m * n },
        run: () => void matmul(a, b, { transposeA, transposeB }),
        dispose: () => disposeAll(a, b),
      };
    },
  };
}

/** 3 x 3, as the second stage of ResNet18. */
function convolution(): Bench {
  const [batch, side, channels] = [8, 56, 64];
  return {
    id: 'conv-3x3-half',
    name: 'conv 3x3 8 x 56 x 56 x 64 to 64, halves',
    quick: false,
    prepare(device) {
      const x = randomHalves(device, [batch, channels, side, side], 1);
      const weight = randomHalves(device, [channels, channels, 3, 3], 2);
      const pixels = batch * side * side;
      return {
        cost: {
          flops: 2 * 9 * pixels * channels * channels,
          bytes: HALF * (x.size + weight.size) + FLOAT * pixels * channels,
        },
        run: () => void conv2d(x, weight, null, { padding: [1, 1] }),
        dispose: () => disposeAll(x, weight),
      };
    },
  };
}

function heads(): Bench {
  const [count, tokens, width] = [8, 1024, 64];
  return {
    id: 'attention-half',
    name: 'attention 8 heads x 1024 x 64, forward, halves',
    quick: false,
    prepare(device) {
      const shape = [1, count, tokens, width];
      const [q, k, v] = [1, 2, 3].map((seed) => randomHalves(device, shape, seed)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      return {
        cost: {
          flops: 4 * count * tokens * tokens * width,
          bytes: 3 * HALF * q.size + FLOAT * q.size,
        },
        run: () => void attention(q, k, v),
        dispose: () => disposeAll(q, k, v),
      };
    },
  };
}

export const mixedBenches: readonly Bench[] = [
  product('matmul-1024-half', 'matmul 1024 x 1024 x 1024, halves', true, {
    m: 1024,
    k: 1024,
    n: 1024,
  }),
  product('matmul-2048-half', 'matmul 2048 x 2048 x 2048, halves', false, {
    m: 2048,
    k: 2048,
    n: 2048,
  }),
  product('matmul-4096-nt-half', 'matmul 4096 x 1024 x 512, halves, B transposed', false, {
    m: 4096,
    k: 1024,
    n: 512,
    transposeB: true,
  }),
  product('matmul-4096-tn-half', 'matmul 1024 x 4096 x 512, halves, A transposed', false, {
    m: 1024,
    k: 4096,
    n: 512,
    transposeA: true,
  }),
  convolution(),
  heads(),
];
