/**
 * `histograd doctor`: which adapter is used here and why, what it can do, whether it computes, and
 * what would be faster.
 */

import { ADVICE, FASTER, hostFacts, TOGGLES } from '#platform';
import code from '../../shaders/doctor.wgsl';
import {
  type AdapterClass,
  type AdapterRequest,
  type ChosenAdapter,
  searchAdapter,
} from './adapter.ts';
import { chooseTuning, describeTuning } from './choose-tuning.ts';
import {
  chooseMatrixUnit,
  describeConfig,
  type MatrixShape,
  matrixConfigs,
} from './matrix-unit.ts';

/** Plain data, fit for JSON. */
export interface Diagnosis {
  /** True when an adapter was found and a kernel ran on it with the right result. */
  ok: boolean;
  request: AdapterRequest;
  /** Null when nothing fits the request. */
  adapter: Omit<ChosenAdapter, 'adapter' | 'tried' | 'request'> | null;
  tried: ChosenAdapter['tried'];
  /** Which tuning the kernels run with, and why; null without an adapter. */
  tuning: string | null;
  /** Dawn's toggles that we set; none in a browser. */
  toggles: readonly string[];
  /** 'passed', or what went wrong with a small kernel; null without an adapter. */
  computeCheck: string | null;
  capabilities: {
    f16: boolean;
    /** Smallest and largest number of lanes, or null without subgroups. */
    subgroups: { min: number; max: number } | null;
    timestamps: boolean;
    /** Tensor cores: the shapes that the adapter lists, the one in use, and why that or none. */
    matrixUnit: { listed: string[]; used: MatrixShape | null; why: string };
  } | null;
  features: string[];
  /** The limits that bear on compute; sizes in bytes. */
  limits: Record<string, number>;
  /** How to get a usable adapter, or a faster one; empty when there is nothing to gain. */
  advice: string[];
  host: Record<string, string>;
}

/** Limits that decide what fits, with the words for them. */
const LIMITS = {
  maxStorageBufferBindingSize: 'largest tensor in one binding',
  maxBufferSize: 'largest buffer',
  maxStorageBuffersPerShaderStage: 'storage buffers per kernel',
  maxComputeWorkgroupStorageSize: 'workgroup memory',
  maxComputeInvocationsPerWorkgroup: 'threads per workgroup',
  maxComputeWorkgroupsPerDimension: 'workgroups per dimension',
} as const satisfies Partial<Record<keyof GPUSupportedLimits, string>>;

/**
 * Looks for an adapter as `chooseAdapter` would, and runs one small kernel on it.
 *
 * @throws HistogradError `bad-adapter-request` for an unknown name; a missing adapter is no error
 *   here but a finding (`ok: false`).
 */
export async function diagnose(request?: AdapterRequest): Promise<Diagnosis> {
  const search = await searchAdapter(request);
  const host = await hostFacts();
  if (!search.chosen) {
    return {
      ok: false,
      request: search.request,
      adapter: null,
      tried: search.tried,
      tuning: null,
      toggles: TOGGLES,
      computeCheck: null,
      capabilities: null,
      features: [],
      limits: {},
      advice: [ADVICE[search.request]],
      host,
    };
  }
  const { adapter, name, kind, class: adapterClass, why } = search.chosen;
  // Before the device is made, after which an adapter is used up.
  const features = [...adapter.features].sort();
  const limits = Object.fromEntries(Object.keys(LIMITS).map((key) => [key, limit(adapter, key)]));
  const { info } = adapter;
  const matrixUnit = chooseMatrixUnit(new Set(features), info);
  const computeCheck = await computes(adapter);
  return {
    ok: computeCheck === 'passed',
    request: search.request,
    adapter: { name, kind, class: adapterClass, why },
    tried: search.tried,
    tuning: describeTuning(await chooseTuning(search.chosen)),
    toggles: TOGGLES,
    computeCheck,
    capabilities: {
      f16: features.includes('shader-f16'),
      subgroups: features.includes('subgroups')
        ? { min: info.subgroupMinSize ?? 4, max: info.subgroupMaxSize ?? 128 }
        : null,
      timestamps: features.includes('timestamp-query'),
      matrixUnit: {
        listed: matrixConfigs(info).map(describeConfig),
        used: matrixUnit.unit?.shape ?? null,
        why: matrixUnit.why,
      },
    },
    features,
    limits,
    advice: [...FASTER[kind]],
    host,
  };
}

