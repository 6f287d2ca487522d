import code from '../../shaders/accumulate.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from './grid.ts';
import { bindPart, elementParts } from './parts.ts';
import { Tensor } from './tensor.ts';

const kernel = defineKernel('accumulate', code);

/** The sum of two tensors of the same shape, outside the tape (it sums gradients). */
export function accumulate(a: Tensor, b: Tensor): Tensor {
  const out = Tensor.empty(a.device, a.shape, 'f32', 'gradient sum');
  for (const part of elementParts(a.device, a.size)) {
    a.device.run(kernel, 'add', {
      buffers: { a: bindPart(a, part), b: bindPart(b, part), out: bindPart(out, part) },
      params: { vecs: Math.ceil(part.count / 4) },
      ...elementwisePlan(a.device, part.count),
    });
  }
  return out;
}
