/** Every way of attention that `--tune` tries, at a shape that fits none of them. */
import { expect, it } from 'vitest';
import { attentionKnob } from '../../kernels-bench/tuning/attention-knob.ts';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import type { Tuning } from '../../src/gpu/tuning.ts';
import { TUNINGS } from '../../src/gpu/tunings.ts';
import { attention } from '../../src/ops/attention.ts';
import { cast } from '../../src/ops/cast.ts';
import { repaysTexels } from '../../src/ops/texel-operands.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { Random } from './nd.ts';
import { difference } from './prove.ts';

/**
 * Several blocks of rows and tiles of columns; the width takes two passes where a tile is 16 wide. So much work that operands
 * may come as textures.
 */
const [HEADS, QUERIES, KEYS, WIDTH] = [2, 517, 245, 68];
const SCALE = 1 / Math.sqrt(WIDTH);

const draw = (random: Random, rows: number) =>
  Float32Array.from({ length: HEADS * rows * WIDTH }, () => random.normal());
const random = new Random(3);
const [Q, K, V, DY] = [QUERIES, KEYS, KEYS, QUERIES].map((rows) => draw(random, rows)) as [
  Float32Array,
  Float32Array,
  Float32Array,
  Float32Array,
];

/** Output and gradients in float64, one query after the other. */
function reference(): Float64Array[] {
  const [y, dq, dk, dv] = [Q, Q, K, V].map(({ length }) => new Float64Array(length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const dot = (a: Float32Array, i: number, b: ArrayLike<number>, j: number) => {
    let sum = 0;
    for (let d = 0; d < WIDTH; d++) sum += a[i * WIDTH + d]! * b[j * WIDTH + d]!;
    return sum;
  };
  const add = (to: Float64Array, i: number, by: number, from: Float32Array, j: number) => {
    for (let d = 0; d < WIDTH; d++) to[i * WIDTH + d]! += by * from[j * WIDTH + d]!;
  };
  for (let i = 0; i < HEADS * QUERIES; i++) {
    const first = Math.floor(i / QUERIES) * KEYS;
    const keys = Array.from({ length: KEYS }, (_, j) => first + j);
    const weights = keys.map((j) => Math.exp(SCALE * dot(Q, i, K, j)));
    const total = weights.reduce((sum, w) => sum + w, 0);
    for (const [n, j] of keys.entries()) add(y, i, weights[n]! / total, V, j);
    const dots = dot(DY, i, y, i);
    for (const [n, j] of keys.entries()) {
      const weight = weights[n]! / total;
      const slope = SCALE * weight * (dot(DY, i, V, j) - dots);
      add(dq, i, slope, K, j);
      add(dk, j, slope, Q, i);
      add(dv, j, weight, DY, i);
    }
  }
  return [y, dq, dk, dv];
}

async function found(tuning: Tuning): Promise<Float32Array[]> {
  const device = await Device.open({ defaultLimits: true, tuning });
  const inputs = [Q, K, V].map((data) =>
    Parameter.of(Tensor.from(device, data, [1, HEADS, data.length / HEADS / WIDTH, WIDTH])),
  );
  const [q, k, v] = inputs as [Parameter, Parameter, Parameter];
  const out = scope(() => {
    const y = attention(q, k, v);
    backwardFrom(y, Tensor.from(device, DY, y.shape));
    return y;
  });
  const values = await Promise.all(
    [out, ...inputs.map(({ grad }) => grad!)].map((t) => t.floats()),
  );
  device.close();
  return values;
}

/** Else no operand would come as a texture. */
function expectLarge(multiplyAdds: number, operands: readonly number[]): void {
  expect(repaysTexels(multiplyAdds, operands)).toBe(true);
}

const expected = reference();
const ways = [
  TUNINGS.cpu,
  ...[TUNINGS.cpu, TUNINGS.gpu].flatMap((pinned) => attentionKnob.alternatives(pinned)),
];

it.each(ways.map((way) => [JSON.stringify(way.attention), way] as const))(
  'attention by %s agrees with float64',
  async (_, way) => {
    expectLarge(
      HEADS * QUERIES * KEYS * 2 * WIDTH,
      [Q, K, V, DY].map(({ length }) => length),
    );
    for (const [i, values] of (await found(way)).entries()) {
      const allowance = { relative: 1e-5, floor: 1e-6 };
      expect(difference(values, expected[i]!, allowance), `tensor ${i}`).toBeNull();
    }
  },
);

/** There is no subgroup kernel for them. */
it('attention of float16 operands is right where the tuning asks for subgroups', async () => {
  const { attention: subgroup } = TUNINGS.cpu;
  const device = await Device.open({
    tuning: { ...TUNINGS.gpu, attention: subgroup },
    matrixUnit: null,
  });
  const half = (...values: number[]) => cast(Tensor.from(device, values, [1, 1, 2, 4]), 'f16');
  const q = half(1e4, 0, 0, 0, -1e4, 0, 0, 0);
  // Scores so large that the greatest weighs alone.
  const out = attention(q, q, half(1, 2, 3, 4, 5, 6, 7, 8));
  expect([...(await out.floats())]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  device.close();
});

/** A lane has 16 blocks of the output above, 4 here. */
it('operands of few columns as textures give what buffers give', async () => {
  const [plan, size] = [TUNINGS.cpu, [1, 2, 901, 12]];
  const numbers = Float32Array.from({ length: 2 * 901 * 12 }, () => random.normal());
  expectLarge(2 * 901 * 901 * 24, [numbers.length]);
  const results: Float32Array[][] = [];
  for (const kernel of ['subgroup', 'texels'] as const) {
    const device = await Device.open({ tuning: { ...plan, attention: { kernel, vecs: 16 } } });
    const x = Parameter.of(Tensor.from(device, numbers, size));
    const y = scope(() => {
      const found = attention(x, x, x);
      backwardFrom(found, Tensor.from(device, numbers, size));
      return found;
    });
    results.push(await Promise.all([y, x.grad!].map((t) => t.floats())));
    device.close();
  }
  for (const [i, values] of results[1]!.entries()) {
    const allowance = { relative: 1e-5, floor: 1e-6 };
    expect(difference(values, results[0]![i]!, allowance), `tensor ${i}`).toBeNull();
  }
});
