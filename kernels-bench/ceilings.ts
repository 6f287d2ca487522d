/** The rates that nothing on this adapter can exceed. */
import { max } from 'simple-statistics';
import code from '../shaders/ceilings.wgsl';
import matrix8x8 from '../shaders/ceilings-matrix.wgsl?m8n8k8';
import matrix8x8f32 from '../shaders/ceilings-matrix.wgsl?m8n8k8&float_operands';
import matrix8x16 from '../shaders/ceilings-matrix.wgsl?m8n16k16';
import matrix16x16 from '../shaders/ceilings-matrix.wgsl?m16n16k16';
import type { Device } from '../src/gpu/device.ts';
import { defineKernel } from '../src/gpu/kernel.ts';
import { elementwisePlan } from '../src/tensor/grid.ts';
import { Tensor } from '../src/tensor/tensor.ts';
import { FLOAT } from './bench.ts';

const kernel = defineKernel('ceilings', code);
const matrixKernels = {
  m16n16k16: defineKernel('ceilings-matrix', matrix16x16),
  m8n16k16: defineKernel('ceilings-matrix', matrix8x16),
  m8n8k8: defineKernel('ceilings-matrix', matrix8x8),
  'm8n8k8-f32': defineKernel('ceilings-matrix', matrix8x8f32),
};

export interface Ceilings {
  /** Float32 multiply-adds in registers, operations per second. */
  readonly flops: number;
  /** Bytes per second read plus written: the faster of a buffer copy and a copying kernel. */
  readonly bandwidth: number;
  /** Operations per second of the matrix unit, halves summed in float32; null where there is none. */
  readonly matrixFlops: number | null;
}

/** How long to look: `quick` takes a fraction of a second and little memory, and is good to about 20 %. */
interface CeilingEffort {
  readonly rounds: number;
  /** Divides the multiply-adds of a run. */
  readonly divisor: number;
  /** Floats copied in a run, where the adapter can bind so many. */
  readonly floats: number;
}

const THOROUGH: CeilingEffort = { rounds: 7, divisor: 1, floats: 2 ** 26 };
export const QUICK_CEILINGS: CeilingEffort = { rounds: 2, divisor: 16, floats: 2 ** 23 };

export async function measureCeilings(device: Device, effort = THOROUGH): Promise<Ceilings> {
  return {
    flops: await flops(device, effort),
    bandwidth: await bandwidth(device, effort),
    matrixFlops: await matrixFlops(device, effort),
  };
}

async function flops(device: Device, { divisor, rounds }: CeilingEffort): Promise<number> {
  const workgroup = device.class === 'cpu' ? 8 : 256;
  const groups = device.class === 'cpu' ? 256 : 16384;
  // 0.3 T operations on a GPU: some systems take the device away when a dispatch lasts two seconds, and slow ones do 0.2 T in one.
  const steps = (device.class === 'cpu' ? 4096 : 256) / divisor;
  const out = Tensor.empty(device, [groups * workgroup, 4]);
  const run = () =>
    device.run(kernel, 'flops', {
      buffers: { source: out.buffer, out: out.buffer },
      params: { steps, vecs: 0, seed: 0.5 },
      overrides: { WORKGROUP: workgroup },
      groups,
    });
  const best = await shortest(device, run, rounds);
  out.dispose();
  return (2 * 4 * 8 * 4 * steps * groups * workgroup) / best;
}

async function matrixFlops(device: Device, { divisor, rounds }: CeilingEffort) {
  const unit = device.matrixUnit;
  if (!unit) return null;
  const { shape, m, n, k, lanes } = unit;
  const subgroups = 4;
  const software = device.adapter.class === 'cpu';
  const groups = software ? 4 : 1024;
  const steps = (software ? 256 : 1024) / divisor;
  const out = Tensor.empty(device, [groups * subgroups, m, n]);
  const run = () =>
    device.run(matrixKernels[shape], 'flops', {
      buffers: { out: out.buffer },
      params: { steps },
      overrides: {
        THREADS: subgroups * lanes,
        HALVES: m * k + k * n,
        FLOATS: subgroups * m * n,
      },
      groups,
    });
  const best = await shortest(device, run, rounds);
  out.dispose();
  return (2 * m * n * k * 8 * steps * groups * subgroups) / best;
}

async function bandwidth(device: Device, { floats, rounds }: CeilingEffort): Promise<number> {
  const count = Math.min(floats, device.bindingBytes / FLOAT);
  const x = Tensor.zeros(device, [count]);
  const y = Tensor.empty(device, [count]);
  const copy = () => device.copy(x.buffer, y.buffer, FLOAT * count);
  const plan = elementwisePlan(device, count);
  const walk = () =>
    device.run(kernel, 'copy', {
      buffers: { source: x.buffer, out: y.buffer },
      params: { steps: 0, vecs: count / 4, seed: 0 },
      ...plan,
    });
  const best = Math.min(await shortest(device, copy, rounds), await shortest(device, walk, rounds));
  x.dispose();
  y.dispose();
  return (2 * FLOAT * count) / best;
}

/** The shortest of several runs, in seconds: a ceiling is what was reached once. */
async function shortest(device: Device, run: () => void, rounds: number): Promise<number> {
  run();
  await device.sync();
  const rates = [];
  for (let i = 0; i < rounds; i++) {
    const gpu = await device.time(run);
    const start = performance.now();
    run();
    await device.sync();
    rates.push(1000 / (performance.now() - start));
    if (gpu) rates.push(1 / gpu);
  }
  return 1 / max(rates);
}
