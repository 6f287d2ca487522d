/** Batch normalisation with PyTorch's names and defaults. */
import { Parameter } from '../autograd/parameter.ts';
import { batchNorm } from '../ops/batch-norm.ts';
import { formatShape, inLayer, shapeError } from '../ops/op.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/**
 * Batch normalisation of axis 1. In training with the statistics of the batch, which move `running_mean` and `running_var`; in
 * evaluation, and where `weight` is frozen, with those. Weight 1, bias 0 at first. PyTorch's num_batches_tracked, which nothing
 * here needs, is not kept.
 */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  readonly running_mean: Tensor;
  readonly running_var: Tensor;
  readonly eps: number;
  readonly momentum: number;
  readonly #name: string;
  readonly #ranks: readonly number[];

  constructor(
    init: Init,
    [name, expected]: readonly [string, readonly number[]],
    features: number,
    eps: number,
    momentum: number,
    affine: boolean,
  ) {
    super(init);
    const { device } = init;
    const ones = () => Tensor.from(device, new Float32Array(features).fill(1));
    this.weight = affine ? Parameter.of(ones()) : null;
    this.bias = affine ? Parameter.of(Tensor.zeros(device, [features])) : null;
    this.running_mean = keep(Tensor.zeros(device, [features]));
    this.running_var = keep(ones());
    this.eps = eps;
    this.momentum = momentum;
    this.#name = name;
    this.#ranks = expected;
  }

  forward(x: Tensor): Tensor {
    const { eps, momentum, running_mean: runningMean, running_var: runningVar } = this;
    const training = this.training && !this.weight?.frozen;
    return inLayer(this.layerName, () => {
      if (!this.#ranks.includes(x.rank) || x.shape[1] !== runningMean.size) {
        const features = `${this.#ranks.join(' or ')} dimensions, the second of ${runningMean.size}`;
        throw shapeError(this.#name, features, formatShape(x.shape));
      }
      const options = { training, eps, momentum, runningMean, runningVar };
      return batchNorm(x, this.weight, this.bias, options);
    });
  }
}

/** torch.nn.BatchNorm1d: x [N, features] or [N, features, L]. */
export class BatchNorm1d extends BatchNorm {
  constructor(init: Init, features: number, eps = 1e-5, momentum = 0.1, affine = true) {
    super(init, ['BatchNorm1d', [2, 3]], features, eps, momentum, affine);
  }
}

/** torch.nn.BatchNorm2d: x [N, features, H, W]. */
export class BatchNorm2d extends BatchNorm {
  constructor(init: Init, features: number, eps = 1e-5, momentum = 0.1, affine = true) {
    super(init, ['BatchNorm2d', [4]], features, eps, momentum, affine);
  }
}
