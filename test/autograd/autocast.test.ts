/** Mixed precision: what is rounded and what is not, each tensor once, and nothing that outlives a step. */
import { describe, expect, it, vi } from 'vitest';
import { autocast } from '../../src/autograd/autocast.ts';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward, backwardFrom, noGrad } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { attention, packedAttention } from '../../src/ops/attention.ts';
import { add } from '../../src/ops/binary.ts';
import { cast } from '../../src/ops/cast.ts';
import { softClipLoss } from '../../src/ops/clip-loss.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { infoNce } from '../../src/ops/info-nce.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { sum } from '../../src/ops/reduce.ts';
import { topKMean } from '../../src/ops/top-k.ts';
import { relu, square } from '../../src/ops/unary.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { roundedToHalf } from '../halves.ts';
import { Random } from '../ops/nd.ts';
import { TUNINGS } from '../ops/prove.ts';

function draw(device: Device, seed: number, shape: readonly number[]): Parameter {
  const random = new Random(seed);
  const count = shape.reduce((product, n) => product * n, 1);
  return Parameter.of(
    Tensor.from(
      device,
      Array.from({ length: count }, () => random.normal()),
      shape,
    ),
  );
}

/** Names of the kernels that `body` runs, with their entry points. */
function kernelsOf(device: Device, body: () => void): string[] {
  const spy = vi.spyOn(device, 'run');
  try {
    body();
    return spy.mock.calls.map(([kernel, entry]) => `${kernel.name}/${entry}`);
  } finally {
    spy.mockRestore();
  }
}

const conversions = (kernels: readonly string[]) =>
  kernels.filter((name) => name.startsWith('cast/')).length;

/** The products, by operands: shapes of these, and the call. */
const PRODUCTS: Record<string, { shapes: number[][]; run: (...operands: Tensor[]) => Tensor }> = {
  matmul: {
    shapes: [
      [20, 12],
      [12, 16],
    ],
    run: (a, b) => matmul(a!, b!),
  },
  linear: {
    shapes: [
      [20, 12],
      [16, 12],
    ],
    run: (x, w) => linear(x!, w!),
  },
  conv2d: {
    shapes: [
      [2, 3, 6, 5],
      [16, 3, 3, 3],
    ],
    run: (x, w) => conv2d(x!, w!, null, { padding: 1 }),
  },
  attention: {
    shapes: [
      [1, 2, 9, 8],
      [1, 2, 11, 8],
      [1, 2, 11, 12],
    ],
    run: (q, k, v) => attention(q!, k!, v!),
  },
  'packed-attention': { shapes: [[1, 9, 48]], run: (qkv) => packedAttention(qkv!, { heads: 2 }) },
};

