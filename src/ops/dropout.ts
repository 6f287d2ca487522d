import code from '../../shaders/dropout.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { type Draw, dropping } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp } from './op.ts';

const kernel = defineKernel('dropout', code);

export interface DropoutOptions extends Draw {
  /** Probability of an element to be dropped, in [0, 1). */
  p: number;
}

function apply(x: Tensor, options: DropoutOptions, out: Tensor): void {
  const { p, seed } = options;
  for (const part of elementParts(x.device, x.size)) {
    x.device.run(kernel, 'apply', {
      buffers: { x: bindPart(x, part), out: bindPart(out, part) },
      params: () => ({
        seed,
        offset: options.offset,
        first: part.start / 4,
        vecs: Math.ceil(part.count / 4),
        p,
      }),
      ...elementwisePlan(x.device, part.count),
    });
  }
}

export const dropoutOp = defineOp<DropoutOptions>({
  name: 'dropout',
  inputs: 'x [...]',
  output: '[...]',
  cost: 'N',
  shape([x], { p }) {
    if (!(p >= 0 && p < 1)) {
      throw new HistogradError(
        'option',
        `dropout: p must be in [0, 1), found ${p}.`,
        'Choose a smaller p.',
      );
    }
    return x!;
  },
  forward: ([x], options, output) => apply(x!, options, output),
  reads: [],
  gradient({ grad, options }) {
    const dx = Tensor.empty(grad.device, grad.shape, 'f32', 'dropout gradient');
    apply(grad, options, dx);
    return [dx];
  },
});

/** Sets elements to zero with probability p and divides the others by 1 − p (Srivastava et al. 2014). */
export function dropout(x: Tensor, p: number, draw: Draw): Tensor {
  return dropoutOp.apply([x], dropping(draw, p));
}
