/**
 * The text that ships, before the compiler of the browsers (Tint), which needs no GPU for that: a device that computes nothing
 * offers the extension. Types, uniformity and every choice of overrides are checked; numbers are not.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { create } from 'webgpu';
import ceilings from '../../shaders/ceilings-matrix.wgsl?m16n16k16';
import { reflect } from '../../src/gpu/kernel.ts';
import { MATRIX_FEATURE, type MatrixUnit } from '../../src/gpu/matrix-unit.ts';
import { type MatrixProduct, matrixKernel } from '../../src/ops/matrix-kernels.ts';
import { EMULATED } from './units.ts';

/** The shapes, not the emulation: these objects have no stand-ins. */
const UNITS: readonly MatrixUnit[] = EMULATED.map((unit) => ({ ...unit }));

type Overrides = Readonly<Record<string, number>>;

/** Every choice of the flags, with each of the others. */
function choices(flags: readonly string[], others: readonly Overrides[]): Overrides[] {
  return flags.reduce<Overrides[]>(
    (made, flag) => made.flatMap((one) => [0, 1].map((value) => ({ ...one, [flag]: value }))),
    [...others],
  );
}

function tiles({ m, n }: MatrixUnit): Overrides[] {
  const small = { ROWS: 32 / m, COLUMNS: 32 / n };
  return m === 16 ? [small, { ROWS: 4, COLUMNS: 4 }] : [small];
}

/** What the host asks for. */
function pipelines(unit: MatrixUnit): [MatrixProduct, string, Overrides[]][] {
  const chunks = [1, 2, 3, 4].filter((n) => (n * 32 * 16) / (unit.m * unit.n) <= 16);
  const widths = chunks.map((CHUNKS) => ({ CHUNKS }));
  const sides = tiles(unit);
  return [
    [
      'matmul',
      'multiply',
      choices(['LEFT_BY_K', 'RIGHT_BY_COLUMN', 'VEC_A', 'VEC_B', 'BIAS'], sides),
    ],
    [
      'conv2d',
      'multiply',
      choices(
        ['BIAS'],
        sides.map((o) => ({ ...o, RIGHT_BY_COLUMN: 1 })),
      ),
    ],
    ['conv2d', 'weight_gradient', sides.map((o) => ({ ...o, LEFT_BY_K: 1, BIAS: 0 }))],
    ['attention', 'forward', widths],
    ['attention', 'gradient', widths],
  ];
}

let device: GPUDevice;
/** Lanes of the largest subgroup that this device pretends. */
let lanes = 0;

beforeAll(async () => {
  const gpu = create(['enable-dawn-features=allow_unsafe_apis', 'backend=null']);
  Reflect.set(globalThis, Symbol('kept reachable'), gpu); // collected, it would end the process
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn has no null backend any more');
  lanes = adapter.info.subgroupMaxSize ?? 0;
  const features = ['shader-f16', 'subgroups', MATRIX_FEATURE];
  device = await adapter.requestDevice({
    requiredFeatures: features.filter((f): f is GPUFeatureName => adapter.features.has(f)),
    requiredLimits: {
      maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
    },
  });
});

it('the ceiling of the benches compiles as well', async () => {
  const wrong = await problem(() => {
    device.createComputePipeline({
      layout: 'auto',
      compute: {
        module: device.createShaderModule({ code: ceilings }),
        entryPoint: 'flops',
        constants: { THREADS: lanes, HALVES: 512, FLOATS: 1024 },
      },
    });
  });
  expect(wrong).toBeNull();
});

async function problem(what: () => void): Promise<string | null> {
  device.pushErrorScope('validation');
  what();
  return (await device.popErrorScope())?.message ?? null;
}

describe.each(UNITS.map((unit) => [unit.shape, unit] as const))('the text for %s', (_, unit) => {
  it.for(pipelines(unit))('%s, %s', async ([product, entryPoint, overrides]) => {
    expect(device.features.has(MATRIX_FEATURE)).toBe(true);
    const kernel = matrixKernel(unit, product);
    expect(kernel.code).toContain('subgroupMatrixMultiplyAccumulate');
    expect(kernel.code).not.toContain('emulated_subgroup');
    const { entries, overrides: known } = reflect(kernel);
    expect([...entries.keys()]).toContain(entryPoint);
    let module: GPUShaderModule | undefined;
    const code = await problem(() => {
      module = device.createShaderModule({ code: kernel.code });
    });
    expect(code).toBeNull();
    const { messages } = await module!.getCompilationInfo();
    expect(messages.map(({ type, lineNum, message }) => `${type} ${lineNum}: ${message}`)).toEqual(
      [],
    );
    for (const choice of overrides) {
      // As little workgroup memory as this device has; the real sizes are in the emulated tests.
      const constants = { ...choice, THREADS: lanes, HALVES: 2048, FLOATS: 256 };
      for (const name of Object.keys(constants)) expect(known).toContain(name);
      const wrong = await problem(() => {
        device.createComputePipeline({
          layout: 'auto',
          compute: { module: module!, entryPoint, constants },
        });
      });
      expect(wrong, JSON.stringify(choice)).toBeNull();
    }
  });

  it('is refused where a subgroup would be cut', async () => {
    const { code } = matrixKernel(unit, 'matmul');
    const module = device.createShaderModule({ code });
    const constants = { THREADS: lanes / 2, HALVES: 2048, FLOATS: 256 };
    const wrong = await problem(() => {
      device.createComputePipeline({
        layout: 'auto',
        compute: { module, entryPoint: 'multiply', constants },
      });
    });
    expect(wrong).toContain('multiple of');
  });
});