describe.each(TUNINGS)('autocast, $tuning', ({ open }) => {
  it.each(Object.keys(PRODUCTS))('rounds the operands of %s, and its gradient', async (name) => {
    const device = await open();
    const { shapes, run } = PRODUCTS[name]!;
    const results: Float32Array[][] = [];
    // In mixed precision, and in float32 with everything rounded beforehand.
    for (const mixed of [true, false]) {
      const operands = shapes.map((shape, i) => draw(device, 7 + i, shape));
      const [value, grads] = await (async () => {
        const y = scope(() => {
          const y = mixed
            ? autocast(() => run(...operands))
            : run(...operands.map((x) => cast(cast(x, 'f16'), 'f32')));
          const seed = draw(device, 3, y.shape);
          backwardFrom(y, mixed ? seed : cast(cast(seed, 'f16'), 'f32'));
          seed.dispose();
          return y;
        });
        expect(y.dtype).toBe('f32');
        const read = await Promise.all(operands.map(({ grad }) => grad!.floats()));
        return [await y.floats().finally(() => y.dispose()), read] as const;
      })();
      for (const operand of operands) {
        expect(operand.grad!.dtype).toBe('f32');
        operand.dispose();
      }
      results.push([value, ...grads]);
    }
    const [mixed, rounded] = results as [Float32Array[], Float32Array[]];
    for (const [i, expected] of rounded.entries()) {
      const largest = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const worst = expected.reduce((most, v, j) => Math.max(most, Math.abs(v - mixed[i]![j]!)), 0);
      expect(worst, `${name}, ${i === 0 ? 'value' : `gradient ${i - 1}`}`).toBeLessThan(
        1e-5 * largest,
      );
    }
  });

  it('reads halves from memory where the adapter has shader-f16, and widens them elsewhere', async () => {
    const device = await open();
    // What the adapter lists, not what the device was asked for: a gate that stays shut fails here.
    const reads = device.adapter.adapter.features.has('shader-f16') && device.class === 'gpu';
    for (const [name, { shapes, run }] of Object.entries(PRODUCTS)) {
      const operands = shapes.map((shape, i) => draw(device, 7 + i, shape));
      const kernels = kernelsOf(device, () =>
        scope(() => {
          const y = autocast(() => run(...operands));
          backwardFrom(y, Tensor.from(device, new Float32Array(y.size).fill(1), y.shape));
        }),
      );
      const half = kernels.filter((kernel) => /-half\/|-matrix/.test(kernel));
      const wide = kernels.filter((kernel) => kernel === 'cast/widen');
      // The value, and a gradient for each operand at least.
      expect(half.length >= 1 + operands.length, `${name}: ${kernels}`).toBe(reads);
      // Attention's statistics take the rounded gradient in float32.
      expect(wide.length > (name.endsWith('attention') ? 1 : 0), `${name}: ${kernels}`).toBe(
        !reads,
      );
      for (const operand of operands) operand.dispose();
    }
    await device.sync();
  });
});

