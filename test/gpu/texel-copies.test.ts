import { beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { defineKernel, reflect } from '../../src/gpu/kernel.ts';
import { affine } from '../../src/ops/unary.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

/** With shaders/shared/texels.wgsl written out. */
const KERNEL = defineKernel(
  'texel-copies',
  `struct Params { count: u32 }
@group(0) @binding(0) var a_texels: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var b_texels: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;
@compute @workgroup_size(8)
fn combine(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.count) { return; }
  let place = vec2<u32>(id.x % 256u, id.x / 256u);
  out[id.x] = textureLoad(a_texels, place) + 2.0 * textureLoad(b_texels, place);
}`,
);

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

function numbers(count: number, first: number): Tensor {
  return Tensor.from(
    device,
    Float32Array.from({ length: count }, (_, i) => first + i),
    [count],
  );
}

/** a + 2 b, both read as textures. */
function combine(a: Tensor, b: Tensor, out = Tensor.empty(device, a.shape)): Tensor {
  device.run(KERNEL, 'combine', {
    buffers: { out: out.buffer },
    texels: { a_texels: a.buffer, b_texels: b.buffer },
    params: { count: a.size / 4 },
    groups: Math.ceil(a.size / 4 / 8),
  });
  return out;
}

describe('operands that are copied to textures', () => {
  it('are found by the reflection, apart from buffers', () => {
    const { storage, texels } = reflect(KERNEL).entries.get('combine')!;
    expect(storage.map(({ name }) => name)).toEqual(['out']);
    expect(texels.map(({ name }) => name)).toEqual(['a_texels', 'b_texels']);
  });

  // A vec4, a part of a row of the texture, a row, and several with a part.
  it.each([4, 52, 1024, 1028, 21_004])('arrive whole: %i numbers', async (count) => {
    const [a, b] = [numbers(count, 1), numbers(count, 7)];
    const found = await combine(a, b).data();
    expect(found).toEqual(Float32Array.from({ length: count }, (_, i) => 1 + i + 2 * (7 + i)));
  });

  it('may begin anywhere in a buffer', async () => {
    const a = numbers(4096, 0);
    const out = Tensor.empty(device, [1200]);
    device.run(KERNEL, 'combine', {
      buffers: { out: out.buffer },
      texels: {
        a_texels: { buffer: a.buffer, offset: 4 * 64, bytes: 4 * 1200 },
        b_texels: { buffer: a.buffer, offset: 4 * 1280, bytes: 4 * 1200 },
      },
      params: { count: 300 },
      groups: 38,
    });
    expect(await out.data()).toEqual(
      Float32Array.from({ length: 1200 }, (_, i) => 64 + i + 2 * (1280 + i)),
    );
  });

  it('are copied as they are when the dispatch comes, not before', async () => {
    const a = numbers(2000, 1);
    const once = combine(a, a);
    const twice = combine(once, once);
    expect((await once.data())[5]).toBe(18);
    expect((await twice.data())[5]).toBe(54);
  });

  it('are copied again by replays', async () => {
    const step = new CapturedStep(device, ({ x }: { x: Tensor }) => ({ y: combine(x, x) }));
    for (let i = 0; i < 5; i++) {
      const x = numbers(64, i);
      const y = scope(() => step.run({ x }).y.view([64]));
      expect((await y.data())[3]).toBe(3 * (i + 3));
      y.dispose();
      x.dispose();
    }
    step.dispose();
  });

  it('are copied whole by replays, also where their buffer served a smaller tensor since', async () => {
    // Both sizes are of one class, so that the second tensor takes the buffer of the first.
    const [long, short] = [2000, 1930];
    const step = new CapturedStep(device, ({ x, z }: { x: Tensor; z: Tensor }) => {
      const a = affine(x, 1);
      const y = combine(a, a);
      a.dispose();
      affine(z, 1).dispose();
      return { y };
    });
    const z = numbers(short, 0);
    for (let i = 0; i < 6; i++) {
      const x = numbers(long, 10 * i);
      const y = scope(() => step.run({ x, z }).y.view([long]));
      expect((await y.data())[long - 1]).toBe(3 * (10 * i + long - 1));
      y.dispose();
      x.dispose();
    }
    step.dispose();
  });

  it('leave textures that are kept, and counted', async () => {
    const [a, b, out] = [1, 2, 3].map((first) => numbers(4000, first));
    combine(a!, b!, out);
    const { memory } = device;
    expect(memory.pooled).toBeGreaterThanOrEqual(2 * 4 * 4000);
    combine(a!, b!, out);
    expect(device.memory).toEqual(memory);
    await device.sync();
  });

  it('must be given', async () => {
    const out = Tensor.empty(device, [4]);
    await expectError(
      async () =>
        device.run(KERNEL, 'combine', {
          buffers: { out: out.buffer },
          texels: { a_texels: out.buffer },
          params: { count: 1 },
          groups: 1,
        }),
      'kernel-interface',
      /b_texels/,
    );
  });
});
