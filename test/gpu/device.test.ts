/** The device: recording, parameters, readback, errors, loss, memory. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { ParameterRing } from '../../src/gpu/parameter-ring.ts';
import { segmentSum } from '../../src/ops/segment.ts';
import { affine, relu, square } from '../../src/ops/unary.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const CODE = `
struct Params { factor: f32, count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
override BIAS: f32 = 0.0;
@compute @workgroup_size(8) fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) { out[id.x] = x[id.x] * params.factor + BIAS; }
}`;
const kernel = defineKernel('scale', CODE);

/** Shows whether all were done, in their order. */
const chain = defineKernel(
  'chain',
  `
struct Params { value: u32 }
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(1) fn next() { out[0] = out[0] * 31u + params.value; }`,
);

async function setUp(values: readonly number[]) {
  const device = await testDevice();
  const x = Tensor.from(device, values);
  const out = Tensor.zeros(device, [values.length]);
  const buffers = { x: x.buffer, out: out.buffer };
  const params = { factor: 2, count: values.length };
  return { device, x, out, buffers, params, done: () => [x, out].forEach((t) => void t.dispose()) };
}

describe('run', () => {
  it('binds by name, packs by name, specialises by override', async () => {
    const { device, out, buffers, params, done } = await setUp([1, 2, 3]);
    device.run(kernel, 'scale', { buffers, params, overrides: { BIAS: 0.5 }, groups: 1 });
    expect([...(await out.data())]).toEqual([2.5, 4.5, 6.5]);
    done();
  });

  it('binds whole vec4s, at multiples of what WebGPU aligns bindings to', async () => {
    const device = await Device.open({ bindingBytes: 1023 });
    expect(device.bindingBytes).toBe(768);
    device.close();
  });

  it('refuses what the WGSL does not declare, by name', async () => {
    const { device, buffers, params, done } = await setUp([1]);
    const run = (entry: string, change: object) => () =>
      device.run(kernel, entry, { buffers, params, groups: 1, ...change });
    const refuse = (act: () => void, text: RegExp) => expectError(act, 'kernel-interface', text);
    await refuse(run('skale', {}), /no entry point skale \(there are: scale\)/);
    await refuse(run('scale', { params: { factor: 2 } }), /parameter count was not given/);
    await refuse(run('scale', { params: { ...params, n: 1 } }), /unknown parameter n/);
    await refuse(run('scale', { params: { ...params, factor: [1, 2] } }), /takes 1 numbers, got 2/);
    await refuse(run('scale', { buffers: { x: buffers.x } }), /no buffer was given for out/);
    await refuse(run('scale', { overrides: { BIAZ: 1 } }), /no override BIAZ \(it has: BIAS\)/);
    // None of it has left an error scope open, in which later errors would be lost.
    await expect(device.raw.popErrorScope()).rejects.toThrow();
    done();
  });

  // More than one chunk of the parameter ring holds; then less, but more than a submission may.
  it.each([
    [4_200, {}, 1],
    [1_500, { dispatchesPerSubmission: 400 }, 4],
    [1_500, { workPerSubmission: 1_000 }, 38], // at 25 operations each
    [3, { workPerSubmission: 10 }, 3], // each is more than that
  ])(
    'does a step of %i dispatches, with %o, in %i submissions',
    async (count, options, submissions) => {
      const device = await Device.open(options);
      let first = 0;
      const step = new CapturedStep(device, () => {
        first++;
        const out = Tensor.zeros(device, [1]);
        for (let i = 0; i < count; i++) {
          const buffers = { out: out.buffer };
          // Every other one as a function, which a replay evaluates anew.
          const params = i % 2 ? { value: i } : () => ({ value: i });
          device.run(chain, 'next', { buffers, params, groups: 1, flops: 25 });
        }
        return { out };
      });
      let expected = 0;
      for (let i = 0; i < count; i++) expected = (Math.imul(expected, 31) + i) >>> 0;
      for (let i = 0; i < 5; i++) {
        const before = device.counts;
        const { out } = step.run({});
        device.flush();
        const after = device.counts;
        expect(after.dispatches - before.dispatches).toBe(count);
        expect(after.submissions - before.submissions).toBe(submissions);
        expect(new Uint32Array((await out.data()).buffer)[0]).toBe(expected);
        out.dispose();
      }
      expect(first).toBe(3); // the others were replays
      device.close();
    },
  );

  it('a replay that begins amid a recording finds its parameters', async () => {
    const device = await Device.open();
    const x = Tensor.from(device, [1]);
    const step = new CapturedStep(device, () => ({ y: affine(x, 2, 1) }));
    for (let i = 0; i < 3; i++) step.run({}).y.dispose();
    const out = Tensor.zeros(device, [1]);
    const buffers = { out: out.buffer };
    const results = [];
    for (let i = 0; i < 4_200; i++) {
      device.run(chain, 'next', { buffers, params: { value: 1 }, groups: 1 });
      if (i % 1_399 === 0) results.push(step.run({}).y);
    }
    for (const y of results) expect(await y.item()).toBe(3);
    expect(device.counts.submissions).toBe(results.length); // the first holds all
    device.close();
  });

  it('parameters of a loop that never submits take bounded memory', async () => {
    const { raw } = await testDevice();
    const ring = new ParameterRing(raw);
    const bytes = 2 ** 20;
    const chunks = [];
    for (; ring.fits(bytes); ring.add(bytes, () => {})) chunks.push(ring.chunkFor(bytes));
    expect(chunks).toHaveLength(64);
    expect(chunks.at(-1)).toBe(63);
    ring.upload();
    expect(ring.chunkFor(bytes)).toBe(0);
    for (const chunk of new Set(chunks)) ring.buffer(chunk).destroy();
  });

  it('folds more than 65,535 workgroups, and refuses explicit grids that large', async () => {
    const device = await testDevice();
    const rows = 70_000 * 16;
    const lengths = new Uint32Array(rows).fill(1);
    const x = Tensor.from(
      device,
      Float32Array.from({ length: rows }, (_, i) => i % 1000),
      [rows, 1],
    );
    const segments = Segments.ofLengths(device, lengths);
    const sums = segmentSum(x, segments);
    const [found, expected] = [await sums.data(), await x.data()];
    // Not toEqual: describing how a million values differ takes minutes.
    expect(found.findIndex((v, i) => v !== expected[i])).toBe(-1);
    for (const t of [x, sums, segments]) t.dispose();
    const { buffers, params, done } = await setUp([1]);
    const act = () => device.run(kernel, 'scale', { buffers, params, groups: [1, 1, 70_000] });
    await expectError(act, 'tensor-too-large', /1 x 1 x 70000 workgroups exceeds/);
    done();
  });
});

