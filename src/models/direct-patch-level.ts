/**
 * Direct-Patch-Level (Gustafsson & Rantalainen 2024): a network on every patch, ŷ = mean over the bag of
 * head(ReLU(hidden(x))). The mean commutes with the last layer, so that training and bag prediction
 * average the hidden layer first and apply the head once per bag: the same numbers, without
 * patches × genes products. `predictPatches` applies the head to every patch, for maps.
 */
import { trimmed } from '../autograd/tape.ts';
import { Dropout, Linear } from '../nn/layers.ts';
import { mse } from '../ops/mse.ts';
import { segmentMean } from '../ops/segment.ts';
import { relu } from '../ops/unary.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  type Bags,
  ExpressionModel,
  type ModelContext,
  type ModelSizes,
  type Prediction,
} from './model.ts';
import { readBack } from './read-back.ts';

export interface DirectPatchLevelOptions {
  hidden: number;
  dropout: number;
}

export const DIRECT_PATCH_LEVEL: DirectPatchLevelOptions = { hidden: 512, dropout: 0 };

export class DirectPatchLevel extends ExpressionModel {
  readonly trainable = true;
  readonly hidden: Linear;
  readonly drop: Dropout;
  readonly head: Linear;

  constructor(
    context: ModelContext,
    { width, genes }: ModelSizes,
    options: DirectPatchLevelOptions,
  ) {
    super();
    this.hidden = new Linear(context, width, options.hidden);
    this.drop = new Dropout(context, options.dropout);
    this.head = new Linear(context, options.hidden, genes);
  }

  /** Expression [B, G]. */
  forward({ features, segments }: Bags): Tensor {
    return this.head.forward(segmentMean(this.patchHidden(features), segments));
  }

  override loss(bags: Bags, targets: Tensor): Tensor {
    return mse(this.forward(bags), targets);
  }

  async predict(bags: Bags): Promise<Prediction> {
    return readBack(() => ({ expression: this.forward(bags) }));
  }

  override async predictPatches(features: Tensor): Promise<Float32Array> {
    const patches = () => this.head.forward(this.patchHidden(features));
    const { expression } = await readBack(() => ({ expression: patches() }));
    return expression;
  }

  private patchHidden(features: Tensor): Tensor {
    return trimmed(() => this.drop.forward(relu(this.hidden.forward(features))));
  }
}
