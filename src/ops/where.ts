import code from '../../shaders/where.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, formatShapes, shapeError } from './op.ts';

const kernel = defineKernel('where', code);

export interface WhereOptions {
  /** Float32, of the operands' shape; needed until the gradient is computed. */
  condition: Tensor;
}

function run(
  entry: 'forward' | 'backward',
  operands: Readonly<Record<string, Tensor>>,
  out: Tensor,
  keep = true,
): void {
  for (const part of elementParts(out.device, out.size)) {
    const bound = Object.entries({ ...operands, out }).map(([name, t]) => [
      name,
      bindPart(t, part),
    ]);
    out.device.run(kernel, entry, {
      buffers: Object.fromEntries(bound),
      params: { count: part.count, keep },
      ...elementwisePlan(out.device, part.count),
    });
  }
}

export const whereOp = defineOp<WhereOptions>({
  name: 'where',
  inputs: 'a [...], b [...]',
  output: '[...]',
  cost: 'N',
  shape([a, b], { condition }) {
    if (!sameShape(a!, b!))
      throw shapeError('where', 'operands of one shape', formatShapes([a!, b!]));
    if (!sameShape(a!, condition.shape)) {
      throw shapeError('where', `a condition ${formatShape(a!)}`, formatShape(condition.shape));
    }
    if (condition.dtype !== 'f32') {
      throw new HistogradError(
        'dtype',
        `where: expected a float32 condition, found ${condition.dtype}.`,
        'Give 1 and 0 as float32.',
      );
    }
    return a!;
  },
  forward([a, b], { condition }, output) {
    run('forward', { condition, a: a!, b: b! }, output);
  },
  gradient({ grad, needs, options: { condition } }) {
    return [true, false].map((keep, i) => {
      if (!needs[i]) return null;
      const out = Tensor.empty(grad.device, grad.shape, 'f32', 'where gradient');
      run('backward', { condition, a: grad }, out, keep);
      return out;
    });
  },
});

/**
 * Elements of `a` where `condition` is not zero, else of `b` (torch.where), all of one shape. What is not taken
 * does not matter, not even a NaN; it gets the gradient 0. The condition has no gradient.
 */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  return whereOp.apply([a, b], { condition });
}
