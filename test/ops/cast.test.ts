/** float32 to float16 and back on the GPU, bit by bit; where halves are taken, and where not. */
import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { float32ToFloat16 } from '../../src/half.ts';
import { type CastOptions, cast, castOp } from '../../src/ops/cast.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { relu } from '../../src/ops/unary.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { awkward, halfTable, roundedToHalf } from '../halves.ts';
import { nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

proveOp<CastOptions, CastOptions>({
  op: castOp,
  cases: [[1], [3, 5], [], [0, 4], [1031], [2, 3, 700]].flatMap((shape) => [
    { shapes: [shape], options: { to: 'f16' as const } },
    { shapes: [shape], options: { to: 'f32' as const } },
  ]),
  // Halves themselves, so that the identity is the reference; rounding is seen to below.
  draw: (random, shape) => nd(shape, () => roundedToHalf(random.normal())).data,
  reference: ([x]) => x!,
  // The step of the differences is many roundings long.
  step: 4,
  linearIn: [0],
  splits: true,
});

describe.each(TUNINGS)('cast, $tuning', ({ open, tight }) => {
  it('rounds as the table of all halves says', async () => {
    const values = awkward();
    for (const device of [await open(), await tight()]) {
      const x = Tensor.from(device, values);
      const half = cast(x, 'f16');
      expect([half.dtype, half.bytes]).toEqual(['f16', 4 * Math.ceil(values.length / 2)]);
      const expected = values.map(roundedToHalf);
      expect(await half.floats()).toEqual(expected);
      const wide = cast(half, 'f32');
      expect(wide.dtype).toBe('f32');
      expect(await wide.floats()).toEqual(expected);
      for (const tensor of [x, half, wide]) tensor.dispose();
    }
  });

  it('widens all 65,536 halves', async () => {
    const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const half = Tensor.half(await open(), bits, [256, 256]);
    const wide = cast(half, 'f32');
    expect(await wide.floats()).toEqual(halfTable());
    const again = cast(wide, 'f16');
    expect(await again.floats()).toEqual(halfTable());
    for (const tensor of [half, wide, again]) tensor.dispose();
  });
});

describe('cast', () => {
  it('passes a float32 gradient through halves as it is', async () => {
    const device = await testDevice();
    const x = Parameter.of(Tensor.from(device, [1, 2, 3]));
    const half = cast(x, 'f16');
    await expectError(
      () => backwardFrom(half, Tensor.half(device, [1, 1, 1])),
      'dtype',
      /expected a seed of f32 .*found f16/,
    );
    backwardFrom(half, Tensor.from(device, [1e-9, 1e9, 0.1]));
    expect(await x.grad!.floats()).toEqual(Float32Array.of(1e-9, 1e9, 0.1));
    x.dispose();
  });
});

describe('Tensor.half', () => {
  it.each([0, 1, 2, 3, 101])('holds %i halves, as bits or as numbers', async (count) => {
    const device = await testDevice();
    const values = Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i) * 9));
    const expected = values.map(roundedToHalf);
    for (const given of [values, [...values], float32ToFloat16(values)]) {
      const half = Tensor.half(device, given);
      expect([half.dtype, half.shape, half.size]).toEqual(['f16', [count], count]);
      expect(await half.data()).toEqual(expected);
      const view = half.view([1, count]);
      expect(await view.floats()).toEqual(expected);
      half.assign(values.map((v) => -v));
      expect(await view.floats()).toEqual(expected.map((v) => -v));
      for (const tensor of [half, view]) tensor.dispose();
    }
  });

  it('takes half the memory', async () => {
    const device = await testDevice();
    const { live } = device.memory;
    const half = Tensor.half(device, new Uint16Array(2 ** 16));
    expect(device.memory.live - live).toBe(2 ** 17);
    half.dispose();
  });

  it('refuses values that do not fill the shape', async () => {
    const device = await testDevice();
    const found = /Tensor.half: 3 values do not fill the shape \[2, 2\] \(4 values\)/;
    await expectError(() => Tensor.half(device, [1, 2, 3], [2, 2]), 'shape', found);
  });

  it('is no parameter', async () => {
    const half = Tensor.half(await testDevice(), [1, 2]);
    await expectError(() => Parameter.of(half), 'dtype', /expected a float32 tensor, found f16/);
  });
});

describe('halves as inputs', () => {
  it('are refused by what does not multiply, and beside float32', async () => {
    const device = await testDevice();
    const [half, float] = [Tensor.half(device, [1, 2], [1, 2]), Tensor.zeros(device, [2, 1])];
    await expectError(() => relu(half), 'dtype', /relu: expected float32 inputs, found f16/);
    const mixed = /matmul: expected operands of one dtype, found f16 as input 0 and f32 as input 1/;
    await expectError(() => matmul(half, float), 'dtype', mixed);
  });
});
