import { describe, expect, it } from 'vitest';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { parameter } from './parameter.ts';

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
    a.dispose();
    b.dispose();
  });

  it('reports a gradient that is not finite, and needs one at all', async () => {
    const p = await parameter([0, 0]);
    expect(() => clipGradNorm([p])).toThrow(/no parameter has a gradient/);
    p.grad = Tensor.from(p.device, [1, Number.NaN]);
    const clip = clipGradNorm([p], 1);
    expect([...(await clip.floats())].slice(1)).toEqual([0, 0]);
    clip.dispose();
    p.dispose();
  });
});
