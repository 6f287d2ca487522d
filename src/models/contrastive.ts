/**
 * Contrastive (Gustafsson & Rantalainen 2024, after TANGLE, Jaume et al. 2024): an attention-pooled
 * image embedding and an embedding of the expression profile are pulled together by InfoNCE. A slide
 * is predicted as the weighted mean of the training profiles whose embeddings are most similar to its own.
 */
import { trimmed } from '../autograd/tape.ts';
import { AttentionPool } from '../nn/attention-pool.ts';
import { Dropout, type Init, LayerNorm, Linear } from '../nn/layers.ts';
import { Module } from '../nn/module.ts';
import { infoNce } from '../ops/info-nce.ts';
import { l2Normalize } from '../ops/l2-normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { relu } from '../ops/unary.ts';
import { Tensor } from '../tensor/tensor.ts';
import {
  type Bags,
  ExpressionModel,
  type ModelContext,
  type ModelSizes,
  type Prediction,
  type TrainingSet,
} from './model.ts';
import { readBack } from './read-back.ts';
import { type RetrievalOptions, retrieve } from './retrieval.ts';

export interface ContrastiveOptions {
  /** Width of the shared embedding space, and of the image branch. */
  hidden: number;
  attention: number;
  gated: boolean;
  /** Dropout of the image branch. */
  dropout: number;
  /** Hidden width of the gene branch; TANGLE's (the number of genes) would be 1.7 GB at 20,530. */
  geneHidden: number;
  geneDropout: number;
  /** Temperature of InfoNCE. */
  temperature: number;
  /** Training profiles a prediction averages over, how, and at which temperature. */
  k: number;
  weighting: RetrievalOptions['weighting'];
  retrievalTemperature: number;
}

export const CONTRASTIVE: ContrastiveOptions = {
  hidden: 512,
  attention: 256,
  gated: true,
  dropout: 0.25,
  geneHidden: 512,
  geneDropout: 0.2,
  temperature: 0.01,
  k: 100,
  weighting: 'softmax',
  retrievalTemperature: 0.01,
};

class ImageBranch extends Module {
  readonly embed: Linear;
  readonly drop: Dropout;
  readonly attention: AttentionPool;

  constructor(
    init: Init,
    width: number,
    { hidden, attention, gated, dropout }: ContrastiveOptions,
  ) {
    super();
    this.embed = new Linear(init, width, hidden);
    this.drop = new Dropout(init, dropout);
    this.attention = new AttentionPool(init, { inputs: hidden, hidden: attention, gated, dropout });
  }

  forward({ features, segments }: Bags): { pooled: Tensor; attention: Tensor } {
    const h = trimmed(() => this.drop.forward(relu(this.embed.forward(features))));
    return this.attention.forward(h, segments);
  }
}

/** [Linear, LayerNorm, ReLU, dropout] twice, then Linear (TANGLE's expression encoder). */
class GeneBranch extends Module {
  readonly linear1: Linear;
  readonly norm1: LayerNorm;
  readonly linear2: Linear;
  readonly norm2: LayerNorm;
  readonly linear3: Linear;
  readonly drop: Dropout;

  constructor(init: Init, genes: number, { geneHidden, hidden, geneDropout }: ContrastiveOptions) {
    super();
    this.linear1 = new Linear(init, genes, geneHidden);
    this.norm1 = new LayerNorm(init, geneHidden);
    this.linear2 = new Linear(init, geneHidden, geneHidden);
    this.norm2 = new LayerNorm(init, geneHidden);
    this.linear3 = new Linear(init, geneHidden, hidden);
    this.drop = new Dropout(init, geneDropout);
  }

  forward(expression: Tensor): Tensor {
    const first = this.drop.forward(relu(this.norm1.forward(this.linear1.forward(expression))));
    const second = this.drop.forward(relu(this.norm2.forward(this.linear2.forward(first))));
    return this.linear3.forward(second);
  }
}

/** Training profiles are embedded this many at a time. */
const PROFILES_PER_BATCH = 64;

export class Contrastive extends ExpressionModel {
  readonly trainable = true;
  readonly image: ImageBranch;
  readonly gene: GeneBranch;
  readonly options: ContrastiveOptions;
  readonly #context: ModelContext;

  constructor(context: ModelContext, { width, genes }: ModelSizes, options: ContrastiveOptions) {
    super();
    this.#context = context;
    this.options = options;
    this.image = new ImageBranch(context, width, options);
    this.gene = new GeneBranch(context, genes, options);
  }

  override loss(bags: Bags, targets: Tensor): Tensor {
    const { pooled } = this.image.forward(bags);
    return infoNce(pooled, this.gene.forward(targets), this.options.temperature);
  }

  /** Remembers the training profiles, and their unit embeddings by the gene branch as it is now. */
  override async prepare({ targets, count }: TrainingSet): Promise<void> {
    const { device } = this.#context;
    const genes = targets.length / count;
    const { hidden } = this.options;
    const embedded = new Float32Array(count * hidden);
    const wasTraining = this.training;
    this.eval();
    for (let from = 0; from < count; from += PROFILES_PER_BATCH) {
      const to = Math.min(count, from + PROFILES_PER_BATCH);
      const { unit } = await readBack(() => {
        const shape = [to - from, genes];
        const batch = Tensor.from(device, targets.slice(from * genes, to * genes), shape);
        return { unit: l2Normalize(this.gene.forward(batch)) };
      });
      embedded.set(unit, from * hidden);
    }
    this.train(wasTraining);
    this.memory.set('profiles', { shape: [count, genes], data: targets });
    this.memory.set('embeddings', { shape: [count, hidden], data: embedded });
  }

  async predict(bags: Bags): Promise<Prediction> {
    const profiles = this.recall('profiles');
    const embeddings = this.recall('embeddings');
    const { scores, attention } = await readBack(() => {
      const { pooled, attention } = this.image.forward(bags);
      const training = Tensor.from(this.#context.device, embeddings.data, embeddings.shape);
      return { scores: matmul(l2Normalize(pooled), training, { transposeB: true }), attention };
    });
    const { k, weighting, retrievalTemperature: temperature } = this.options;
    const [count, genes] = profiles.shape as [number, number];
    const expression = new Float32Array(bags.segments.count * genes);
    for (let b = 0; b < bags.segments.count; b++) {
      const row = Float64Array.from(scores.subarray(b * count, (b + 1) * count));
      expression.set(retrieve(row, profiles.data, { k, weighting, temperature }), b * genes);
    }
    return { expression, attention };
  }
}
