/** How good a model under training is on its validation slides. */
import { evaluatePredictions } from '../metrics/evaluate.ts';
import type { TrainingSet } from '../models/model.ts';
import { patchLimit } from './bag-limit.ts';
import { uploaded } from './bag-source.ts';
import { takeRows } from './batch.ts';
import type { TrainingState } from './checkpoint.ts';
import { predictSlides } from './predict.ts';
import type { Scale } from './scaling.ts';
import { stoppable } from './stoppable.ts';
import type { TrainTask } from './task.ts';

/**
 * Predicts the validation slides from all their patches.
 *
 * @param targets scaled as the model sees them, [slides, G]
 * @returns the squared error in expression units and in the training loss's units; the mean Pearson correlation
 *   over genes, NaN where it is undefined (fewer than three slides)
 * @throws HistogradError `interrupted` when the task's signal aborts
 */
export async function validate(
  task: TrainTask,
  state: TrainingState,
  targets: Float32Array,
): Promise<{ mse: number; scaledMse: number; pearson: number }> {
  const { device, split, genes, options } = task;
  const source = stoppable(task);
  const { model, scales } = state;
  model.eval();
  await model.prepare(trainingSet(task, state, targets));
  const predicted = new Float32Array(split.validation.length * genes.length);
  let at = 0;
  for await (const { expression } of predictSlides(
    device,
    { kind: task.kind, model, options: task.modelOptions, scales, genes },
    source,
    split.validation,
    options.evaluationPatches,
    options.streamAbove,
  )) {
    predicted.set(expression, at);
    at += expression.length;
  }
  const observed = takeRows(task.targets, split.validation, genes.length);
  const slides = split.validation.map((slide) => source.slides[slide]!.id);
  const folds = [{ name: 'validation', slides, observed, predicted }];
  const { mse, meanPearson } = evaluatePredictions({ genes, folds });
  return { mse, scaledMse: scaledError(observed, predicted, scales.targets), pearson: meanPearson };
}

/** What a model may remember of the training slides. */
export function trainingSet(
  task: TrainTask,
  { scales }: TrainingState,
  targets: Float32Array,
): TrainingSet {
  const { device, split, genes, options, modelOptions } = task;
  const source = stoppable(task);
  const whole = {
    slides: split.train,
    patches: options.evaluationPatches,
    limit: patchLimit(device, source.width, modelOptions),
  };
  return {
    targets: takeRows(targets, split.train, genes.length),
    count: split.train.length,
    batches: () => uploaded(device, source, whole, scales.features),
  };
}

function scaledError(observed: Float32Array, predicted: Float32Array, scale: Scale | null): number {
  let total = 0;
  for (let i = 0; i < observed.length; i++) {
    const std = scale ? scale.std[i % scale.std.length]! : 1;
    total += ((observed[i]! - predicted[i]!) / std) ** 2;
  }
  return total / observed.length;
}
