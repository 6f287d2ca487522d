import code from '../../shaders/l2-normalize.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('l2-normalize', code);

export interface L2NormalizeOptions {
  eps: number;
}

function run(entry: string, x: Tensor, dy: Tensor | null, eps: number, out: Tensor): void {
  const { rows, n } = asRows(x.shape);
  if (n === 0) return;
  for (const part of rowParts(x.device, rows, [n])) {
    const bind = (t: Tensor) => bindPart(t, part, n);
    x.device.run(kernel, entry, {
      buffers: { x: bind(x), out: bind(out), ...(dy && { dy: bind(dy) }) },
      params: { rows: part.count, n, eps },
      ...rowPlan(x.device, part.count, n),
    });
  }
}

export const l2NormalizeOp = defineOp<L2NormalizeOptions>({
  name: 'l2-normalize',
  inputs: 'x [..., n]',
  output: '[..., n]',
  cost: '3·N',
  shape([x]) {
    if (x!.length === 0)
      throw shapeError('l2-normalize', 'at least one dimension', formatShape(x!));
    return x!;
  },
  forward: ([x], { eps }, output) => run('forward', x!, null, eps, output),
  gradient({ grad, inputs: [x], options: { eps } }) {
    const dx = Tensor.empty(grad.device, grad.shape, 'f32', 'l2-normalize gradient');
    run('backward', x!, grad, eps, dx);
    return [dx];
  },
});

/** Rows divided by max(length, eps) (torch.nn.functional.normalize over the last axis). */
export function l2Normalize(x: Tensor, eps = 1e-12): Tensor {
  return l2NormalizeOp.apply([x], { eps });
}