describe('write', () => {
  it('is not seen by work recorded before it', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2]);
    const before = square(x);
    device.write(x.buffer, Float32Array.of(3, 4));
    const after = square(x);
    expect([...(await before.data())]).toEqual([1, 4]);
    expect([...(await after.data())]).toEqual([9, 16]);
    for (const t of [x, before, after]) t.dispose();
  });

  it('of many new tensors in one recording does not disturb those in use', async () => {
    const device = await testDevice();
    const results = scope(() =>
      Array.from({ length: 50 }, (_, i) => {
        const x = Tensor.from(device, [i]);
        const y = affine(x, 2);
        x.dispose();
        return y;
      }),
    );
    for (const [i, y] of results.entries()) {
      expect(await y.item()).toBe(2 * i);
      y.dispose();
    }
  });
});

describe('errors', () => {
  it('of a kernel that does not compile reach the next read, with its name', async () => {
    const device = await testDevice();
    const bad = defineKernel('bad', CODE.replace('out[id.x] =', 'let y: u32 ='));
    const { x, out, buffers, params, done } = await setUp([1]);
    device.run(bad, 'scale', { buffers, params, groups: 1 });
    await expectError(() => out.data(), 'kernel-invalid', /Kernel bad\/scale .*was refused/);
    expect([...(await x.data())]).toEqual([1]); // and the device goes on
    done();
  });

  it('reach every reader whose work they spoilt', async () => {
    const device = await testDevice();
    const bad = defineKernel('bad-too', CODE.replace('out[id.x] =', 'let y: u32 ='));
    const { out, buffers, params, done } = await setUp([1]);
    const x = Tensor.from(device, [1]);
    device.run(bad, 'scale', { buffers, params, groups: 1 });
    const y = relu(x);
    const outcomes = await Promise.allSettled([out.data(), y.data()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await y.item()).toBeDefined();
    for (const t of [x, y]) t.dispose();
    done();
  });

  it('of a tensor beyond the limits name both sizes and what to do', async () => {
    const device = await testDevice();
    const size = Math.floor(device.limits.maxBufferSize / 4) + 1;
    await expectError(
      () => Tensor.empty(device, [size]),
      'tensor-too-large',
      /is larger than the .* that this adapter can hold in one buffer[\s\S]*--gene-regime chunks/,
    );
  });
});

describe('a lost device', () => {
  it('says so at the next use and in pending reads', async () => {
    const device = await Device.open();
    const x = Tensor.from(device, [1, 2, 3]);
    expect(await x.item().catch(() => 'not one element')).toBe('not one element');
    const pending = x.data();
    device.raw.destroy();
    // The read may have come first; then the next one fails.
    const act = async () => [await pending, await x.data()];
    await expectError(act, 'device-lost', /lost[\s\S]*--resume/);
    await expectError(() => square(x), 'device-lost', /lost/);
  });

  it('is told from one that was closed', async () => {
    const device = await Device.open();
    const x = Tensor.from(device, [1]);
    await device.sync();
    device.close();
    await expectError(() => square(x), 'device-closed', /was closed/);
  });
});

describe('memory', () => {
  it('keeps a bounded number of bind groups over steps of ever new shapes', async () => {
    const device = await testDevice();
    const step = (n: number) =>
      scope(() => {
        const x = Tensor.zeros(device, [n]);
        relu(square(affine(x, 3)));
      });
    for (let i = 0; i < 300; i++) step(64 * (1 + ((i * 37) % 50)));
    const before = device.counts.bindGroups;
    for (let i = 300; i < 1200; i++) step(64 * (1 + ((i * 37) % 50)));
    await device.sync();
    // Equal shapes meet equal buffers: nearly all bind groups are found again.
    expect(device.counts.bindGroups - before).toBeLessThan(50);
  });
});

describe('time', () => {
  it('of work that has no dispatch is next to nothing, not the age of the machine', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [4]);
    const seconds = await device.time(() => device.clear(x.buffer));
    x.dispose();
    expect(seconds ?? 0).toBeLessThan(60);
  });

  it('goes over the passes of the work', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [2 ** 20]);
    const work = (passes: number) => () =>
      scope(() => {
        for (let i = 0; i < passes; i++) {
          square(x);
          device.clear(x.buffer); // ends the pass
        }
      });
    const seconds = await device.time(work(5));
    x.dispose();
    if (seconds === null) expect(device.features.has('timestamp-query')).toBe(false);
    else expect(seconds).toBeGreaterThan(0);
  });
});
