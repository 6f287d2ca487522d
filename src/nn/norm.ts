import { pixelNorm } from '../ops/channel-norm.ts';
import { inLayer } from '../ops/op.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

/** StyleGAN's PixelNorm: x [N, C, ...] / √(mean of x² over the channels + eps). */
export class PixelNorm extends Module {
  readonly eps: number;

  constructor(eps = 1e-8) {
    super();
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => pixelNorm(x, this.eps));
  }
}
