import code from '../../shaders/grad-norm.wgsl';
import type { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('grad-norm', code);
const CHUNK = 1024;
/** Stands for "do not clip": larger than any finite norm divided by what WGSL may overflow. */
const NO_LIMIT = 3e38;

/**
 * The norm of all gradients together, and the factor that brings it down to `maxNorm`
 * (torch.nn.utils.clip_grad_norm_), computed and kept on the GPU.
 *
 * @returns float32 [norm, factor, 1 when finite else 0], for an optimiser's `step`
 */
export function clipGradNorm(parameters: Iterable<Parameter>, maxNorm = NO_LIMIT): Tensor {
  const grads = [...parameters].flatMap((p) => (p.grad ? [p.grad] : []));
  const device = grads[0]?.device;
  if (!device) {
    throw new HistogradError(
      'no-gradient',
      'clipGradNorm: no parameter has a gradient.',
      'Call backward() on a loss first.',
    );
  }
  const pieces = grads.flatMap((grad) =>
    elementParts(device, grad.size).map((part) => ({ grad, part, runs: runsOf(part.count) })),
  );
  const total = pieces.reduce((sum, { runs }) => sum + runs, 0);
  const partial = Tensor.empty(device, [total], 'f32', 'gradient norm');
  let first = 0;
  for (const { grad, part, runs } of pieces) {
    device.run(kernel, 'squares', {
      buffers: { g: bindPart(grad, part), partial_sums: partial.buffer },
      params: { count: part.count, chunk: CHUNK, first, max_norm: maxNorm },
      ...rowPlan(device, runs, CHUNK),
    });
    first += runs;
  }
  const clip = Tensor.empty(device, [3], 'f32', 'gradient norm');
  device.run(kernel, 'finish', {
    buffers: { partial_sums: partial.buffer, clip: clip.buffer },
    params: { count: total, chunk: CHUNK, first: 0, max_norm: maxNorm },
    ...rowPlan(device, 1, total),
  });
  partial.dispose();
  return clip;
}

function runsOf(count: number): number {
  return Math.ceil(count / CHUNK);
}
