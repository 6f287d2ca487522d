import type { Evaluation, FoldPredictions } from '../metrics/evaluate.ts';

/** One record of a training run; `step` counts optimiser steps, `epoch` passes over the training slides. */
export interface CurvePoint {
  step: number;
  epoch: number;
  trainLoss?: number;
  validationLoss?: number;
  /** Mean Pearson correlation over genes on the validation slides. */
  validationPearson?: number;
}

export interface ModelReport {
  /** For example `Direct-ABMIL`, or `Ridge (floor)`. */
  name: string;
  /** How genes were split over models: `all genes`, `chunks of 256`, `per gene`. */
  regime: string;
  /** What the curves show, for example `MSE` or `InfoNCE`; only labels an axis. */
  loss?: string;
  /** Trainable parameters of one trained model (of one gene chunk, in the chunked regimes). */
  parameters: number;
  /** Wall-clock training time of all folds and gene chunks together. */
  seconds: number;
  /** Models trained in all: folds x gene chunks. */
  modelsTrained: number;
  /** Test error of predicting each gene's mean over the training slides; a model should beat it. */
  baselineMse?: number;
  /** Largest amount of GPU memory held at once. */
  peakBytes?: number;
  /** In mixed precision: steps left out, because a gradient overflowed. */
  skippedSteps?: number;
  /** Empty for models that are not trained by steps (kNN, ridge). */
  curves: { fold: string; points: CurvePoint[] }[];
  /** Test predictions: `[slides, genes]` row-major, in the order of `ReportData.genes`. */
  folds: FoldPredictions[];
}

export interface ReportData {
  title: string;
  /** Present when the cohort is simulated: the report says so in a banner and draws the reachable score. */
  simulated?: { reachableMeanPearson: number; note: string };
  /** The exact command that reproduces the run. */
  command: string;
  /** Adapter, versions, seed, date, ... in the order to print. */
  environment: Record<string, string>;
  config: Record<string, unknown>;
  genes: string[];
  /** Unit of the expression values, for axis labels, for example `log2(1 + count)`. */
  expressionUnit?: string;
  models: ModelReport[];
}

/** A model with its scores and the look it has in every figure. */
export interface ScoredModel {
  model: ModelReport;
  label: string;
  colour: string;
  dash: string;
  evaluation: Evaluation;
}