function limit(adapter: GPUAdapter, name: string): number {
  return Number(Reflect.get(adapter.limits, name));
}

/** A diagnosis as text for a terminal, about 30 lines. */
export function formatDiagnosis(diagnosis: Diagnosis): string {
  const { adapter, capabilities: can } = diagnosis;
  const blocks: string[] = [];
  if (adapter && can) {
    blocks.push(
      block('Adapter', [
        ['name', adapter.name],
        ['kind', adapter.kind],
        ['why', adapter.why],
        ['kernel tuning', diagnosis.tuning ?? ''],
        ['Dawn toggles', diagnosis.toggles.join('; ') || 'none of ours'],
        ['compute check', diagnosis.computeCheck ?? 'not run'],
      ]),
      block('Capabilities', [
        ['f16', can.f16 ? 'yes' : 'no (float32 only)'],
        ['subgroups', can.subgroups ? `yes, ${lanes(can.subgroups)} lanes` : 'no'],
        ['timestamps', can.timestamps ? 'yes' : 'no (kernels cannot be timed on the device)'],
        ['matrix unit', unitInWords(can.matrixUnit, adapter.class)],
      ]),
      block(
        'Limits',
        Object.entries(LIMITS).map(([key, words]) => [
          words,
          amount(key, diagnosis.limits[key] ?? Number.NaN),
        ]),
      ),
    );
  } else {
    blocks.push(`No WebGPU adapter for '${diagnosis.request}'.`);
  }
  blocks.push(
    block(
      'Tried',
      diagnosis.tried.map(({ what, result }) => [what, result]),
    ),
    block('Host', Object.entries(diagnosis.host)),
  );
  if (diagnosis.features.length > 0) blocks.push(`Features\n  ${diagnosis.features.join(' ')}`);
  if (diagnosis.advice.length > 0) {
    const title = adapter ? 'What would be faster' : 'What to do';
    blocks.push(`${title}\n${diagnosis.advice.map((line) => `  - ${line}`).join('\n')}`);
  }
  return blocks.join('\n\n');
}

function unitInWords(
  { used, why }: NonNullable<Diagnosis['capabilities']>['matrixUnit'],
  on: AdapterClass,
): string {
  if (!used) return `no: ${why}`;
  return on === 'gpu' ? `yes, ${why}` : `in software, which is slower than without: ${why}`;
}

function block(title: string, rows: [string, string][]): string {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return [title, ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)].join('\n');
}

function lanes({ min, max }: { min: number; max: number }): string {
  return min === max ? String(min) : `${min} to ${max}`;
}

function amount(name: string, value: number): string {
  if (!name.endsWith('Size')) return value.toLocaleString('en');
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(value + 1) / 10));
  return `${Number((value / 1024 ** power).toFixed(1))} ${units[power]}`;
}

/** Squares 256 numbers on the adapter and compares; turns it into a device, which uses it up. */
async function computes(adapter: GPUAdapter): Promise<string> {
  const count = 256;
  let device: GPUDevice | undefined;
  try {
    device = await adapter.requestDevice({ label: 'doctor' });
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const pipeline = device.createComputePipeline({
      layout: 'auto',
      compute: { module, entryPoint: 'squares' },
    });
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const result = device.createBuffer({ size: count * 4, usage: STORAGE | COPY_SRC });
    const copy = device.createBuffer({ size: count * 4, usage: COPY_DST | MAP_READ });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer: result } }];
    const layout = pipeline.getBindGroupLayout(0);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(count / 64);
    pass.end();
    encoder.copyBufferToBuffer(result, 0, copy, 0, count * 4);
    device.queue.submit([encoder.finish()]);
    const error = await device.popErrorScope();
    if (error) return `failed: ${error.message}`;
    await copy.mapAsync(GPUMapMode.READ);
    const numbers = new Uint32Array(copy.getMappedRange());
    const wrong = numbers.findIndex((value, index) => value !== index * index);
    return wrong < 0
      ? 'passed'
      : `failed: element ${wrong} is ${numbers[wrong]}, expected ${wrong * wrong}`;
  } catch (error) {
    return `failed: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    device?.destroy();
  }
}
