/** What every model that predicts expression from bags of patch features offers. */
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { Module, type StateTensor } from '../nn/module.ts';
import type { Generator } from '../tensor/random.ts';
import type { Segments } from '../tensor/segments.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** A batch of bags on the GPU: features [total, d] of all patches, and where each bag begins. */
export interface Bags {
  readonly features: Tensor;
  readonly segments: Segments;
}

export interface Prediction {
  /** [B, G] row-major. */
  expression: Float32Array;
  /** Weight of each patch in its bag [total]; sums to 1 over a bag. Only models with attention. */
  attention?: Float32Array;
}

/** What a model may look at again after training: the training slides' expression, and their bags. */
export interface TrainingSet {
  /** [n, G] row-major, in the order in which `batches` gives the slides. */
  readonly targets: Float32Array;
  readonly count: number;
  batches(): AsyncIterable<Bags>;
}

/** Where a new model's parameters live and what initialises them (and its dropout). */
export interface ModelContext {
  readonly device: Device;
  readonly generator: Generator;
}

export interface ModelSizes {
  /** Width of a patch feature. */
  readonly width: number;
  /** Number of genes. */
  readonly genes: number;
}

export abstract class ExpressionModel extends Module {
  /** False for models without gradient training (kNN, ridge): `prepare` is all their training. */
  abstract readonly trainable: boolean;

  /**
   * What `prepare` found out about the training set, by name. A checkpoint stores it next to the
   * parameters, so that prediction needs no training data.
   */
  memory = new Map<string, StateTensor>();

  /**
   * The training loss of a batch; targets [B, G]. One element.
   *
   * @throws HistogradError `not-trainable` where `trainable` is false
   */
  loss(_bags: Bags, _targets: Tensor): Tensor {
    throw new HistogradError(
      'not-trainable',
      `${this.constructor.name} has no loss to descend.`,
      'Call prepare() with the training set.',
    );
  }

  abstract predict(bags: Bags): Promise<Prediction>;

  /**
   * Called after training, and before each validation: lets models that predict by retrieval
   * (Contrastive, kNN) or in closed form (ridge) remember the training set. Others do nothing.
   */
  async prepare(_training: TrainingSet): Promise<void> {}

  protected recall(name: string): { shape: readonly number[]; data: Float32Array } {
    const found = this.memory.get(name);
    if (found?.data instanceof Float32Array) return { shape: found.shape, data: found.data };
    throw new HistogradError(
      'not-prepared',
      `${this.constructor.name}.predict: its memory of the training set (${name}) is missing.`,
      'Call prepare() with the training set first, or load a checkpoint that contains it.',
    );
  }

  /** Expression predicted for every patch alone [N, G], for maps; null where the model has no such thing. */
  async predictPatches(_features: Tensor): Promise<Float32Array | null> {
    return null;
  }
}
