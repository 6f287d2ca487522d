import { describe, expect, it } from 'vitest';
import type { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { mean } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { parameter } from './parameter.ts';

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

  it('weighs gradients by 1 - beta2, not by what float32 makes of that (5e-5 more)', async () => {
    const p = await parameter([0]);
    const optimizer = new AdamW(new Map([['p', p]]), { betas: [0.9, 0.999] });
    p.grad = Tensor.from(p.device, [1]);
    optimizer.step();
    const state = await optimizer.stateDict();
    expect(state.get('v.p')!.data[0]).toBe(Math.fround(0.001));
    expect(state.get('m.p')!.data[0]).toBe(Math.fround(0.1));
    optimizer.dispose();
    p.dispose();
  });

  it('corrects for the bias of the step in question, also when that is long past', async () => {
    const options = { lr: 1, betas: [0.9, 0.999] as const, eps: 0, weightDecay: 0 };
    for (const steps of [0, 1, 9, 160, 16_000, 17_400, 1_000_000]) {
      const p = await parameter([0]);
      const optimizer = new AdamW(new Map([['p', p]]), options);
      const ones = { shape: [1], data: Float32Array.of(1) };
      optimizer.loadStateDict(new Map(Object.entries({ 'm.p': ones, 'v.p': ones })), steps);
      p.grad = Tensor.from(p.device, [1]);
      optimizer.step();
      const corrected = (beta: number) => Math.fround(1 - beta ** (steps + 1));
      const rate = Math.sqrt(corrected(0.999)) / corrected(0.9);
      expect(((await p.floats())[0]! + rate) / rate).toBeCloseTo(0, 6);
      optimizer.dispose();
      p.dispose();
    }
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
