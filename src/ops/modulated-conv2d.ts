import { autocast } from '../autograd/autocast.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { convTranspose2d } from './conv-transpose2d.ts';
import { conv2d } from './conv2d.ts';
import { permute, reshape } from './layout.ts';
import { matmul } from './matmul.ts';
import { formatShapes, shapeError } from './op.ts';
import { sum } from './reduce.ts';
import { affine, rsqrt, square } from './unary.ts';

export interface ModulatedConv2dOptions {
  /** Scale every output channel to unit expected length (true). */
  demodulate?: boolean;
  /** Added to the squared length before its root (1e-8). */
  eps?: number;
  /** Transposed convolution with stride 2, without padding: to height (H − 1) 2 + k (false). */
  up?: boolean;
  /** Zeros around the images when not `up` (half the kernel). */
  padding?: number;
}

/**
 * Modulated convolution of StyleGAN2 (Karras et al. 2020, eq. 1 and 3): the weight of each sample is w · s over the input
 * channels, divided by its length √(Σ (w s)² + eps) per output channel. Computed as x·s → conv(w) → ·δ, which needs one
 * weight for all samples. x [N, C, H, W], weight [O, C, k, k], style [N, C], to [N, O, H', W'].
 */
export function modulatedConv2d(
  x: Tensor,
  weight: Tensor,
  style: Tensor,
  options: ModulatedConv2dOptions = {},
): Tensor {
  const { demodulate = true, eps = 1e-8, up = false } = options;
  const [batch, inputs] = x.shape;
  const [outputs, channels, height, width] = weight.shape;
  const ranks = x.rank === 4 && weight.rank === 4 && style.rank === 2;
  const fits = ranks && channels === inputs && height === width;
  if (!fits || style.shape[0] !== batch || style.shape[1] !== inputs) {
    throw shapeError(
      'modulated-conv2d',
      'x [N, C, H, W], weight [O, C, k, k] and style [N, C]',
      formatShapes([x.shape, weight.shape, style.shape]),
    );
  }
  const scaled = mul(x, reshape(style, [batch!, inputs!, 1, 1]));
  const y = up
    ? convTranspose2d(scaled, permute(weight, [1, 0, 2, 3]), null, { stride: 2 })
    : conv2d(scaled, weight, null, { padding: options.padding ?? Math.floor(height! / 2) });
  if (!demodulate) return y;
  // Σ over (c, k, k) of (w s)² is a matrix product of s² with the squared lengths of the filters.
  const lengths = sum(reshape(square(weight), [outputs!, inputs!, height! * width!]), 2);
  const product = () => matmul(square(style), lengths, { transposeB: true });
  const squared = autocast(product, false); // a norm
  return mul(y, reshape(rsqrt(affine(squared, 1, eps)), [batch!, outputs!, 1, 1]));
}
