import { dropPath } from '../ops/drop-path.ts';
import { inLayer } from '../ops/op.ts';
import type { Generator } from '../tensor/random.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/** Stochastic depth in training mode, nothing in evaluation (timm's DropPath). Each call draws anew. */
export class DropPath extends Module {
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
    return inLayer(this.layerName, () => dropPath(x, this.p, this.#generator.next()));
  }
}
