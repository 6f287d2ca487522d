import { LayerNorm, Linear } from '../../src/nn/layers.ts';
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
