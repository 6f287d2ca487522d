import code from '../../shaders/zinb.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, elementParts, rowParts } from '../tensor/parts.ts';
import { sameShape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { sumAllInto } from './reduce.ts';
import { affine } from './unary.ts';

const kernel = defineKernel('zinb', code);
const CHUNK = 1024;

export interface ZinbOptions {
  /** The counts, of the shape of the inputs; needed until the gradient is computed. */
  counts: Tensor;
  ridgeLambda: number;
  eps: number;
}

export const zinbOp = defineOp<ZinbOptions>({
  name: 'zinb',
  inputs: 'mean [...], dispersion [...], dropout [...]',
  output: '[]',
  cost: '200·N',
  shape(inputs, { counts }) {
    const shapes = [counts.shape, ...inputs];
    if (sizeOf(counts.shape) === 0 || shapes.some((shape) => !sameShape(shape, counts.shape))) {
      throw shapeError(
        'zinb',
        'counts, mean, dispersion and dropout of one shape, not empty',
        formatShapes(shapes),
      );
    }
    if (counts.dtype !== 'f32') {
      throw new HistogradError(
        'dtype',
        `zinb: expected float32 counts, found ${counts.dtype}.`,
        'Convert the counts to float32.',
      );
    }
    return [];
  },
  forward(inputs, { counts, ridgeLambda: ridge, eps }, output) {
    const [m, d, p] = inputs as [Tensor, Tensor, Tensor];
    const { device, size } = m;
    const runs = Math.ceil(size / CHUNK);
    const partial = Tensor.empty(device, [runs], 'f32', 'zinb');
    for (const { start, count: rows } of rowParts(device, runs, [CHUNK])) {
      const part = { start: start * CHUNK, count: Math.min(rows * CHUNK, size - start * CHUNK) };
      const bind = (t: Tensor) => bindPart(t, part);
      device.run(kernel, 'forward', {
        buffers: { x: bind(counts), m: bind(m), d: bind(d), p: bind(p), out: partial.buffer },
        params: { count: part.count, chunk: CHUNK, first_run: start, scale: 1 / size, ridge, eps },
        ...rowPlan(device, rows, CHUNK / 4),
      });
    }
    sumAllInto(partial, output);
    partial.dispose();
  },
  gradient({ grad, inputs, options: { counts, ridgeLambda: ridge, eps } }) {
    const [m, d, p] = inputs as [Tensor, Tensor, Tensor];
    const { device, shape, size } = m;
    const [dm, dd, dp] = inputs.map(() => Tensor.empty(device, shape, 'f32', 'zinb gradient'));
    for (const part of elementParts(device, size)) {
      const bind = (t: Tensor) => bindPart(t, part);
      device.run(kernel, 'backward', {
        buffers: {
          x: bind(counts),
          m: bind(m),
          d: bind(d),
          p: bind(p),
          g: grad.buffer,
          dm: bind(dm!),
          dd: bind(dd!),
          dp: bind(dp!),
        },
        params: { count: part.count, chunk: CHUNK, first_run: 0, scale: 1 / size, ridge, eps },
        ...elementwisePlan(device, part.count),
      });
    }
    return [dm!, dd!, dp!];
  },
});

export interface ZinbLossOptions {
  /** What the mean is multiplied by: the size factor of each spot (row), or one for all. */
  scaleFactor?: number | ArrayLike<number>;
  /** Adds ridgeLambda · dropout². */
  ridgeLambda?: number;
  eps?: number;
}

/**
 * Mean negative log-likelihood of counts [N, G] under a zero-inflated negative binomial (Eraslan et al. 2019, as in
 * Hist2ST): `mean` = clamp(exp(·), 1e-5, 1e6), `dispersion` = clamp(softplus(·), 1e-4, 1e4) and `dropout` =
 * sigmoid(·), the probability of a zero besides the binomial's, all [N, G]. The counts have no gradient.
 */
export function zinbLoss(
  counts: Tensor,
  mean: Tensor,
  dispersion: Tensor,
  dropout: Tensor,
  { scaleFactor = 1, ridgeLambda = 0, eps = 1e-10 }: ZinbLossOptions = {},
): Tensor {
  return zinbOp.apply([scaled(mean, scaleFactor), dispersion, dropout], {
    counts,
    ridgeLambda,
    eps,
  });
}

function scaled(mean: Tensor, factor: number | ArrayLike<number>): Tensor {
  if (typeof factor === 'number') return factor === 1 ? mean : affine(mean, factor);
  if (mean.rank !== 2 || factor.length !== mean.shape[0]) {
    throw shapeError(
      'zinb',
      `a mean [${factor.length}, G] for ${factor.length} scale factors`,
      formatShapes([mean.shape]),
    );
  }
  return mul(mean, Tensor.from(mean.device, Float32Array.from(factor), [factor.length, 1]));
}
