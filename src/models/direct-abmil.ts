/**
 * Direct-ABMIL (Gustafsson & Rantalainen 2024; attention after Ilse et al. 2018 in CLAM's sizes):
 * h = dropout(ReLU(embed(x))), attention pooling, one linear head for all genes, mean squared error.
 */

import { trimmed } from '../autograd/tape.ts';
import { AttentionPool } from '../nn/attention-pool.ts';
import { Dropout, Linear } from '../nn/layers.ts';
import { mse } from '../ops/mse.ts';
import { relu } from '../ops/unary.ts';
import type { Generator } from '../tensor/random.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Bags,
  ExpressionModel,
  type ModelContext,
  type ModelSizes,
  type Prediction,
} from './model.ts';
import { readBack } from './read-back.ts';

export interface DirectAbmilOptions {
  /** Width of the embedding h. */
  hidden: number;
  /** Width of the attention branches. */
  attention: number;
  /** Gated attention (tanh ⊙ sigmoid) or plain (tanh). */
  gated: boolean;
  dropout: number;
}

/** CLAM-small; the paper's own sizes were not reachable. */
export const DIRECT_ABMIL: DirectAbmilOptions = {
  hidden: 512,
  attention: 256,
  gated: true,
  dropout: 0.25,
};

export class DirectAbmil extends ExpressionModel {
  readonly trainable = true;
  /** What dropout draws from. */
  readonly generator: Generator;
  readonly embed: Linear;
  readonly drop: Dropout;
  readonly attention: AttentionPool;
  readonly head: Linear;

  constructor(context: ModelContext, { width, genes }: ModelSizes, options: DirectAbmilOptions) {
    super();
    const { hidden, attention, gated, dropout } = options;
    this.generator = context.generator;
    this.embed = new Linear(context, width, hidden);
    this.drop = new Dropout(context, dropout);
    this.attention = new AttentionPool(context, {
      inputs: hidden,
      hidden: attention,
      gated,
      dropout,
    });
    this.head = new Linear(context, hidden, genes);
  }

  /** Features [total, d] to h [total, hidden]. */
  hidden(features: Tensor): Tensor {
    return trimmed(() => this.drop.forward(relu(this.embed.forward(features))));
  }

  /** Expression [B, G] and attention [total, 1]. */
  forward({ features, segments }: Bags): { expression: Tensor; attention: Tensor } {
    const h = this.hidden(features);
    const { pooled, attention } = this.attention.forward(h, segments);
    return { expression: this.head.forward(pooled), attention };
  }

  override loss(bags: Bags, targets: Tensor): Tensor {
    return mse(this.forward(bags).expression, targets);
  }

  predict(bags: Bags): Promise<Prediction> {
    return readBack(() => this.forward(bags));
  }

  /** The head on each patch alone, as a bag of one: its attention weight is 1. */
  override async predictPatches(features: Tensor): Promise<Float32Array> {
    const { expression } = await readBack(() => ({
      expression: this.head.forward(this.hidden(features)),
    }));
    return expression;
  }
}
