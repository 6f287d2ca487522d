import code from '../../shaders/accumulate.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from './grid.ts';
import { Tensor } from './tensor.ts';

const kernel = defineKernel('accumulate', code);

/** The sum of two tensors of the same shape, outside the tape (it sums gradients). */
export function accumulate(a: Tensor, b: Tensor): Tensor {
  const out = Tensor.empty(a.device, a.shape, 'f32', 'gradient sum');
  a.device.run(kernel, 'add', {
    buffers: { a: a.buffer, b: b.buffer, out: out.buffer },
    params: { vecs: Math.ceil(a.size / 4) },
    ...elementwisePlan(a.device, a.size),
  });
  return out;
}
