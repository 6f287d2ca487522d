/** The layers of the first models, with PyTorch's names, parameter layouts and initialisation. */
import { Parameter } from '../autograd/parameter.ts';
import type { Device } from '../gpu/device.ts';
import { dropout } from '../ops/dropout.ts';
import { layerNorm } from '../ops/layer-norm.ts';
import { linear } from '../ops/matmul.ts';
import { inLayer } from '../ops/op.ts';
import { type Generator, uniform } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

/** What a layer needs to make its parameters. */
export interface Init {
  readonly device: Device;
  readonly generator: Generator;
}

/** y = x Wᵀ + b; weight [out, in], bias [out], both U(−1/√in, 1/√in) as torch.nn.Linear. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(init: Init, inputs: number, outputs: number, bias = true) {
    super(init);
    const { device, generator } = init;
    const bound = 1 / Math.sqrt(inputs);
    this.weight = Parameter.of(uniform(device, [outputs, inputs], generator.next(), -bound, bound));
    this.bias = bias
      ? Parameter.of(uniform(device, [outputs], generator.next(), -bound, bound))
      : null;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => linear(x, this.weight, this.bias));
  }
}

/** Layer normalisation of the last axis; weight 1, bias 0 at first. */
export class LayerNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly eps: number;

  constructor(init: Init, width: number, eps = 1e-5) {
    super(init);
    const { device } = init;
    this.weight = Parameter.of(Tensor.from(device, new Float32Array(width).fill(1)));
    this.bias = Parameter.of(Tensor.zeros(device, [width]));
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => layerNorm(x, this.weight, this.bias, this.eps));
  }
}

/** Dropout in training mode, nothing in evaluation. Each call draws anew from the generator. */
export class Dropout extends Module {
  readonly p: number;
  readonly #generator: Generator;

  constructor(init: Init, p: number) {
    super(init);
    const { generator } = init;
    this.p = p;
    this.#generator = generator;
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.p === 0) return x;
    return inLayer(this.layerName, () => dropout(x, this.p, this.#generator.next()));
  }
}