describe('autocast', () => {
  it('leaves all but products in float32', async () => {
    const device = await testDevice();
    const x = draw(device, 1, [4, 4]);
    const y = scope(() => {
      const kernels = kernelsOf(device, () => autocast(() => sum(add(relu(x), square(x)))));
      expect(conversions(kernels)).toBe(0);
      // A bias is added to the float32 sums.
      const [one, bias] = [Tensor.from(device, [1], [1, 1]), Tensor.from(device, [1e-6])];
      return autocast(() => linear(one, one, bias));
    });
    expect(await y.item()).toBe(Math.fround(1 + 1e-6));
    for (const tensor of [x, y]) tensor.dispose();
  });

  it('leaves losses, norms and counts in float32, though they are made of products', async () => {
    const device = await testDevice();
    const [a, b] = [draw(device, 1, [6, 10]), draw(device, 2, [6, 10])];
    const made: Record<string, () => Tensor> = {
      infoNce: () => infoNce(a, b, 0.1),
      softClipLoss: () => softClipLoss(a, b),
      topKMean: () => topKMean(a, { ks: [3, 7] }),
    };
    for (const [name, make] of Object.entries(made)) {
      const [inside, outside] = [scope(() => autocast(make)), scope(make)];
      expect(await inside.floats(), name).toEqual(await outside.floats());
      for (const tensor of [inside, outside]) tensor.dispose();
    }
    for (const p of [a, b]) p.dispose();
  });

  it('converts a tensor once, until it changes or its halves are freed', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [3, 4]), draw(device, 2, [4, 4])];
    const count = (body: () => void) => conversions(kernelsOf(device, () => noGrad(body)));
    const twice = () => {
      linear(x, w);
      matmul(x, w);
    };
    scope(() => {
      const before = device.memory.live;
      expect(count(() => autocast(twice))).toBeGreaterThanOrEqual(2);
      // Narrowed once each; where halves are not read they are widened for each product.
      const narrowed = (body: () => void) =>
        kernelsOf(device, () => noGrad(() => autocast(body))).filter((k) => k === 'cast/narrow')
          .length;
      expect(narrowed(twice)).toBe(2);
      expect(narrowed(() => autocast(() => autocast(twice)))).toBe(2);
      expect(narrowed(() => autocast(twice, false))).toBe(0);
      const changed = () => {
        twice();
        w.assign(new Float32Array(16));
        twice();
      };
      expect(narrowed(changed)).toBe(3);
      const freed = () => {
        scope(twice);
        twice();
      };
      expect(narrowed(freed)).toBe(4);
      expect(device.memory.live).toBeGreaterThan(before);
    });
    for (const p of [x, w]) p.dispose();
  });

  it('converts anew in a captured step: replays must not see the halves of another step', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [3, 4]), draw(device, 2, [4, 4])];
    const captured = new CapturedStep(device, () => ({ y: noGrad(() => matmul(x, w)) }));
    for (let step = 0; step < 5; step++) {
      w.assign(Float32Array.from({ length: 16 }, (_, i) => Math.sin(i + step)));
      const [y, expected] = scope(() =>
        autocast(() => [captured.run({}).y, noGrad(() => matmul(x, w))] as const),
      );
      expect(await y.floats()).toEqual(await expected.floats());
      for (const tensor of [y, expected]) tensor.dispose();
      const outside = scope(() =>
        autocast(() => {
          noGrad(() => matmul(x, w));
          return captured.run({}).y;
        }),
      );
      outside.dispose();
    }
    expect(captured.replays).toBeGreaterThan(5);
    for (const each of [captured, x, w]) each.dispose();
  });

  it('ends where it ends, also after an error', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [3, 4]), draw(device, 2, [4, 4])];
    expect(() =>
      autocast(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect(conversions(kernelsOf(device, () => scope(() => linear(x, w)).dispose()))).toBe(0);
    await expectError(() => autocast(async () => 1), 'async-scope', /given an async function/);
    for (const p of [x, w]) p.dispose();
  });

  it('gives gradients where a tensor was converted without one before, and twice', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [3, 4]), draw(device, 2, [4, 4])];
    scope(() =>
      autocast(() => {
        noGrad(() => linear(x, w));
        backward(sum(linear(x, w)));
        backward(sum(linear(x, w)));
      }),
    );
    const column = (i: number) => [0, 1, 2].map((n) => n * 4 + i);
    const values = await x.floats();
    const expected = [0, 1, 2, 3].map((i) =>
      column(i).reduce((total, at) => total + 2 * roundedToHalf(values[at]!), 0),
    );
    const grad = await w.grad!.floats();
    for (const [i, g] of grad.entries()) expect(g).toBeCloseTo(expected[i % 4]!, 4);
    for (const p of [x, w]) p.dispose();
  });

  it('lets overflow be seen: in values, and in gradients that a loss scale made too large', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [2, 4]), draw(device, 2, [3, 4])];
    scope(() => {
      const y = autocast(() => linear(x, w));
      backwardFrom(y, Tensor.from(device, new Float32Array(6).fill(1e5), [2, 3]));
    });
    const finite = async (t: Tensor) => (await t.floats()).every(Number.isFinite);
    expect([await finite(x.grad!), await finite(w.grad!)]).toEqual([false, false]);
    x.assign(new Float32Array(8).fill(7e4));
    const large = scope(() => autocast(() => linear(x, w)));
    expect(await finite(large)).toBe(false);
    for (const tensor of [x, w, large]) tensor.dispose();
  });

  it('keeps nothing beyond the scope around it', async () => {
    const device = await testDevice();
    const [x, w] = [draw(device, 1, [30, 40]), draw(device, 2, [50, 40])];
    const step = () => scope(() => backward(autocast(() => sum(square(linear(x, w))))));
    step();
    const { live } = device.memory;
    for (let i = 0; i < 3; i++) step();
    expect(device.memory.live).toBe(live);
    for (const p of [x, w]) p.dispose();
  });
});
