import { describe, expect, it } from 'vitest';
import {
  GELU,
  Hardsigmoid,
  Hardswish,
  LeakyReLU,
  ReLU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from '../../src/nn/activation.ts';
import { Dropout, Linear } from '../../src/nn/layers.ts';
import { Sequential } from '../../src/nn/sequential.ts';
import { Generator } from '../../src/tensor/random.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({ layer: ReLU, make: () => new ReLU() });
proveLayer({ layer: SiLU, make: () => new SiLU() });
proveLayer({ layer: Hardswish, make: () => new Hardswish() });
proveLayer({ layer: Hardsigmoid, make: () => new Hardsigmoid() });
proveLayer({ layer: Tanh, make: () => new Tanh() });
proveLayer({ layer: Sigmoid, make: () => new Sigmoid() });
proveLayer({ layer: Softplus, make: () => new Softplus() });
proveLayer({
  layer: LeakyReLU,
  make: (_init, { negativeSlope }: { negativeSlope: number }) => new LeakyReLU(negativeSlope),
});
proveLayer({
  layer: GELU,
  make: (_init, { approximate }: { approximate: 'none' | 'tanh' }) => new GELU(approximate),
});
proveLayer({ layer: Softmax, make: (_init, { axis }: { axis: number }) => new Softmax(axis) });

proveLayer({
  layer: Sequential,
  make(init, { widths }: { widths: number[] }) {
    const linears = widths.slice(1).map((width, i) => new Linear(init, widths[i]!, width));
    return new Sequential(
      ...linears.flatMap((layer, i) => (i > 0 ? [new GELU(), layer] : [layer])),
    );
  },
});

describe('Sequential', () => {
  it('names its layers by their index, and reaches them', async () => {
    const init = { device: await testDevice(), generator: new Generator(1) };
    const last = new Linear(init, 3, 2);
    const inner = new Sequential(new ReLU(), last);
    const model = new Sequential(new Linear(init, 5, 3, false), new Dropout(init, 0.5), inner);
    expect([...model.namedParameters().keys()]).toEqual(['0.weight', '2.1.weight', '2.1.bias']);
    expect(last.layerName).toBe('2.1');
    expect(model.length).toBe(3);
    expect(model.at(-1)).toBe(inner);
    model.eval();
    expect(last.training).toBe(false);
    expect(new LeakyReLU().negativeSlope).toBe(0.01);
    model.dispose();
  });
});
