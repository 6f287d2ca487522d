import { add } from '../../ops/binary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { GELU } from '../activation.ts';
import { BatchNorm2d } from '../batch-norm.ts';
import { Conv2d } from '../conv.ts';
import type { Init } from '../layers.ts';
import { Module } from '../module.ts';
import { Sequential } from '../sequential.ts';

/**
 * The ConvMixer block of Hist2ST (Zeng et al. 2022): two depthwise convolutions around which the input is
 * added, then a pointwise one; x [N, width, H, W] to the same.
 */
export class ConvMixerBlock extends Module {
  readonly dw: Sequential;
  readonly pw: Sequential;

  /** @param kernel odd */
  constructor(init: Init, width: number, kernel: number) {
    super();
    const depthwise = () =>
      new Conv2d(init, width, width, kernel, { padding: (kernel - 1) / 2, groups: width });
    this.dw = new Sequential(
      depthwise(),
      new BatchNorm2d(init, width),
      new GELU(),
      depthwise(),
      new BatchNorm2d(init, width),
      new GELU(),
    );
    this.pw = new Sequential(
      new Conv2d(init, width, width, 1),
      new GELU(),
      new BatchNorm2d(init, width),
    );
  }

  forward(x: Tensor): Tensor {
    return this.pw.forward(add(x, this.dw.forward(x)));
  }
}
