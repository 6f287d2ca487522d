import code from '../../shaders/clip-value.wgsl';
import type { Parameter } from '../autograd/parameter.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { requireOption } from './require-option.ts';

const kernel = defineKernel('clip-value', code);

/**
 * Brings every element of the gradients into [−clipValue, clipValue], in place
 * (torch.nn.utils.clip_grad_value_). A NaN stays, and makes the optimiser leave the step out.
 */
export function clipGradValue(parameters: Iterable<Parameter>, clipValue: number): void {
  requireOption(clipValue >= 0, 'clipGradValue', 'a limit of at least 0', clipValue);
  for (const { grad, device } of parameters) {
    if (!grad) continue;
    for (const part of elementParts(device, grad.size)) {
      device.run(kernel, 'clamp_values', {
        buffers: { g: bindPart(grad, part) },
        params: { vecs: Math.ceil(part.count / 4), limit: clipValue },
        ...elementwisePlan(device, part.count),
      });
    }
  }
}
