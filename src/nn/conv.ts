/** Convolution layers with PyTorch's names, parameter layouts and initialisation. */
import { Parameter } from '../autograd/parameter.ts';
import { type ConvTransposeOptions, convTranspose2d } from '../ops/conv-transpose2d.ts';
import { type ConvOptions, conv2d } from '../ops/conv2d.ts';
import { checkGroups, type PairLike, pair } from '../ops/conv2d-sizes.ts';
import { inLayer } from '../ops/op.ts';
import { uniform } from '../tensor/random.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/** torch's kaiming_uniform_ with a = √5: U(−1/√fan, 1/√fan), for the weight and for the bias. */
function convParameters({ device, generator }: Init, shape: readonly number[], biases: number) {
  const bound = 1 / Math.sqrt(shape[1]! * shape[2]! * shape[3]!);
  const draw = (of: readonly number[]) =>
    Parameter.of(uniform(device, of, generator.next(), -bound, bound));
  return { weight: draw(shape), bias: biases > 0 ? draw([biases]) : null };
}

export interface Conv2dLayerOptions extends ConvOptions {
  /** true. */
  bias?: boolean;
}

/** torch.nn.Conv2d: x [N, inputs, H, W] to [N, outputs, H', W']; weight [outputs, inputs / groups, kH, kW], bias [outputs]. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly #options: ConvOptions;

  constructor(
    init: Init,
    inputs: number,
    outputs: number,
    kernel: PairLike,
    { bias = true, ...options }: Conv2dLayerOptions = {},
  ) {
    super(init);
    const groups = options.groups ?? 1;
    checkGroups('Conv2d', groups, inputs, outputs);
    const shape = [outputs, inputs / groups, ...pair(kernel)];
    ({ weight: this.weight, bias: this.bias } = convParameters(init, shape, bias ? outputs : 0));
    this.#options = options;
  }

  forward(x: Tensor): Tensor {
    const options = { ...this.#options, padding: this.paddingFor(x) };
    return inLayer(this.layerName, () => conv2d(x, this.weight, this.bias, options));
  }

  /** For layers whose zeros depend on the size of x. */
  protected paddingFor(_: Tensor): NonNullable<ConvOptions['padding']> {
    return this.#options.padding ?? 0;
  }
}

export interface ConvTranspose2dLayerOptions extends ConvTransposeOptions {
  /** true. */
  bias?: boolean;
}

/**
 * torch.nn.ConvTranspose2d: x [N, inputs, H, W] to [N, outputs, H', W']; weight [inputs, outputs / groups, kH, kW],
 * bias [outputs].
 */
export class ConvTranspose2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  readonly #options: ConvTransposeOptions;

  constructor(
    init: Init,
    inputs: number,
    outputs: number,
    kernel: PairLike,
    { bias = true, ...options }: ConvTranspose2dLayerOptions = {},
  ) {
    super(init);
    const groups = options.groups ?? 1;
    checkGroups('ConvTranspose2d', groups, inputs, outputs);
    const shape = [inputs, outputs / groups, ...pair(kernel)];
    ({ weight: this.weight, bias: this.bias } = convParameters(init, shape, bias ? outputs : 0));
    this.#options = options;
  }

  forward(x: Tensor): Tensor {
    return inLayer(this.layerName, () => convTranspose2d(x, this.weight, this.bias, this.#options));
  }
}
