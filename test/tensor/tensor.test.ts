import { describe, expect, it } from 'vitest';
import { add } from '../../src/ops/binary.ts';
import { affine } from '../../src/ops/unary.ts';
import { sameShape, sizeOf, Tensor, type TensorData } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

describe('Tensor.from', () => {
  it.each<TensorData>([
    Float32Array.of(1.5, -0, 3e38, 1e-40),
    Uint32Array.of(0, 0xffffffff, 7),
    Int32Array.of(-1, 2 ** 31 - 1, -(2 ** 31)),
    new Float32Array(),
  ])('gives back %o', async (data) => {
    const tensor = Tensor.from(await testDevice(), data);
    expect(tensor.shape).toEqual([data.length]);
    expect(await tensor.data()).toEqual(data);
  });

  it('takes plain numbers, parts of arrays, and shared memory', async () => {
    const device = await testDevice();
    expect(await Tensor.from(device, [1, 0.1]).data()).toEqual(Float32Array.of(1, 0.1));
    const part = Float32Array.of(0, 1, 2, 3, 4).subarray(1, 4);
    expect(await Tensor.from(device, part, [3, 1]).data()).toEqual(Float32Array.of(1, 2, 3));
    if (typeof SharedArrayBuffer === 'undefined') return; // a page that is not isolated has none
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([5, 6]);
    expect(await Tensor.from(device, shared).data()).toEqual(Float32Array.of(5, 6));
  });

  it('refuses values that do not fill the shape', async () => {
    const device = await testDevice();
    const expected = /5 values do not fill the shape \[2, 3\] \(6 values\)/;
    await expectError(() => Tensor.from(device, [1, 2, 3, 4, 5], [2, 3]), 'shape', expected);
  });

  it.each([[[-3, 8]], [[2.5, 2]], [[Number.NaN]], [[-2, -3]]])(
    'refuses the shape %j',
    async (shape) => {
      const device = await testDevice();
      const live = device.memory.live;
      const six = Tensor.from(device, [1, 2, 3, 4, 5, 6]);
      for (const make of [
        () => Tensor.zeros(device, shape),
        () => Tensor.from(device, new Float32Array(6), shape),
        () => six.view(shape),
      ])
        await expectError(make, 'shape', /cannot have the shape/);
      six.dispose();
      expect(device.memory.live).toBe(live);
    },
  );

  it('does not overwrite what recorded work still reads', async () => {
    const device = await testDevice();
    const first = Tensor.from(device, [1, 2, 3]);
    const before = affine(first, 10);
    first.dispose(); // its buffer is free for the next tensor
    const second = Tensor.from(device, [4, 5, 6]);
    const after = affine(second, 10);
    expect([...(await before.floats())]).toEqual([10, 20, 30]);
    expect([...(await after.floats())]).toEqual([40, 50, 60]);
  });
});

describe('Tensor.zeros', () => {
  it('clears memory that others used', async () => {
    const device = await testDevice();
    for (let i = 0; i < 3; i++) {
      const used = Tensor.from(device, new Float32Array(100).fill(7));
      used.dispose();
      const zeros = Tensor.zeros(device, [10, 10]);
      expect((await zeros.floats()).every((v) => v === 0)).toBe(true);
      zeros.dispose();
    }
  });
});

describe('a tensor', () => {
  it('larger than any buffer is refused', async () => {
    const device = await testDevice();
    const rows = Math.ceil(device.limits.maxBufferSize / 4 / 1024) + 1;
    const found = /features \[\d+, 1024\]: a tensor of .*iB is larger than the .*iB/;
    await expectError(
      () => Tensor.empty(device, [rows, 1024], 'f32', 'features'),
      'tensor-too-large',
      found,
    );
  });

  it('reads as what it is', async () => {
    const device = await testDevice();
    expect(await Tensor.scalar(device, 2.5).item()).toBe(2.5);
    const matrix = Tensor.zeros(device, [2, 1]);
    await expectError(
      () => matrix.item(),
      'shape',
      /needs a tensor of one element, found \[2, 1\]/,
    );
    const integers = Tensor.from(device, Uint32Array.of(1));
    await expectError(() => integers.floats(), 'dtype', /Expected a float32 tensor, found u32/);
  });

  it('is freed once, and not used afterwards', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const tensor = Tensor.zeros(device, [1000]);
    expect(device.memory.live).toBeGreaterThan(before);
    expect(tensor.disposed).toBe(false);
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expect(device.memory.live).toBe(before);
    const found = /shape \[1000\] was used after it was freed/;
    await expectError(() => tensor.data(), 'use-after-free', found);
    await expectError(() => tensor.view([10, 100]), 'use-after-free', found);
  });

  it('shares its memory with its views, until the last of them goes', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const tensor = Tensor.from(device, [1, 2, 3, 4]);
    const { live } = device.memory;
    const view = tensor.view([2, 2]);
    expect(view.buffer).toBe(tensor.buffer);
    expect(device.memory.live).toBe(live);
    tensor.assign(Float32Array.of(5, 6, 7, 8));
    tensor.dispose();
    expect(device.memory.live).toBe(live);
    expect(view.shape).toEqual([2, 2]);
    expect([...(await view.floats())]).toEqual([5, 6, 7, 8]);
    view.dispose();
    expect(device.memory.live).toBe(before);
  });

  it('takes new values in place, after all that was recorded before', async () => {
    const device = await testDevice();
    const tensor = Tensor.from(device, [1, 2]);
    const old = add(tensor, tensor);
    tensor.assign(Float32Array.of(10, 20));
    expect([...(await old.floats())]).toEqual([2, 4]);
    expect([...(await tensor.floats())]).toEqual([10, 20]);
    await expectError(() => tensor.assign(Float32Array.of(1)), 'shape', /1 values do not fill/);
    const found = /expected a Float32Array for a f32 tensor, found a Uint32Array/;
    await expectError(() => tensor.assign(Uint32Array.of(1, 2)), 'dtype', found);
  });
});

describe('shapes', () => {
  it('have sizes and compare', () => {
    expect([sizeOf([]), sizeOf([2, 3, 4]), sizeOf([2, 0])]).toEqual([1, 24, 0]);
    expect([sameShape([2, 3], [2, 3]), sameShape([2, 3], [3, 2]), sameShape([2], [2, 1])]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
