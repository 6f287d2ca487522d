import type { Device } from '../../src/gpu/device.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { type Bench, FLOAT } from '../bench.ts';
import { disposeAll, FLOATS, type Operands } from './tensors.ts';

interface Sizes {
  m: number;
  k: number;
  n: number;
  transposeA?: boolean;
  transposeB?: boolean;
}

export function product(
  id: string,
  name: string,
  quick: boolean,
  sizes: Sizes,
  { random, bytes }: Operands = FLOATS,
): Bench {
  const { m, k, n, transposeA = false, transposeB = false } = sizes;
  return {
    id,
    name,
    quick,
    prepare(device: Device) {
      const a = random(device, transposeA ? [k, m] : [m, k], 1);
      const b = random(device, transposeB ? [n, k] : [k, n], 2);
      return {
        cost: { flops: 2 * m * k * n, bytes: bytes * (m * k + k * n) + FLOAT * m * n },
        run: () => void matmul(a, b, { transposeA, transposeB }),
        dispose: () => disposeAll(a, b),
      };
    },
  };
}

/** Batch 16, width 1,024, 20,530 genes: the last layer of the bulk models. */
const HEAD = { batch: 16, width: 1024, genes: 20530 };

export const matmulBenches: readonly Bench[] = [
  product('matmul-1024', 'matmul 1024 x 1024 x 1024', true, { m: 1024, k: 1024, n: 1024 }),
  product('matmul-4096', 'matmul 4096 x 1024 x 512', false, { m: 4096, k: 1024, n: 512 }),
  product('head-forward', 'head 16 x 1024 x 20530, forward', true, {
    m: HEAD.batch,
    k: HEAD.width,
    n: HEAD.genes,
    transposeB: true,
  }),
  product('head-dx', 'head 16 x 1024 x 20530, dX', false, {
    m: HEAD.batch,
    k: HEAD.genes,
    n: HEAD.width,
  }),
  product('head-dw', 'head 16 x 1024 x 20530, dW', false, {
    m: HEAD.genes,
    k: HEAD.batch,
    n: HEAD.width,
    transposeA: true,
  }),
];
