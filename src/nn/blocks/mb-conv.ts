import { add, mul } from '../../ops/binary.ts';
import { reshape } from '../../ops/layout.ts';
import { globalAvgPool2d } from '../../ops/pool2d.ts';
import { sigmoid, silu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { BatchNorm2d } from '../batch-norm.ts';
import { Conv2d } from '../conv.ts';
import type { Init } from '../layers.ts';
import { Module } from '../module.ts';

/** Channels weighted by a gate computed from their means (Hu et al. 2018; timm's names, SiLU between). */
class SqueezeExcite extends Module {
  readonly conv_reduce: Conv2d;
  readonly conv_expand: Conv2d;

  constructor(init: Init, width: number, reduced: number) {
    super();
    this.conv_reduce = new Conv2d(init, width, reduced, 1);
    this.conv_expand = new Conv2d(init, reduced, width, 1);
  }

  forward(x: Tensor): Tensor {
    const [n, c] = x.shape as [number, number];
    const means = reshape(globalAvgPool2d(x), [n, c, 1, 1]);
    return mul(x, sigmoid(this.conv_expand.forward(silu(this.conv_reduce.forward(means)))));
  }
}

export interface MBConvOptions {
  inputs: number;
  outputs: number;
  expansion: number;
  stride: number;
}

/**
 * The inverted residual with squeeze-excite of EfficientNet (Tan & Le 2019; timm's InvertedResidual and
 * names): x [N, inputs, H, W] to [N, outputs, H / stride, W / stride]. The gate reduces to inputs / 4.
 */
export class MBConv extends Module {
  readonly conv_pw: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv_dw: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly se: SqueezeExcite;
  readonly conv_pwl: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly #residual: boolean;

  constructor(init: Init, { inputs, outputs, expansion, stride }: MBConvOptions) {
    super();
    const middle = inputs * expansion;
    const depthwise = { stride, padding: 1, groups: middle, bias: false };
    this.conv_pw = new Conv2d(init, inputs, middle, 1, { bias: false });
    this.bn1 = new BatchNorm2d(init, middle);
    this.conv_dw = new Conv2d(init, middle, middle, 3, depthwise);
    this.bn2 = new BatchNorm2d(init, middle);
    this.se = new SqueezeExcite(init, middle, Math.max(1, Math.floor(inputs / 4)));
    this.conv_pwl = new Conv2d(init, middle, outputs, 1, { bias: false });
    this.bn3 = new BatchNorm2d(init, outputs);
    this.#residual = stride === 1 && inputs === outputs;
  }

  forward(x: Tensor): Tensor {
    let y = silu(this.bn1.forward(this.conv_pw.forward(x)));
    y = this.se.forward(silu(this.bn2.forward(this.conv_dw.forward(y))));
    y = this.bn3.forward(this.conv_pwl.forward(y));
    return this.#residual ? add(x, y) : y;
  }
}
