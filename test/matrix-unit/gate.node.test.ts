import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChosenAdapter } from '../../src/gpu/adapter.ts';
import { Device } from '../../src/gpu/device.ts';
import { diagnose, formatDiagnosis } from '../../src/gpu/doctor.ts';
import { chooseMatrixUnit, MATRIX_FEATURE } from '../../src/gpu/matrix-unit.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';

/** Read here on its own, so that a mistake in how the engine reads it cannot hide behind itself. */
function usableShapes(info: object): string[] {
  const listed: unknown = Reflect.get(info, 'subgroupMatrixConfigs');
  const shape = ['componentType', 'resultComponentType', 'M', 'N', 'K'];
  return (Array.isArray(listed) ? listed : [])
    .map((config: object) => shape.map((name) => Reflect.get(config, name)))
    .map(([from, to, m, n, k]) => `${from}>${to} ${m}x${n}x${k}`)
    .filter((text) =>
      ['f16>f32 16x16x16', 'f16>f32 8x16x16', 'f16>f32 8x8x8', 'f32>f32 8x8x8'].includes(text),
    );
}

/** By vendor, the architectures (as Dawn names them) that have a unit with a usable shape, through Vulkan and Metal. */
const WITH_UNIT: Record<string, RegExp> = {
  nvidia: /^(?!fermi|kepler|maxwell|pascal)/,
  amd: /^rdna-[34]/,
  intel: /^xe-[23]/,
  apple: /^metal-3/,
};

/** Dawn takes Direct3D on Windows, which has none; of Turing, the GTX 16 do without. */
function mustHaveUnit({ kind, adapter: { info } }: ChosenAdapter): boolean {
  const known = WITH_UNIT[info.vendor.toLowerCase()];
  const without = process.platform === 'win32' || /GTX 16/.test(info.description + info.device);
  return kind === 'hardware' && !without && known?.test(info.architecture) === true;
}

describe('the gate to the matrix unit', () => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open();
  });
  afterAll(() => device.close());

  it('is open where the adapter lists a usable shape', async ({ skip }) => {
    const { info } = device.adapter.adapter;
    const shapes = usableShapes(info);
    // A wrong toggle would leave the list empty, too.
    if (mustHaveUnit(device.adapter)) expect(shapes).not.toEqual([]);
    if (shapes.length === 0) return skip(`${device.adapter.name} lists no usable shape`);
    expect(device.features.has(MATRIX_FEATURE)).toBe(true);
    expect(device.matrixUnit).not.toBeNull();
    const { capabilities } = await diagnose();
    expect(capabilities?.matrixUnit.used).toBe(device.matrixUnit?.shape);
  });

  it('lets products of halves through, and those only, on a GPU', async ({ skip }) => {
    const unit = device.matrixUnit;
    if (!unit) return skip(`${device.adapter.name} has no matrix unit`);
    const gpu = await Device.open({ tuning: 'gpu' });
    const compiled = spyOnPipelines(gpu.raw);
    const values = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 9) / 8 - 0.5);
    const multiply = (half: boolean) => {
      const make = half ? Tensor.half : Tensor.from;
      return scope(() => matmul(make(gpu, values, [64, 64]), make(gpu, values, [64, 64])));
    };
    const [exact, onUnit] = [multiply(false), multiply(true)];
    expect(compiled.map((label) => label.includes('matmul-matrix'))).toEqual([false, true]);
    // These values are halves: both are exact but for the order of sums.
    const [expected, found] = [await exact.floats(), await onUnit.floats()];
    found.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4);
    });
    gpu.close();
  });

  it('is explained by the doctor', async () => {
    const diagnosis = await diagnose();
    const { used, why } = diagnosis.capabilities!.matrixUnit;
    expect(why).toMatch(used ? /float32 sums/ : /does not offer|lists/);
    expect(formatDiagnosis(diagnosis)).toMatch(/matrix unit +(yes, |no: |in software)/);
  });
});

/** The labels of the pipelines that the device makes from now on. */
function spyOnPipelines(raw: GPUDevice): string[] {
  const labels: string[] = [];
  const make = raw.createComputePipeline.bind(raw);
  raw.createComputePipeline = (descriptor) => {
    labels.push(descriptor.label ?? '');
    return make(descriptor);
  };
  return labels;
}

describe('the choice of a shape', () => {
  const info = (...configs: [string, string, number, number, number][]) => {
    const listed = {
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
      subgroupMatrixConfigs: configs.map(([componentType, resultComponentType, M, N, K]) => ({
        componentType,
        resultComponentType,
        M,
        N,
        K,
      })),
    };
    return listed;
  };
  const all = new Set([MATRIX_FEATURE, 'shader-f16']);

  it('takes float16 with float32 sums, the largest first', () => {
    const listed = info(
      ['f16', 'f16', 16, 16, 16],
      ['f16', 'f32', 8, 8, 8],
      ['u8', 'u32', 16, 16, 16],
      ['f16', 'f32', 16, 16, 16],
    );
    expect(chooseMatrixUnit(all, listed).unit).toEqual({
      shape: 'm16n16k16',
      m: 16,
      n: 16,
      k: 16,
      operands: 'f16',
      lanes: 32,
    });
    expect(chooseMatrixUnit(all, info(['f16', 'f32', 8, 16, 16])).unit?.shape).toBe('m8n16k16');
    const apple = info(['f16', 'f16', 8, 8, 8], ['f32', 'f32', 8, 8, 8]);
    expect(chooseMatrixUnit(all, apple).unit?.shape).toBe('m8n8k8-f32');
  });

  it('refuses sums in float16, unknown shapes and missing features, and says why', () => {
    const halfSums = chooseMatrixUnit(all, info(['f16', 'f16', 16, 16, 16]));
    expect(halfSums.unit).toBeNull();
    expect(halfSums.why).toContain('lists 16x16x16 f16 to f16');
    expect(chooseMatrixUnit(all, info(['f16', 'f32', 64, 64, 16])).unit).toBeNull();
    expect(chooseMatrixUnit(all, info()).why).toContain('no shape');
    const usable = info(['f16', 'f32', 16, 16, 16]);
    expect(chooseMatrixUnit(new Set(['shader-f16']), usable).why).toContain(MATRIX_FEATURE);
    expect(chooseMatrixUnit(new Set([MATRIX_FEATURE]), usable).why).toContain('shader-f16');
  });
});
