/** Products of halves on GPUs (CPU rasterisers emulate them): on the matrix unit where there is one, else in the kernels for float16. */

import type { Device } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { convert } from '../../src/tensor/convert.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';
import { type Bench, FLOAT } from '../bench.ts';
import { product } from './matmul.ts';
import { disposeAll, random } from './tensors.ts';

const HALF = 2;
const HALVES = { random: randomHalves, bytes: HALF };

/** Random halves that live until disposed of. */
function randomHalves(device: Device, shape: Shape, seed: number): Tensor {
  const numbers = random(device, shape, seed);
  const halves = convert(numbers, 'f16');
  numbers.dispose();
  return halves;
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
  product(
    'matmul-1024-half',
    'matmul 1024 x 1024 x 1024, halves',
    true,
    { m: 1024, k: 1024, n: 1024 },
    HALVES,
  ),
  product(
    'matmul-2048-half',
    'matmul 2048 x 2048 x 2048, halves',
    false,
    { m: 2048, k: 2048, n: 2048 },
    HALVES,
  ),
  product(
    'matmul-4096-nt-half',
    'matmul 4096 x 1024 x 512, halves, B transposed',
    false,
    { m: 4096, k: 1024, n: 512, transposeB: true },
    HALVES,
  ),
  product(
    'matmul-4096-tn-half',
    'matmul 1024 x 4096 x 512, halves, A transposed',
    false,
    { m: 1024, k: 4096, n: 512, transposeA: true },
    HALVES,
  ),
  convolution(),
  heads(),
].map((bench) => ({ ...bench, on: 'gpu' }));
