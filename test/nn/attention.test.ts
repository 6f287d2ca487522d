import { describe, expect, it } from 'vitest';
import type { Parameter } from '../../src/autograd/parameter.ts';
import {
  Attention,
  absoluteOffsetIndex,
  MultiheadAttention,
  relativePositionIndex,
  WindowAttention,
} from '../../src/nn/attention.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

interface Sizes {
  width: number;
  heads: number;
}

proveLayer({
  layer: MultiheadAttention,
  make: (init, { width, heads, bias }: Sizes & { bias: boolean; keyMask?: number[] }) =>
    new MultiheadAttention(init, width, heads, { bias }),
  call: (layer, [query, key], { keyMask }) =>
    layer.forward(query!, key, key, keyMask ? { keyMask } : {}),
});

proveLayer({
  layer: Attention,
  make: (init, { width, heads, bias }: Sizes & { bias: boolean }) =>
    new Attention(init, width, heads, { qkvBias: bias }),
});

proveLayer({
  layer: WindowAttention,
  make: (init, { width, heads, window }: Sizes & { window: number; mask: number[] | null }) =>
    new WindowAttention(init, width, heads, window),
  call: (layer, [x], { mask, window }) => {
    const cells = window * window;
    return layer.forward(
      x!,
      mask && Tensor.from(x!.device, mask, [mask.length / cells ** 2, cells, cells]),
    );
  },
});

async function init() {
  return { device: await testDevice(), generator: new Generator(3) };
}

/** Mean and deviation. */
async function moments(parameter: Parameter) {
  const values = await parameter.floats();
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  return {
    mean,
    deviation: Math.sqrt(square),
    most: values.reduce((m, v) => Math.max(m, Math.abs(v)), 0),
  };
}

describe('attention layers', () => {
  it('start as in PyTorch', async () => {
    const layer = new MultiheadAttention(await init(), 96, 4);
    const { mean, deviation, most } = await moments(layer.in_proj_weight);
    const bound = Math.sqrt(6 / (4 * 96));
    expect(most).toBeLessThanOrEqual(bound);
    expect(Math.abs(mean)).toBeLessThan(0.01 * bound);
    expect(deviation / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
    for (const bias of [layer.in_proj_bias, layer.out_proj.bias]) {
      expect((await bias!.floats()).every((v) => v === 0)).toBe(true);
    }
    layer.dispose();
    const windows = new WindowAttention(await init(), 128, 32, 7);
    const table = await moments(windows.relative_position_bias_table);
    expect(table.deviation / 0.02).toBeCloseTo(1, 1);
    expect(Math.abs(table.mean)).toBeLessThan(0.001);
    windows.dispose();
  });

  it('drop probabilities in training only, anew at each call', async () => {
    const { device, generator } = await init();
    const layer = new MultiheadAttention({ device, generator }, 16, 2, { dropout: 0.5 });
    const x = Tensor.from(
      device,
      Float32Array.from({ length: 10 * 16 }, (_, i) => Math.sin(i)),
      [1, 10, 16],
    );
    const run = async () => [...(await layer.forward(x).floats())];
    expect(await run()).not.toEqual(await run());
    layer.eval();
    expect(await run()).toEqual(await run());
    layer.dispose();
  });

  it('refuse a width that the heads do not divide', async () => {
    const from = await init();
    const problem = /a width of 10 does not divide into 3 heads/;
    await expectError(() => new MultiheadAttention(from, 10, 3), 'option', problem);
    await expectError(() => new Attention(from, 10, 3), 'option', problem);
    await expectError(() => new WindowAttention(from, 10, 3, 7), 'option', problem);
  });
});

describe('bias indices', () => {
  it('are those of Swin and of LeViT', () => {
    // torch: relative_position_index of a 2 x 2 window, from the Swin repository's code
    const swin = [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4];
    expect([...relativePositionIndex(2)]).toEqual(swin);
    expect(Math.max(...relativePositionIndex(7))).toBe(168);
    expect([...absoluteOffsetIndex(2)]).toEqual([0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1, 3, 2, 1, 0]);
    expect(Math.max(...absoluteOffsetIndex(5))).toBe(24);
  });
});
