import type { Tensor } from '../tensor/tensor.ts';
import { Module } from './module.ts';

/** A layer of one input. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/** Layers one after the other; in state dicts they are called 0, 1, … as in PyTorch. */
export class Sequential extends Module {
  readonly #layers: readonly Layer[];

  constructor(...layers: Layer[]) {
    super();
    this.#layers = layers;
    Object.assign(this, layers); // public properties '0', '1', …, among which `Module` looks
  }

  forward(x: Tensor): Tensor {
    return this.#layers.reduce((value, layer) => layer.forward(value), x);
  }

  get length(): number {
    return this.#layers.length;
  }

  /** Layer `index`; negative counts from the end. */
  at(index: number): Layer | undefined {
    return this.#layers.at(index);
  }
}
