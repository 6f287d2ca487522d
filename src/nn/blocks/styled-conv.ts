import { Parameter } from '../../autograd/parameter.ts';
import { add } from '../../ops/binary.ts';
import { reshape } from '../../ops/layout.ts';
import { linear } from '../../ops/matmul.ts';
import { modulatedConv2d } from '../../ops/modulated-conv2d.ts';
import { affine, leakyRelu } from '../../ops/unary.ts';
import { upfirdn2d } from '../../ops/upfirdn2d.ts';
import { normal } from '../../tensor/random.ts';
import { Tensor } from '../../tensor/tensor.ts';
import type { Init } from '../layers.ts';
import { Module } from '../module.ts';

/**
 * A linear layer with equalised learning rate (Karras et al. 2018): weight N(0, 1 / lr²), scaled by
 * lr / √inputs when used.
 */
class EqualLinear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #lr: number;
  readonly #scale: number;

  /** @param bias its start value @param lr multiplies the learning rate of weight and bias */
  constructor({ device, generator }: Init, inputs: number, outputs: number, bias = 0, lr = 1) {
    super();
    this.weight = Parameter.of(normal(device, [outputs, inputs], generator.next(), 0, 1 / lr));
    this.bias = Parameter.of(Tensor.from(device, new Float32Array(outputs).fill(bias)));
    this.#lr = lr;
    this.#scale = lr / Math.sqrt(inputs);
  }

  forward(x: Tensor): Tensor {
    return linear(x, affine(this.weight, this.#scale), affine(this.bias, this.#lr));
  }
}

/** StyleGAN2's blur: a binomial filter, times 4 to keep the brightness when doubling the size. */
const TAPS = [1, 3, 3, 1];
const BLUR = TAPS.map((a) => TAPS.map((b) => (4 * a * b) / 64));

/**
 * A convolution whose weights a style scales per sample and input channel, normalised to unit length per output
 * channel (Karras et al. 2020, StyleGAN2): x [N, inputs, H, W], style [N, style] to [N, outputs, H, W], or twice
 * the height and width.
 */
class ModulatedConv2d extends Module {
  readonly weight: Parameter;
  readonly modulation: EqualLinear;
  readonly #scale: number;
  readonly #up: boolean;

  constructor(init: Init, { inputs, outputs, kernel, style, up }: StyledConvOptions) {
    super();
    const shape = [1, outputs, inputs, kernel, kernel];
    this.weight = Parameter.of(normal(init.device, shape, init.generator.next(), 0, 1));
    this.modulation = new EqualLinear(init, style, inputs, 1);
    this.#scale = 1 / Math.sqrt(inputs * kernel * kernel);
    this.#up = up;
  }

  forward(x: Tensor, style: Tensor): Tensor {
    const weight = affine(reshape(this.weight, this.weight.shape.slice(1)), this.#scale);
    const y = modulatedConv2d(x, weight, this.modulation.forward(style), { up: this.#up });
    return this.#up ? upfirdn2d(y, BLUR, { padding: [1, 1, 1, 1] }) : y;
  }
}

/** A bias per channel, leaky ReLU (0.2), and √2 to keep the variance. */
class FusedLeakyReLU extends Module {
  readonly bias: Parameter;

  constructor({ device }: Init, width: number) {
    super();
    this.bias = Parameter.of(Tensor.zeros(device, [width]));
  }

  forward(x: Tensor): Tensor {
    const biased = add(x, reshape(this.bias, [1, this.bias.size, 1, 1]));
    return affine(leakyRelu(biased, 0.2), Math.SQRT2);
  }
}

export interface StyledConvOptions {
  inputs: number;
  outputs: number;
  kernel: number;
  /** Width of the style vector. */
  style: number;
  /** Doubles height and width: a transposed convolution, then a blur. */
  up: boolean;
}

/** Modulated convolution, bias and activation as in S2FGAN's generator, which adds no noise. */
export class StyledConv extends Module {
  readonly conv: ModulatedConv2d;
  readonly activate: FusedLeakyReLU;

  constructor(init: Init, options: StyledConvOptions) {
    super();
    this.conv = new ModulatedConv2d(init, options);
    this.activate = new FusedLeakyReLU(init, options.outputs);
  }

  /** x [N, inputs, H, W], style [N, style] to [N, outputs, H, W], or twice the height and width. */
  forward(x: Tensor, style: Tensor): Tensor {
    return this.activate.forward(this.conv.forward(x, style));
  }
}
