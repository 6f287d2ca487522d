import { trimmed } from '../autograd/tape.ts';
import { mul } from '../ops/binary.ts';
import { segmentSoftmax, segmentWeightedSum } from '../ops/segment.ts';
import { sigmoid, tanh } from '../ops/unary.ts';
import type { Segments } from '../tensor/segments.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Dropout, type Init, Linear } from './layers.ts';
import { Module } from './module.ts';

export interface AttentionPoolOptions {
  inputs: number;
  hidden: number;
  /** Gated attention multiplies by a sigmoid branch. */
  gated: boolean;
  /** Dropout after each branch (CLAM). */
  dropout: number;
}

/**
 * Attention-based multiple-instance pooling (Ilse et al. 2018): scores
 * aₙ = w(tanh(V hₙ) ⊙ σ(U hₙ)), without U when plain; weights A = softmax over the bag; z = Σ Aₙ hₙ.
 */
export class AttentionPool extends Module {
  readonly V: Linear;
  readonly U: Linear | null;
  readonly w: Linear;
  readonly dropV: Dropout;
  readonly dropU: Dropout;

  constructor(init: Init, { inputs, hidden, gated, dropout }: AttentionPoolOptions) {
    super(init);
    this.V = new Linear(init, inputs, hidden);
    this.U = gated ? new Linear(init, inputs, hidden) : null;
    this.w = new Linear(init, hidden, 1);
    this.dropV = new Dropout(init, dropout);
    this.dropU = new Dropout(init, dropout);
  }

  /** h [total, inputs] to z [B, inputs] and the weights [total, 1]. */
  forward(h: Tensor, segments: Segments): { pooled: Tensor; attention: Tensor } {
    const attention = segmentSoftmax(this.scores(h), segments);
    return { pooled: segmentWeightedSum(h, attention, segments), attention };
  }

  /** h [total, inputs] to aₙ [total, 1], before the softmax. */
  scores(h: Tensor): Tensor {
    return trimmed(() => {
      const value = this.dropV.forward(tanh(this.V.forward(h)));
      const gated = this.U ? mul(value, this.dropU.forward(sigmoid(this.U.forward(h)))) : value;
      return this.w.forward(gated);
    });
  }
}
