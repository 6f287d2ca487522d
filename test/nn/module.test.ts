import { describe, expect, it } from 'vitest';
import type { Parameter } from '../../src/autograd/parameter.ts';
import { HistogradError } from '../../src/errors.ts';
import { AttentionPool } from '../../src/nn/attention-pool.ts';
import { BatchNorm2d } from '../../src/nn/batch-norm.ts';
import { Conv2d } from '../../src/nn/conv.ts';
import { Embedding } from '../../src/nn/embedding.ts';
import { Dropout, LayerNorm, Linear } from '../../src/nn/layers.ts';
import { LSTM } from '../../src/nn/lstm.ts';
import { Module } from '../../src/nn/module.ts';
import { observeOps } from '../../src/ops/op.ts';
import { Generator, normal } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const init = async (seed = 1) => ({
  device: await testDevice(),
  generator: new Generator(seed),
});

class Stack extends Module {
  readonly layers: Linear[];
  readonly norm: LayerNorm;
  constructor(context: Awaited<ReturnType<typeof init>>) {
    super();
    this.layers = [new Linear(context, 3, 4), new Linear(context, 4, 2, false)];
    this.norm = new LayerNorm(context, 2);
  }
}

describe('Module', () => {
  it("names parameters as PyTorch's state dict does", async () => {
    const stack = new Stack(await init());
    const names = [
      'layers.0.weight',
      'layers.0.bias',
      'layers.1.weight',
      'norm.weight',
      'norm.bias',
    ];
    expect([...stack.namedParameters().keys()]).toEqual(names);
    expect(stack.parameterCount()).toBe(3 * 4 + 4 + 4 * 2 + 2 + 2);
    stack.dispose();
  });

  it('goes through a state dict unchanged', async () => {
    const from = new Stack(await init(1));
    const to = new Stack(await init(2));
    const state = await from.stateDict();
    expect((await to.stateDict()).get('layers.0.weight')?.data).not.toEqual(
      state.get('layers.0.weight')?.data,
    );
    to.loadStateDict(state);
    expect(await to.stateDict()).toEqual(state);
    from.dispose();
    to.dispose();
  });

  it('says what does not fit in a state dict, and changes nothing', async () => {
    const stack = new Stack(await init());
    const before = await stack.stateDict();
    const state = new Map(before);
    state.delete('norm.bias');
    state.set('extra', { shape: [1], data: new Float32Array(1) });
    state.set('layers.0.weight', { shape: [3, 4], data: new Float32Array(12) });
    expect(() => stack.loadStateDict(state)).toThrow(
      /missing: norm\.bias; unexpected: extra; layers\.0\.weight: expected \[4, 3\], found \[3, 4\]/,
    );
    expect(await stack.stateDict()).toEqual(before);
    stack.dispose();
  });

  it('switches every module between training and evaluation', async () => {
    const context = await init();
    const pool = new AttentionPool(context, { inputs: 4, hidden: 3, gated: true, dropout: 0.5 });
    pool.eval();
    expect(pool.namedModules().every(([, m]) => !m.training)).toBe(true);
    expect(pool.train().dropV.training).toBe(true);
    pool.dispose();
  });
});

describe('layers without { device, generator }', () => {
  it.each([
    ['BatchNorm2d', BatchNorm2d, 'found 4.'],
    ['Linear', Linear, 'found 4.'],
    ['Conv2d', Conv2d, 'found 4.'],
    ['LSTM', LSTM, 'found undefined.'],
    ['Embedding', Embedding, 'found null.'],
    ['Dropout', Dropout, 'found { p }.'],
  ] as const)('%s says what it takes first', async (name, Layer, found) => {
    const first: unknown = { '4.': 4, 'null.': null, '{ p }.': { p: 0.1 } }[found.slice(6)];
    const make = () => Reflect.construct(Layer, [first, 8]);
    await expectError(
      make,
      'option',
      `${name}: expected { device, generator } as its first argument, ${found}\n`,
    );
    await expectError(make, 'option', `new ${name}({ device, generator: new Generator(0) }, …)`);
  });
});

describe('Linear', () => {
  it("draws its parameters from PyTorch's default distribution", async () => {
    const layer = new Linear(await init(), 100, 200);
    for (const parameter of [layer.weight, layer.bias as Parameter]) {
      const values = await parameter.floats();
      const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.1);
      // Uniform in ±0.1: variance 0.01 / 3, known to a few per cent from the 200 biases.
      expect(variance).toBeGreaterThan((0.01 / 3) * 0.8);
      expect(variance).toBeLessThan((0.01 / 3) * 1.2);
    }
    layer.dispose();
  });

  it('names itself when shapes do not fit', async () => {
    const stack = new Stack(await init());
    stack.namedModules();
    const x = Tensor.zeros(stack.norm.weight.device, [2, 5]);
    expect(() => stack.layers[0]?.forward(x)).toThrow(HistogradError);
    expect(() => stack.layers[0]?.forward(x)).toThrow(/in layer layers\.0.*\[2, 5\] and \[4, 3\]/);
    x.dispose();
    stack.dispose();
  });

  it('is named in what observeOps sees', async () => {
    const stack = new Stack(await init());
    stack.namedModules();
    const seen: string[] = [];
    scope(() => {
      const x = Tensor.zeros(stack.norm.weight.device, [2, 3]);
      observeOps(
        (op, layer) => seen.push(`${layer}: ${op}`),
        () => stack.layers[0]?.forward(x),
      );
    });
    expect(seen).toEqual(['layers.0: linear']);
    stack.dispose();
  });
});

describe('Dropout', () => {
  it('is the identity in evaluation, and draws anew at each call in training', async () => {
    const context = await init();
    const layer = new Dropout(context, 0.5);
    const x = normal(context.device, [40], { seed: [3, 0], offset: 0 });
    const first = layer.forward(x);
    const second = layer.forward(x);
    expect(await first.data()).not.toEqual(await second.data());
    expect(layer.eval().forward(x)).toBe(x);
    for (const t of [x, first, second]) t.dispose();
  });

  it('repeats its masks from the same generator state', async () => {
    const context = await init();
    const x = normal(context.device, [40], { seed: [3, 0], offset: 0 });
    const run = (offset: number) =>
      new Dropout({ ...context, generator: new Generator(9, offset) }, 0.5).forward(x);
    const a = run(4);
    const b = run(4);
    const c = run(5);
    expect(await a.data()).toEqual(await b.data());
    expect(await a.data()).not.toEqual(await c.data());
    for (const t of [x, a, b, c]) t.dispose();
  });
});
