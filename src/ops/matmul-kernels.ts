/** Which matmul kernel runs where: the products themselves, outside the tape. */
import rowsCode from '../../shaders/matmul-rows.wgsl';
import subgroupCode from '../../shaders/matmul-subgroup.wgsl';
import tiledCode from '../../shaders/matmul-tiled.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Tensor } from '../tensor/tensor.ts';

const KERNELS = {
  subgroup: defineKernel('matmul-subgroup', subgroupCode),
  tiled: defineKernel('matmul-tiled', tiledCode),
  rows: defineKernel('matmul-rows', rowsCode),
};

export type MatmulKernel = keyof typeof KERNELS;

export interface Product {
  batch: number;
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
}

/** The kernel for a product on this adapter. */
export function chooseMatmul(device: Device, m: number): MatmulKernel {
  if (device.class === 'gpu') return m <= 8 ? 'rows' : 'tiled';
  const shuffles = device.subgroupSize === 4 || device.subgroupSize === 8;
  return shuffles && m > 8 ? 'subgroup' : 'rows';
}

interface Grid {
  overrides: Record<string, number | boolean>;
  groups: readonly [number, number, number];
}

const grids: Record<MatmulKernel, (device: Device, product: Product) => Grid> = {
  subgroup({ subgroupSize: LANES }, { batch, m, n, k, transposeA, transposeB }) {
    const VEC_A = (transposeA ? m : k) % 4 === 0;
    const VEC_B = (transposeB ? k : n) % 4 === 0;
    const tile = 4 * LANES;
    return {
      overrides: { LANES, VEC_A, VEC_B },
      groups: [Math.ceil(n / tile), Math.ceil(m / tile), batch],
    };
  },
  tiled: (_, { batch, m, n }) => ({
    overrides: {},
    groups: [Math.ceil(n / 64), Math.ceil(m / 64), batch],
  }),
  rows(device, { batch, m, n }) {
    const WORKGROUP = device.class === 'cpu' ? 8 : 64;
    return {
      overrides: { WORKGROUP },
      groups: [Math.ceil(n / (4 * WORKGROUP)), Math.ceil(m / 8), batch],
    };
  },
};

/** out = op(a) op(b) (+ bias); the caller has checked the shapes. */
export function multiplyInto(
  a: Tensor,
  b: Tensor,
  bias: Tensor | null,
  out: Tensor,
  product: Product,
  choice: MatmulKernel = chooseMatmul(a.device, product.m),
): void {
  const { m, n, k, transposeA, transposeB } = product;
  const { device } = a;
  const flags = { TRANS_A: transposeA, TRANS_B: transposeB, BIAS: bias !== null };
  const grid = grids[choice](device, product);
  device.run(KERNELS[choice], 'multiply', {
    buffers: {
      a: a.buffer,
      a4: a.buffer,
      b: b.buffer,
      b4: b.buffer,
      bias: (bias ?? b).buffer,
      c: out.buffer,
    },
    params: { m, n, k, a_batch: m * k, b_batch: k * n },
    overrides: { ...flags, ...grid.overrides },
    groups: grid.groups,
  });
}
