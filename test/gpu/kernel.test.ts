/** What the host reads from a kernel's WGSL, and how it packs parameters by it. */
import { describe, expect, it } from 'vitest';
import { defineKernel, entryPoint, packParams, reflect } from '../../src/gpu/kernel.ts';
import { expectError } from '../data/expect-error.ts';

const CODE = `
struct Params { count: u32, shift: i32, scale: f32, dims: vec3<u32>, last: f32, pair: vec2i }
override WORKGROUP: u32 = 64u;
override FLAG: bool = false;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
fn weight(i: u32) -> f32 { return w[i]; }
@compute @workgroup_size(WORKGROUP) fn plain() { out[0] = x[0]; }
@compute @workgroup_size(WORKGROUP) fn weighted() {
  if (FLAG && params.count > 0u) { out[0] = weight(0u) * x[0]; }
}`;
const kernel = defineKernel('sample', CODE);

const entryWith = (declarations: string, use: string) =>
  defineKernel('odd', `${declarations}\n@compute @workgroup_size(1) fn main() { ${use} }`);

describe('reflect', () => {
  it('finds what each entry point uses, through functions too, in binding order', () => {
    const binding = (name: string, at: number, writable = false) => ({
      name,
      binding: at,
      writable,
    });
    expect(entryPoint(kernel, 'plain')).toEqual({
      storage: [binding('x', 0), binding('out', 3, true)],
      texels: [],
      params: null,
    });
    const { storage, params } = entryPoint(kernel, 'weighted');
    expect(storage).toEqual([binding('x', 0), binding('w', 1), binding('out', 3, true)]);
    expect(params).toMatchObject({ binding: 7, bytes: 48 });
    expect([...reflect(kernel).overrides]).toEqual(['WORKGROUP', 'FLAG']);
  });

  it('refuses what the host cannot bind, by name', async () => {
    const refuse = (declarations: string, use: string, text: RegExp) => {
      const odd = entryWith(declarations, use);
      return expectError(() => reflect(odd), 'kernel-interface', text);
    };
    const out = 'var<storage, read_write> out: array<f32>;';
    await refuse(
      `@group(1) @binding(0) ${out}`,
      'out[0] = 1.0;',
      /Kernel odd: out is not in @group\(0\)/,
    );
    await refuse(
      `@group(0) @binding(0) var<uniform> options: vec4<f32>; @group(0) @binding(1) ${out}`,
      'out[0] = options.x;',
      /options is neither storage nor the uniform 'params'/,
    );
    await refuse(
      `struct P { m: mat2x2<f32> } @group(0) @binding(0) var<uniform> params: P; @group(0) @binding(1) ${out}`,
      'out[0] = params.m[0].x;',
      /params\.m has the unsupported type mat2x2/,
    );
  });
});

describe('packParams', () => {
  const values = {
    count: 0xffffffff,
    shift: -2,
    scale: 0.5,
    dims: [1, 2, 3],
    last: 4,
    pair: [-1, 7],
  };
  const pack = (given: Record<string, number | boolean | number[]>, at = 0) => {
    const view = new DataView(new ArrayBuffer(512));
    packParams(kernel, entryPoint(kernel, 'weighted').params!, given, view, at);
    return view;
  };

  it('follows the layout of the struct, at the offset asked for', () => {
    for (const at of [0, 256]) {
      const view = pack(values, at);
      const u32 = (offset: number) => view.getUint32(at + offset, true);
      expect([u32(0), view.getInt32(at + 4, true), view.getFloat32(at + 8, true)]).toEqual([
        0xffffffff, -2, 0.5,
      ]);
      expect([u32(16), u32(20), u32(24)]).toEqual([1, 2, 3]); // a vec3 is aligned to 16 bytes
      expect(view.getFloat32(at + 28, true)).toBe(4);
      expect([view.getInt32(at + 32, true), view.getInt32(at + 36, true)]).toEqual([-1, 7]);
    }
  });

  it('takes a truth value as a number', () => {
    expect(pack({ ...values, count: true }).getUint32(0, true)).toBe(1);
  });

  it('wants every field, as long as it is, and no other', async () => {
    const refuse = (given: Parameters<typeof pack>[0], text: RegExp) =>
      expectError(() => pack(given), 'kernel-interface', text);
    const { last: _, ...short } = values;
    await refuse(short, /Kernel sample: parameter last was not given/);
    await refuse({ ...values, dims: [1, 2] }, /parameter dims takes 3 numbers, got 2/);
    await refuse({ ...values, dims: 5 }, /parameter dims takes 3 numbers, got 1/);
    await refuse({ ...values, a: 1, b: 2 }, /unknown parameter a, b/);
  });
});
