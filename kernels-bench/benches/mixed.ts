/** Products of halves on GPUs (CPU rasterisers emulate them): on the matrix unit where there is one, else in the kernels for float16. */
import type { Bench } from '../bench.ts';
import { forward as attention } from './attention.ts';
import { forward as conv2d, MIDDLE } from './conv2d.ts';
import { product } from './matmul.ts';
import { HALVES } from './tensors.ts';

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
  conv2d('conv-3x3-half', 'conv 3x3 8 x 56 x 56 x 64 to 64, halves', false, MIDDLE, HALVES),
  attention('attention-half', 'attention 8 heads x 1024 x 64, forward, halves', false, HALVES),
].map((bench) => ({ ...bench, on: 'gpu' }));
