/**
 * Devices with a matrix unit: the adapter's own, where it has one, and emulated ones everywhere that reads float16. An
 * emulated unit is the kernels' own text linked with plain WGSL in place of the unit's instructions.
 */

import attention8x8 from '../../shaders/attention-matrix.wgsl?half&m8n8k8&emulated';
import attention8x16 from '../../shaders/attention-matrix.wgsl?half&m8n16k16&emulated';
import attention16x16 from '../../shaders/attention-matrix.wgsl?half&m16n16k16&emulated';
import conv8x8 from '../../shaders/conv2d-matrix.wgsl?half&m8n8k8&emulated';
import conv8x8f32 from '../../shaders/conv2d-matrix.wgsl?half&m8n8k8&float_operands&emulated';
import conv8x16 from '../../shaders/conv2d-matrix.wgsl?half&m8n16k16&emulated';
import conv16x16 from '../../shaders/conv2d-matrix.wgsl?half&m16n16k16&emulated';
import matmul8x8 from '../../shaders/matmul-matrix.wgsl?m8n8k8&emulated';
import matmul8x8f32 from '../../shaders/matmul-matrix.wgsl?m8n8k8&float_operands&emulated';
import matmul8x16 from '../../shaders/matmul-matrix.wgsl?m8n16k16&emulated';
import matmul16x16 from '../../shaders/matmul-matrix.wgsl?m16n16k16&emulated';
import { Device } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import type { MatrixUnit } from '../../src/gpu/matrix-unit.ts';
import { standIns } from '../../src/ops/matrix-kernels.ts';

/** The lanes that emulation gives a subgroup (shared/matrix_unit.wgsl). */
const lanes = 8;

function emulated(unit: Omit<MatrixUnit, 'lanes'>, texts: Record<string, string>): MatrixUnit {
  const made = { ...unit, lanes };
  const kernels = Object.entries(texts).map(([name, text]) => {
    return [name, defineKernel(`${name}-matrix, emulated ${unit.shape}`, text)] as const;
  });
  standIns.set(made, Object.fromEntries(kernels));
  return made;
}

export const EMULATED: readonly MatrixUnit[] = [
  emulated(
    { shape: 'm16n16k16', m: 16, n: 16, k: 16, operands: 'f16' },
    { matmul: matmul16x16, conv2d: conv16x16, attention: attention16x16 },
  ),
  emulated(
    { shape: 'm8n16k16', m: 8, n: 16, k: 16, operands: 'f16' },
    { matmul: matmul8x16, conv2d: conv8x16, attention: attention8x16 },
  ),
  emulated(
    { shape: 'm8n8k8', m: 8, n: 8, k: 8, operands: 'f16' },
    { matmul: matmul8x8, conv2d: conv8x8, attention: attention8x8 },
  ),
  emulated(
    { shape: 'm8n8k8-f32', m: 8, n: 8, k: 8, operands: 'f32' },
    { matmul: matmul8x8f32, conv2d: conv8x8f32 },
  ),
];

/** A unit, under the name for tests; `null`: the adapter's own. */
export const UNITS = [
  ...EMULATED.map((unit) => [`emulated ${unit.shape}`, unit] as const),
  ["the adapter's own", null] as const,
];

/** The emulated shape of most GPUs, and the adapter's own unit. */
export const PROVEN_UNITS = [UNITS[0]!, UNITS.at(-1)!];

const devices = new Map<string, Promise<Device>>();

/** Null where there is no such unit: no float16, or none of the adapter's own. */
export async function unitDevice(unit: MatrixUnit | null, bindingBytes?: number) {
  const key = `${unit?.shape} ${bindingBytes}`;
  const opened =
    devices.get(key) ??
    Device.open({
      tuning: 'gpu',
      ...(unit && { matrixUnit: unit }),
      ...(bindingBytes && { bindingBytes }),
    });
  devices.set(key, opened);
  const device = await opened;
  return device.matrixUnit && device.features.has('shader-f16') ? device : null;
}
