import { concat } from '../../ops/layout.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { BatchNorm2d } from '../batch-norm.ts';
import { Conv2d } from '../conv.ts';
import type { Init } from '../layers.ts';
import { Module } from '../module.ts';

/**
 * A layer of a dense block (Huang et al. 2017; torchvision's names): x [N, inputs, H, W] to x with `growth`
 * new channels behind its own. Torchvision concatenates in the block; here the layer does.
 */
export class DenseLayer extends Module {
  readonly norm1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly norm2: BatchNorm2d;
  readonly conv2: Conv2d;

  /** @param bottleneck the 1x1 convolution gives bottleneck · growth channels */
  constructor(init: Init, inputs: number, growth: number, bottleneck = 4) {
    super();
    const middle = bottleneck * growth;
    this.norm1 = new BatchNorm2d(init, inputs);
    this.conv1 = new Conv2d(init, inputs, middle, 1, { bias: false });
    this.norm2 = new BatchNorm2d(init, middle);
    this.conv2 = new Conv2d(init, middle, growth, 3, { padding: 1, bias: false });
  }

  forward(x: Tensor): Tensor {
    const squeezed = this.conv1.forward(relu(this.norm1.forward(x)));
    return concat([x, this.conv2.forward(relu(this.norm2.forward(squeezed)))], 1);
  }
}
