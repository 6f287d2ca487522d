import code from '../../shaders/drop-path.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { type Draw, dropping, uniform } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, shapeError } from './op.ts';

const kernel = defineKernel('drop-path', code);

export interface DropPathOptions extends Draw {
  /** Probability of a sample to be dropped, in [0, 1). */
  p: number;
}

function apply(x: Tensor, u: Tensor, p: number, out: Tensor): void {
  const width = x.size / x.shape[0]!;
  for (const part of elementParts(x.device, x.size)) {
    x.device.run(kernel, 'apply', {
      buffers: { x: bindPart(x, part), u: u.buffer, out: bindPart(out, part) },
      params: { first: part.start / 4, vecs: Math.ceil(part.count / 4), width, p },
      ...elementwisePlan(x.device, part.count),
    });
  }
}

export const dropPathOp = defineOp<DropPathOptions>({
  name: 'drop-path',
  inputs: 'x [B, ...]',
  output: '[B, ...]',
  cost: 'N',
  shape([x], { p }) {
    if (!(p >= 0 && p < 1)) {
      throw new HistogradError(
        'option',
        `drop-path: p must be in [0, 1), found ${p}.`,
        'Choose a smaller p.',
      );
    }
    if (x!.length === 0) throw shapeError('drop-path', 'samples [B, ...]', 'a scalar');
    return x!;
  },
  forward([x], options, output) {
    const u = uniform(x!.device, [x!.shape[0]!], options);
    if (x!.size > 0) apply(x!, u, options.p, output);
    return [u];
  },
  gradient({ grad, saved: [u], options: { p } }) {
    const dx = Tensor.empty(grad.device, grad.shape, 'f32', 'drop-path gradient');
    if (grad.size > 0) apply(grad, u!, p, dx);
    return [dx];
  },
});

/**
 * Stochastic depth: sets whole samples of x [B, ...] to zero with probability p and divides the others by 1 − p
 * (Huang et al. 2016; timm's drop_path).
 */
export function dropPath(x: Tensor, p: number, draw: Draw): Tensor {
  return dropPathOp.apply([x], dropping(draw, p));
}
