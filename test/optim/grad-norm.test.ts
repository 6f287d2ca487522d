import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { tightDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { TUNINGS } from '../ops/prove.ts';
import { parameter } from './parameter.ts';

describe.each([...TUNINGS, { tuning: 'in parts of a binding', open: tightDevice }])(
  'clipGradNorm, $tuning',
  ({ open }) => {
    it.each([[[1]], [[3, 0, 1023]], [[5, 1024, 1025, 2]], [[7, 1, 4099, 64, 12, 2, 3000, 1, 9]]])(
      'takes the norm of %j elements, and of nothing behind them',
      async (sizes) => {
        const device = await open();
        const random = new Random(sizes.length);
        let squares = 0;
        const all = sizes.map((size) => {
          // What lies behind the elements, in the last vec4, is what a buffer held before.
          const before = Tensor.from(device, new Float32Array(size + 8).fill(Number.NaN));
          before.dispose();
          const values = Float32Array.from({ length: size }, () => random.normal());
          for (const value of values) squares += value * value;
          const p = Parameter.of(Tensor.zeros(device, [size]));
          p.grad = Tensor.from(device, values);
          return p;
        });
        const result = clipGradNorm(all, 0.125);
        const [norm, factor, finite] = await result.floats();
        expect(Math.abs(norm! / Math.sqrt(squares) - 1)).toBeLessThan(1e-6);
        expect(Math.abs((factor! * norm!) / 0.125 - 1)).toBeLessThan(1e-4);
        expect(finite).toBe(1);
        for (const tensor of [result, ...all]) tensor.dispose();
      },
    );
  },
);

describe('clipGradNorm', () => {
  it('takes the norm over all gradients, and scales only above the limit', async () => {
    const a = await parameter([0, 0]);
    const b = await parameter(Array<number>(3000).fill(0));
    a.grad = Tensor.from(a.device, [3, 0]);
    b.grad = Tensor.from(b.device, new Float32Array(3000).fill(4 / Math.sqrt(3000)));
    const clip = async (limit?: number) => {
      const result = clipGradNorm([a, b], limit);
      const values = await result.floats();
      result.dispose();
      return values;
    };
    const [norm, scale, finite] = await clip(1);
    expect(norm).toBeCloseTo(5, 4);
    expect(scale).toBeCloseTo(0.2, 5);
    expect(finite).toBe(1);
    expect((await clip(10))[1]).toBe(1);
    expect((await clip())[1]).toBe(1);
    for (const limit of [-1, Number.NaN, -Infinity]) {
      await expect(clip(limit)).rejects.toThrow(`a maxNorm of at least 0, found ${limit}`);
    }
    for (const p of [a, b]) p.grad = Tensor.zeros(p.device, p.shape);
    for (const limit of [1, undefined, Infinity]) {
      expect(await clip(limit)).toEqual(Float32Array.of(0, 1, 1));
    }
    a.dispose();
    b.dispose();
  });

  it('reports a gradient that is not finite, wherever it is, and needs one at all', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => parameter([0, 0])));
    expect(() => clipGradNorm(all)).toThrow(/no parameter has a gradient/);
    for (const bad of all) {
      for (const p of all) p.grad = Tensor.from(p.device, [1, p === bad ? Number.NaN : 1]);
      const clip = clipGradNorm(all, 1);
      expect([...(await clip.floats())].slice(1)).toEqual([0, 0]);
      clip.dispose();
    }
    for (const p of all) p.dispose();
  });
});
