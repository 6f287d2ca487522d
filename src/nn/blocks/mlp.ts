import { gelu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type Init, Linear } from '../layers.ts';
import { Module } from '../module.ts';

/** The two-layer perceptron of transformer blocks, GELU between (timm's names). */
export class Mlp extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;

  constructor(init: Init, width: number, hidden: number) {
    super();
    this.fc1 = new Linear(init, width, hidden);
    this.fc2 = new Linear(init, hidden, width);
  }

  /** x [..., width] to the same shape. */
  forward(x: Tensor): Tensor {
    return this.fc2.forward(gelu(this.fc1.forward(x)));
  }
}
