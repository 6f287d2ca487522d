import { HistogradError } from '../errors.ts';
import { sameShape, type Tensor } from '../tensor/tensor.ts';
import { add, mul, sub } from './binary.ts';
import { channelUnitNorm } from './channel-norm.ts';
import { reshape } from './layout.ts';
import { formatShapes, shapeError } from './op.ts';
import { sum } from './reduce.ts';
import { type ReductionOptions, reduceLosses } from './reduction.ts';
import { affine, square } from './unary.ts';

/**
 * LPIPS (Zhang et al. 2018, eq. 1) of two images from their features: over layers, Σ of the mean over positions of
 * Σ_c w_c (f1 − f2)², the features scaled to unit length over their channels. `first[l]` and `second[l]` are
 * [N, C_l, H_l, W_l], `weights[l]` [1, C_l, 1, 1], not negative. The mean over the N images unless told otherwise.
 */
export function featureDistance(
  first: readonly Tensor[],
  second: readonly Tensor[],
  weights: readonly Tensor[],
  { reduction = 'mean' }: ReductionOptions = {},
): Tensor {
  if (first.length !== second.length || first.length !== weights.length || first.length === 0) {
    throw new HistogradError(
      'option',
      `feature-distance: expected as many layers of features as of weights, found ${first.length}, ${second.length} and ${weights.length}.`,
      'Give the features of the same layers for both images, and the weights of each.',
    );
  }
  const distances = first.map((f, l) => layerDistance(f, second[l]!, weights[l]!));
  return reduceLosses('feature-distance', distances.reduce(add), reduction);
}

function layerDistance(a: Tensor, b: Tensor, weight: Tensor): Tensor {
  const [n = 0, channels = 0, height = 0, width = 0] = a.shape;
  if (
    a.rank !== 4 ||
    a.size === 0 ||
    !sameShape(a.shape, b.shape) ||
    !sameShape(weight.shape, [1, channels, 1, 1])
  ) {
    throw shapeError(
      'feature-distance',
      'features [N, C, H, W] of both and weights [1, C, 1, 1]',
      formatShapes([a.shape, b.shape, weight.shape]),
    );
  }
  const squares = mul(square(sub(channelUnitNorm(a), channelUnitNorm(b))), weight);
  const perImage = sum(reshape(squares, [n, channels * height * width]), 1);
  return affine(perImage, 1 / (height * width));
}
