/** What one training is: data, split, model, and every option. */
import type { Split } from '../data/splits.ts';
import type { Device } from '../gpu/device.ts';
import type { ModelKind, ModelOptions, TrainingDefaults } from '../models/registry.ts';
import type { CurvePoint } from '../report/types.ts';
import type { BagSource } from './bag-source.ts';

export interface TrainOptions extends TrainingDefaults {
  /** Decides initial parameters, dropout, data order and sampled patches. */
  seed: number;
  /** `zscore` (the default): standardise every feature over the patches of the training slides. */
  featureScale: 'none' | 'zscore';
  /**
   * `zscore` (the default): standardise every gene over the training slides; predictions are turned back. A new model then predicts about
   * the mean, from where `none` would take more steps than a training has: expression lies far from 0, a new head's output near it.
   */
  targetScale: 'none' | 'zscore';
  /** Where a cosine schedule ends (TANGLE's). */
  minLr: number;
  /** Epochs from one validation to the next. */
  validateEvery: number;
  /** Patches per batch when whole bags are predicted (a larger bag is a batch of its own). */
  evaluationPatches: number;
  /**
   * Steps, and slides to be predicted, of more patches than this go through the GPU in pieces, by models that can do that
   * (Direct-ABMIL). By default 65,536, or as many as fit on the adapter if that is less.
   */
  streamAbove?: number | undefined;
  /**
   * `mixed`: products in float16, with float32 sums, weights and optimiser, and a loss scale (`autocast`, `GradScaler`). Validation and
   * prediction are float32. Default `float32`.
   */
  precision?: 'float32' | 'mixed' | undefined;
  /** Seconds from one checkpoint to the next; there is also one at the end and on a stop. */
  checkpointSeconds: number;
  /** Steps from one checkpoint to the next; 0: by time only. */
  checkpointSteps: number;
  /** Keeps the last parameters, whatever the validation says of earlier ones. */
  keepLast?: boolean;
}

/** Defaults of what does not depend on the model; the rest is `trainingDefaults(kind)`. */
export const TRAIN_DEFAULTS = {
  seed: 0,
  featureScale: 'zscore',
  targetScale: 'zscore',
  minLr: 1e-8,
  validateEvery: 1,
  evaluationPatches: 16_384,
  checkpointSeconds: 30,
  checkpointSteps: 0,
} as const satisfies Partial<TrainOptions>;

/** Where a training keeps what must survive it. */
export interface TrainingRecord {
  /** For messages. */
  readonly place: string;
  /** The last checkpoint; null when there is none. */
  loadCheckpoint(): Promise<Uint8Array | null>;
  saveCheckpoint(bytes: Uint8Array): Promise<void>;
  /** Cuts the log off at byte `position`, appends `lines`, and returns the new end. */
  writeMetrics(position: number, lines: string): Promise<number>;
}

export interface TrainProgress {
  /** From 1; the epoch under way. */
  epoch: number;
  epochs: number;
  /** Optimiser steps so far, and of all epochs (early stopping may make it fewer). */
  step: number;
  totalSteps: number;
  /** Largest amount of live GPU memory seen at the end of a backward pass. */
  peakBytes: number;
  /** In mixed precision: steps left out so far, because a gradient overflowed. */
  skipped?: number;
  /** The latest loss that was read back. */
  loss?: number;
  /** Set when the epoch's validation is done. */
  point?: CurvePoint;
}

export interface TrainTask {
  readonly device: Device;
  readonly source: BagSource;
  readonly genes: readonly string[];
  /** [slides of the source, genes], row-major. */
  readonly targets: Float32Array;
  readonly split: Split;
  readonly kind: ModelKind;
  readonly modelOptions: ModelOptions;
  readonly options: TrainOptions;
  readonly record?: TrainingRecord | undefined;
  /** When it aborts, training checkpoints and throws `interrupted`, soon: also amid a validation, which is done anew later. */
  readonly signal?: Pick<AbortSignal, 'aborted'> | undefined;
  /** When it aborts, training ends after the step under way, with the parameters it would keep now. */
  readonly finishEarly?: Pick<AbortSignal, 'aborted'> | undefined;
  /** Records steps that come again and replays them (the default): the same bits, sooner. */
  readonly capture?: boolean | undefined;
  /** Compiles the kernels of a step aside before the first (as is done on GPUs; software adapters gain nothing). */
  readonly compileAhead?: boolean | undefined;
  readonly onWarning?: ((text: string) => void) | undefined;
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined;
}
