/**
 * Products on the matrix unit (tensor cores): the kernels' text for each shape of unit, and how a product is cut for one.
 * WGSL wants the shape as constants, so that every shape is a text of its own.
 */

import attention8x8 from '../../shaders/attention-matrix.wgsl?half&m8n8k8';
import attention8x8f32 from '../../shaders/attention-matrix.wgsl?half&m8n8k8&float_operands';
import attention8x16 from '../../shaders/attention-matrix.wgsl?half&m8n16k16';
import attention16x16 from '../../shaders/attention-matrix.wgsl?half&m16n16k16';
import conv8x8 from '../../shaders/conv2d-matrix.wgsl?half&m8n8k8';
import conv8x8f32 from '../../shaders/conv2d-matrix.wgsl?half&m8n8k8&float_operands';
import conv8x16 from '../../shaders/conv2d-matrix.wgsl?half&m8n16k16';
import conv16x16 from '../../shaders/conv2d-matrix.wgsl?half&m16n16k16';
import matmul8x8 from '../../shaders/matmul-matrix.wgsl?m8n8k8';
import matmul8x8f32 from '../../shaders/matmul-matrix.wgsl?m8n8k8&float_operands';
import matmul8x16 from '../../shaders/matmul-matrix.wgsl?m8n16k16';
import matmul16x16 from '../../shaders/matmul-matrix.wgsl?m16n16k16';
import type { Device } from '../gpu/device.ts';
import { defineKernel, type Kernel } from '../gpu/kernel.ts';
import type { MatrixShape, MatrixUnit } from '../gpu/matrix-unit.ts';

/** The products that there are such kernels for. */
export type MatrixProduct = 'matmul' | 'conv2d' | 'attention';

function kernels(shape: MatrixShape, matmul: string, conv2d: string, attention: string) {
  return {
    matmul: defineKernel(`matmul-matrix, ${shape}`, matmul),
    conv2d: defineKernel(`conv2d-matrix, ${shape}`, conv2d),
    attention: defineKernel(`attention-matrix, ${shape}`, attention),
  };
}

const KERNELS: Readonly<Record<MatrixShape, Readonly<Record<MatrixProduct, Kernel>>>> = {
  m16n16k16: kernels('m16n16k16', matmul16x16, conv16x16, attention16x16),
  m8n16k16: kernels('m8n16k16', matmul8x16, conv8x16, attention8x16),
  m8n8k8: kernels('m8n8k8', matmul8x8, conv8x8, attention8x8),
  'm8n8k8-f32': kernels('m8n8k8-f32', matmul8x8f32, conv8x8f32, attention8x8f32),
};

/** Kernels for units that no adapter has: tests put emulated ones here. */
export const standIns = new WeakMap<MatrixUnit, Readonly<Record<string, Kernel>>>();

export function matrixKernel(unit: MatrixUnit, product: MatrixProduct): Kernel {
  return standIns.get(unit)?.[product] ?? KERNELS[unit.shape][product];
}

/** Subgroups of a workgroup (GROUPS), steps of K staged at once (SLICE) and their padding (PAD). */
const GROUPS = 4;
const SLICE = 32;
const PAD = 8;

/** How a workgroup shares a product. */
export interface MatrixTile {
  readonly kernel: Kernel;
  readonly overrides: Record<string, number>;
  /** Columns and rows of the result that a workgroup computes. */
  readonly tile: readonly [columns: number, rows: number];
}

/** Workgroups from which on large tiles keep a GPU busy. */
const ENOUGH_GROUPS = 128;

/** The overrides of a kernel with that much workgroup memory; null where the device has no room for it. */
function sizesOf(device: Device, unit: MatrixUnit, halves: number, floats: number) {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.limits;
  const threads = GROUPS * unit.lanes;
  const bytes = halves * (unit.operands === 'f32' ? 4 : 2) + 4 * floats;
  const fits =
    bytes <= maxComputeWorkgroupStorageSize && threads <= maxComputeInvocationsPerWorkgroup;
  return fits ? { THREADS: threads, HALVES: halves, FLOATS: floats } : null;
}

/** The tile of 2 x 2 subgroups with that many result matrices each; null where the device has no room for it. */
function tileOf(device: Device, unit: MatrixUnit, rows: number, columns: number) {
  const { m, n } = unit;
  const tile = [2 * columns * n, 2 * rows * m] as const;
  const halves = (tile[0] + tile[1]) * (SLICE + PAD);
  const floats = GROUPS * m * n;
  const overrides = sizesOf(device, unit, halves, floats);
  return overrides && { overrides: { ...overrides, ROWS: rows, COLUMNS: columns }, tile };
}

/**
 * How a product of [m, k] and [k, n] runs on the matrix unit; null where there is none, or too little to do for it: a product
 * of few rows or columns reads as much as it computes, and the other kernels read as fast.
 */
export function matrixTile(
  device: Device,
  product: MatrixProduct,
  { m, n, batch }: { m: number; n: number; batch: number },
): MatrixTile | null {
  const unit = device.matrixUnit;
  if (!unit || device.class !== 'gpu' || Math.min(m, n) <= 8) return null;
  // 64 x 64 of each subgroup's own reads half as much per multiplication as 32 x 32, where registers have room for it.
  const large = unit.m === 16 ? tileOf(device, unit, 4, 4) : null;
  const small = tileOf(device, unit, 32 / unit.m, 32 / unit.n);
  const groups = large ? batch * Math.ceil(m / large.tile[1]) * Math.ceil(n / large.tile[0]) : 0;
  const cut = groups >= ENOUGH_GROUPS ? large : small;
  return cut && { kernel: matrixKernel(unit, product), ...cut };
}

/** Result matrices that a subgroup of attention-matrix.wgsl has for its 16 rows of the output (Outputs). */
const MOST_OUTPUTS = 16;

/**
 * How attention with an output of that width runs on the matrix unit: rows and vec4s of the output to a workgroup; null where there
 * is none, or no room for it.
 */
export function matrixAttention(device: Device, width: number) {
  const unit = device.matrixUnit;
  if (!unit || device.class !== 'gpu') return null;
  const most = Math.min(4, Math.floor((MOST_OUTPUTS * unit.m * unit.n) / 16 / 32));
  for (let chunks = Math.min(most, Math.ceil(width / 32)); chunks > 0; chunks--) {
    const overrides = sizesOf(device, unit, 2560 + 32 * (32 * chunks + PAD), 4608);
    if (overrides) {
      const kernel = matrixKernel(unit, 'attention');
      return { kernel, overrides: { ...overrides, CHUNKS: chunks }, rows: 64, width4: 8 * chunks };
    }
  }
  return null;
}
