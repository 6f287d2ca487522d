import code from '../../shaders/pearson.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { mean } from './reduce.ts';
import { affine } from './unary.ts';

const kernel = defineKernel('pearson', code);

export interface PearsonOptions {
  eps: number;
}

function gradientFor(
  [x, y]: readonly [Tensor, Tensor],
  stats: Tensor,
  grad: Tensor,
  eps: number,
  swapped: boolean,
): Tensor {
  const { device, shape } = x;
  const [rows, n] = shape as [number, number];
  const dx = Tensor.empty(device, shape, 'f32', 'pearson-columns gradient');
  const { groups, overrides } = threadPlan(device, n);
  device.run(kernel, 'backward', {
    buffers: {
      x: x.buffer,
      y: y.buffer,
      stats: stats.buffer,
      g: grad.buffer,
      out: dx.buffer,
    },
    params: { rows, n, eps },
    overrides: { ...overrides, SWAPPED: swapped ? 1 : 0 },
    groups,
  });
  return dx;
}

export const pearsonColumnsOp = defineOp<PearsonOptions>({
  name: 'pearson-columns',
  inputs: 'prediction [B, G], target [B, G]',
  output: '[G]',
  cost: '11·B·G',
  shape([x, y]) {
    if (x!.length !== 2 || !sameShape(x!, y!) || x!.includes(0)) {
      throw shapeError(
        'pearson-columns',
        'two non-empty matrices [B, G] of one shape',
        formatShapes([x!, y!]),
      );
    }
    return [x![1]!];
  },
  forward([x, y], { eps }, output) {
    const { device, shape } = x!;
    const [rows, n] = shape as [number, number];
    const stats = Tensor.empty(device, [5, n], 'f32', 'pearson-columns');
    device.run(kernel, 'forward', {
      buffers: { x: x!.buffer, y: y!.buffer, stats_out: stats.buffer, out: output.buffer },
      params: { rows, n, eps },
      ...threadPlan(device, n),
    });
    return [stats];
  },
  gradient({ grad, inputs: [x, y], saved: [stats], options: { eps }, needs }) {
    return [
      needs[0] ? gradientFor([x!, y!], stats!, grad, eps, false) : null,
      needs[1] ? gradientFor([y!, x!], stats!, grad, eps, true) : null,
    ];
  },
});

/**
 * Pearson's r of each gene over the batch, [B, G] and [B, G] to [G]. A gene that is constant in either has r = 0
 * and no gradient. (`pearson` of the metrics is the float64 evaluation.)
 */
export function pearsonColumns(prediction: Tensor, target: Tensor, eps = 1e-8): Tensor {
  return pearsonColumnsOp.apply([prediction, target], { eps });
}

/**
 * 1 − the mean over genes of Pearson's r over the batch, for [B, G] (EGN, Yang et al. 2023). EGN's code counts
 * a gene whose r is NaN, one that is constant in the batch, as −1; here it counts as 0, and gives no gradient.
 */
export function pearsonLoss(prediction: Tensor, target: Tensor, eps = 1e-8): Tensor {
  return affine(mean(pearsonColumns(prediction, target, eps)), -1, 1);
}
