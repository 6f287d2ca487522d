import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { mean } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { scheduleFactor } from '../../src/optim/schedule.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';

/** AdamW in float64, as the definition reads. */
function reference(p: number, grads: readonly number[], lr: number, decay: number): number {
  let [x, m, v] = [p, 0, 0];
  grads.forEach((g, i) => {
    x *= 1 - lr * decay;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    x -= (lr / (1 - 0.9 ** (i + 1))) * (m / (Math.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8));
  });
  return x;
}

async function parameter(values: readonly number[]): Promise<Parameter> {
  return Parameter.of(Tensor.from(await testDevice(), values));
}

describe('AdamW', () => {
  it('follows its definition, the learning rate of each step included', async () => {
    const p = await parameter([1, -2, 0.5, 3, 10]);
    const optimizer = new AdamW(new Map([['p', p]]), { lr: 0.1, weightDecay: 0.2 });
    const grads = [0.3, -1.5, 2];
    for (const g of grads) {
      p.grad = Tensor.from(p.device, new Float32Array(5).fill(g));
      scope(() => optimizer.step(clipGradNorm([p])));
    }
    const found = await p.floats();
    [1, -2, 0.5, 3, 10].forEach((start, i) => {
      expect(found[i]).toBeCloseTo(reference(start, grads, 0.1, 0.2), 5);
    });
    optimizer.dispose();
    p.dispose();
  });

  it('goes on from a saved state with the same bits', async () => {
    const train = async (p: Parameter, optimizer: AdamW, steps: number) => {
      for (let i = 0; i < steps; i++) {
        optimizer.zeroGrad();
        scope(() => {
          backward(mean(square(p)));
          optimizer.step(clipGradNorm([p]));
        });
      }
      return p.floats();
    };
    const options = { lr: 0.01, weightDecay: 0.1 };
    const whole = await parameter([1, 2, 3]);
    const expected = await train(whole, new AdamW(new Map([['p', whole]]), options), 6);
    const half = await parameter([1, 2, 3]);
    const before = new AdamW(new Map([['p', half]]), options);
    const saved = await train(half, before, 3);
    const rest = await parameter([...saved]);
    const after = new AdamW(new Map([['p', rest]]), options);
    after.loadStateDict(await before.stateDict(), before.steps);
    expect(await train(rest, after, 3)).toEqual(expected);
    expect(() => after.loadStateDict(new Map(), 0)).toThrow(/m\.p/);
  });

  it('changes nothing where a gradient is not finite', async () => {
    const p = await parameter([1, 2]);
    const optimizer = new AdamW(new Map([['p', p]]), { lr: 0.1 });
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      p.grad = Tensor.from(p.device, [1, bad]);
      scope(() => optimizer.step(clipGradNorm([p])));
    }
    expect(await p.floats()).toEqual(Float32Array.of(1, 2));
    optimizer.dispose();
    p.dispose();
  });
});

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

describe('scheduleFactor', () => {
  const schedule = { kind: 'cosine', warmupSteps: 4, totalSteps: 12, floor: 0.1 } as const;

  it('rises linearly, then falls by half a cosine to the floor', () => {
    expect([0, 1, 2, 3].map((s) => scheduleFactor(schedule, s))).toEqual([0.25, 0.5, 0.75, 1]);
    expect(scheduleFactor(schedule, 4)).toBe(1);
    expect(scheduleFactor(schedule, 8)).toBeCloseTo(0.55, 12);
    expect(scheduleFactor(schedule, 12)).toBeCloseTo(0.1, 12);
    expect(scheduleFactor(schedule, 99)).toBeCloseTo(0.1, 12);
  });

  it('stays at one when constant', () => {
    expect(scheduleFactor({ ...schedule, kind: 'constant' }, 50)).toBe(1);
  });
});
