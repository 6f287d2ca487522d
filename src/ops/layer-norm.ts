import code from '../../shaders/layer-norm.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { asQuads, byQuads, rowPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';

const kernel = defineKernel('layer-norm', code);

export interface LayerNormOptions {
  eps: number;
}

/** Their forms by vec4s. */
const BY_QUADS = { forward: 'forward4', backward: 'backward4' };

function run(
  device: Device,
  entry: keyof typeof BY_QUADS,
  rows: number,
  n: number,
  eps: number,
  buffers: Readonly<Record<string, Binding>>,
): void {
  const quads = byQuads(device, n);
  device.run(kernel, quads ? BY_QUADS[entry] : entry, {
    buffers: quads ? asQuads(buffers) : buffers,
    params: { rows, n, eps },
    ...rowPlan(device, rows, n),
  });
}

export const layerNormOp = defineOp<LayerNormOptions>({
  name: 'layer-norm',
  inputs: 'x [..., n], weight [n], bias [n]',
  output: '[..., n]',
  cost: '7·N',
  shape([x, weight, bias]) {
    const n = x!.at(-1);
    const fits = (s: Shape) => s.length === 1 && s[0] === n;
    if (!n || !fits(weight!) || !fits(bias!)) {
      throw shapeError(
        'layer-norm',
        'x [..., n] with weight [n] and bias [n]',
        formatShapes([x!, weight!, bias!]),
      );
    }
    return x!;
  },
  forward(inputs, { eps }, output) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
    const { rows, n } = asRows(x.shape);
    for (const part of rowParts(x.device, rows, [n])) {
      const bind = (t: Tensor) => bindPart(t, part, n);
      run(x.device, 'forward', part.count, n, eps, {
        x: bind(x),
        weight: weight.buffer,
        bias: bias.buffer,
        out: bind(output),
      });
    }
  },
  gradient({ grad, inputs, options: { eps } }) {
    const [x, weight] = inputs as [Tensor, Tensor];
    const { rows, n } = asRows(x.shape);
    const dx = Tensor.empty(x.device, x.shape, 'f32', 'layer-norm gradient');
    const dyh = Tensor.empty(x.device, [rows, n], 'f32', 'layer-norm gradient');
    for (const part of rowParts(x.device, rows, [n])) {
      const bind = (t: Tensor) => bindPart(t, part, n);
      run(x.device, 'backward', part.count, n, eps, {
        x: bind(x),
        weight: weight.buffer,
        dy: bind(grad),
        out: bind(dx),
        dyh: bind(dyh),
      });
    }
    return [dx, reduceSum(dyh, 0), reduceSum(grad.view([rows, n]), 0)];
  },
});

/** Layer normalisation of the last axis of x [..., n] with weight [n] and bias [n] (Ba et al. 2016). */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return layerNormOp.apply([x, weight, bias], { eps });
}
