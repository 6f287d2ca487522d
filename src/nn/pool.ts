/** Pooling as layers, for x [N, C, H, W]; they have no parameters, and take no `Init`. */
import type { PairLike } from '../ops/conv2d-sizes.ts';
import { inLayer } from '../ops/op.ts';
import {
  type AvgPool2dOptions,
  adaptiveAvgPool2d,
  avgPool2d,
  type MaxPool2dOptions,
  maxPool2d,
} from '../ops/pool2d.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

/** torch.nn.MaxPool2d. */
export class MaxPool2d extends Module {
  readonly #kernelSize: PairLike;
  readonly #options: Omit<MaxPool2dOptions, 'kernelSize'>;

  constructor(kernelSize: PairLike, options: Omit<MaxPool2dOptions, 'kernelSize'> = {}) {
    super();
    this.#kernelSize = kernelSize;
    this.#options = options;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => maxPool2d(x, this.#kernelSize, this.#options));
  }
}

/** torch.nn.AvgPool2d. */
export class AvgPool2d extends Module {
  readonly #kernelSize: PairLike;
  readonly #options: Omit<AvgPool2dOptions, 'kernelSize'>;

  constructor(kernelSize: PairLike, options: Omit<AvgPool2dOptions, 'kernelSize'> = {}) {
    super();
    this.#kernelSize = kernelSize;
    this.#options = options;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => avgPool2d(x, this.#kernelSize, this.#options));
  }
}

/** torch.nn.AdaptiveAvgPool2d. */
export class AdaptiveAvgPool2d extends Module {
  readonly #outputSize: PairLike;

  constructor(outputSize: PairLike) {
    super();
    this.#outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => adaptiveAvgPool2d(x, this.#outputSize));
  }
}
