import code from '../../shaders/softmax.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan } from '../tensor/grid.ts';
import { Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('softmax', code);

function run(entry: string, log: boolean, like: Tensor, buffers: Record<string, Tensor>): void {
  const { rows, n } = asRows(like.shape);
  if (n === 0) return;
  const { groups, overrides } = rowPlan(like.device, rows, n);
  like.device.run(kernel, entry, {
    buffers: Object.fromEntries(Object.entries(buffers).map(([name, t]) => [name, t.buffer])),
    params: { rows, n },
    overrides: { ...overrides, LOG: log ? 1 : 0 },
    groups,
  });
}

function defineSoftmax(name: string, logarithm: boolean) {
  return defineOp<Record<string, never>>({
    name,
    inputs: 'x [..., n]',
    output: '[..., n]',
    cost: '4·N',
    shape([x]) {
      if (x!.length === 0) throw shapeError(name, 'at least one dimension', formatShape(x!));
      return x!;
    },
    forward: ([x], _, output) => run('forward', logarithm, x!, { x: x!, out: output }),
    gradient({ grad, output }) {
      const dx = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      run('backward', logarithm, grad, { y: output, dy: grad, out: dx });
      return [dx];
    },
  });
}

export const softmaxOp = defineSoftmax('softmax', false);
export const logSoftmaxOp = defineSoftmax('log-softmax', true);

/** exp(x) / Σ exp(x) over the last axis. */
export const softmax = (x: Tensor) => softmaxOp.apply([x], {});
/** log softmax over the last axis. */
export const logSoftmax = (x: Tensor) => logSoftmaxOp.apply([x], {});
