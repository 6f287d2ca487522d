/** The residual blocks of ResNet (He et al. 2016), with torchvision's names. */
import { add } from '../../ops/binary.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { BatchNorm2d } from '../batch-norm.ts';
import { Conv2d } from '../conv.ts';
import type { Init } from '../layers.ts';
import { Module } from '../module.ts';
import { Sequential } from '../sequential.ts';

/** A 1x1 convolution with the block's stride where its input does not fit its output, else nothing. */
function shortcut(init: Init, inputs: number, outputs: number, stride: number): Sequential | null {
  if (stride === 1 && inputs === outputs) return null;
  return new Sequential(
    new Conv2d(init, inputs, outputs, 1, { stride, bias: false }),
    new BatchNorm2d(init, outputs),
  );
}

/** Two 3x3 convolutions (ResNet18 and 34): x [N, inputs, H, W] to [N, width, H / stride, W / stride]. */
export class BasicBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(init: Init, inputs: number, width: number, stride = 1) {
    super();
    this.conv1 = new Conv2d(init, inputs, width, 3, { stride, padding: 1, bias: false });
    this.bn1 = new BatchNorm2d(init, width);
    this.conv2 = new Conv2d(init, width, width, 3, { padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(init, width);
    this.downsample = shortcut(init, inputs, width, stride);
  }

  forward(x: Tensor): Tensor {
    const identity = this.downsample?.forward(x) ?? x;
    const out = relu(this.bn1.forward(this.conv1.forward(x)));
    return relu(add(this.bn2.forward(this.conv2.forward(out)), identity));
  }
}

/** 1x1, 3x3 (which has the stride), 1x1 to four times the width (ResNet50 and deeper). */
export class Bottleneck extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(init: Init, inputs: number, width: number, stride = 1) {
    super();
    const outputs = 4 * width;
    this.conv1 = new Conv2d(init, inputs, width, 1, { bias: false });
    this.bn1 = new BatchNorm2d(init, width);
    this.conv2 = new Conv2d(init, width, width, 3, { stride, padding: 1, bias: false });
    this.bn2 = new BatchNorm2d(init, width);
    this.conv3 = new Conv2d(init, width, outputs, 1, { bias: false });
    this.bn3 = new BatchNorm2d(init, outputs);
    this.downsample = shortcut(init, inputs, outputs, stride);
  }

  forward(x: Tensor): Tensor {
    const identity = this.downsample?.forward(x) ?? x;
    let out = relu(this.bn1.forward(this.conv1.forward(x)));
    out = relu(this.bn2.forward(this.conv2.forward(out)));
    return relu(add(this.bn3.forward(this.conv3.forward(out)), identity));
  }
}
