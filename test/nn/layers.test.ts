import { AttentionPool } from '../../src/nn/attention-pool.ts';
import { LayerNorm, Linear } from '../../src/nn/layers.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({
  layer: Linear,
  make: (init, options: { inputs: number; outputs: number; bias: boolean }) =>
    new Linear(init, options.inputs, options.outputs, options.bias),
});

proveLayer({
  layer: LayerNorm,
  make: (init, options: { width: number; eps: number }) =>
    new LayerNorm(init, options.width, options.eps),
});

interface PoolOptions {
  inputs: number;
  hidden: number;
  gated: boolean;
  offsets: number[];
}

proveLayer({
  layer: AttentionPool,
  make: (init, { inputs, hidden, gated }: PoolOptions) =>
    new AttentionPool(init, { inputs, hidden, gated, dropout: 0 }),
  call(layer, [x], { offsets }) {
    return layer.forward(x!, new Segments(x!.device, offsets)).pooled;
  },
});
