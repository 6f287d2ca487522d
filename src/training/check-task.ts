import { HistogradError } from '../errors.ts';
import { checkModelOptions, type ModelKind, type ModelOptions } from '../models/registry.ts';
import { patchLimit, streams } from './bag-limit.ts';
import type { TrainOptions, TrainTask } from './task.ts';

const RANGES: readonly [keyof TrainOptions, (value: number) => boolean, string][] = [
  ['epochs', atLeastOne, 'a whole number from 1'],
  ['batchSize', atLeastOne, 'a whole number from 1'],
  ['maxPatches', atLeastOne, 'a whole number from 1'],
  ['validateEvery', atLeastOne, 'a whole number from 1'],
  ['evaluationPatches', atLeastOne, 'a whole number from 1'],
  ['patience', atLeastOne, 'a whole number from 1'],
  ['streamAbove', atLeastOne, 'a whole number from 1'],
  ['seed', (n) => Number.isSafeInteger(n) && n >= 0, 'a whole number from 0'],
  ['lr', (n) => n > 0 && Number.isFinite(n), 'a positive number'],
  ['minLr', notNegative, 'a number from 0'],
  ['weightDecay', notNegative, 'a number from 0'],
  ['warmupEpochs', notNegative, 'a number from 0'],
  ['checkpointSteps', notNegative, 'a number from 0'],
  ['checkpointSeconds', notNegative, 'a number from 0'],
];

function atLeastOne(value: number): boolean {
  return Number.isInteger(value) && value >= 1;
}

function notNegative(value: number): boolean {
  return value >= 0 && Number.isFinite(value);
}

/**
 * @throws HistogradError `bad-option` (an option out of its range, or a step of Contrastive with one slide), `bad-task` (no training slides, targets that do not
 *   fit, a slide that does not exist), `non-finite-target` (naming slide and gene), `batch-too-large` (the features of
 *   a training step do not fit into one buffer)
 */
export function checkTask(task: TrainTask): void {
  const { source, genes, targets, split, options } = task;
  for (const [name, fits, expected] of RANGES) {
    const value = options[name];
    if (value === undefined && name === 'streamAbove') continue;
    if (typeof value === 'number' && fits(value)) continue;
    throw new HistogradError(
      'bad-option',
      `Training option ${name} is ${value}, expected ${expected}.`,
      'Correct the option.',
    );
  }
  const { precision = 'float32' } = options;
  if (!['float32', 'mixed'].includes(precision)) {
    // Not float32 in silence, which it would be.
    throw new HistogradError(
      'bad-option',
      `Training option precision is ${precision}, expected float32 or mixed.`,
      'Correct the option.',
    );
  }
  checkModelOptions(task.kind, task.modelOptions);
  const { slides } = source;
  if (split.train.length === 0) throw bad(`Split ${split.name} has no training slides.`);
  if (genes.length === 0 || targets.length !== slides.length * genes.length) {
    throw bad(
      `${targets.length} target values do not fit ${slides.length} slides x ${genes.length} genes.`,
    );
  }
  const used = [...split.train, ...split.validation];
  const unknown = [...used, ...split.test].find((slide) => !slides[slide]);
  if (unknown !== undefined) {
    throw bad(`Split ${split.name} names slide ${unknown}, but there are ${slides.length}.`);
  }
  for (const slide of used) {
    const row = targets.subarray(slide * genes.length, (slide + 1) * genes.length);
    const gene = row.findIndex((value) => !Number.isFinite(value));
    if (gene < 0) continue;
    throw new HistogradError(
      'non-finite-target',
      `The expression of gene ${genes[gene]} in slide ${slides[slide]!.id} is ${row[gene]}.`,
      'Remove the slide or the gene, or fill in the missing value.',
    );
  }
  checkBatchSize(task);
  requirePairs(task.kind, split.train.length, options.batchSize);
}

/**
 * A warning where every slide would get the same prediction, the mean of the training slides, since all of them are neighbours; else null.
 *
 * @param slides how many there are to learn from
 */
export function neighbourWarning(
  kind: ModelKind,
  { k, weighting }: ModelOptions,
  slides: number,
): string | null {
  const plainMean = kind === 'knn' || weighting === 'uniform';
  if (!plainMean || typeof k !== 'number' || k < slides) return null;
  return `with k = ${k} and ${slides} training slides every prediction is their mean: choose a smaller k, such as ${fittingNeighbours(slides)}`;
}

/** A share of the training slides that leaves predictions to differ. */
export function fittingNeighbours(slides: number): number {
  return Math.max(1, Math.round(slides / 5));
}

/**
 * The contrastive loss of a single pair is 0, and so is its gradient.
 *
 * @throws HistogradError `bad-option` where a step of Contrastive would have one slide
 */
export function requirePairs(kind: ModelKind, slides: number, batchSize: number): void {
  if (kind !== 'contrastive' || Math.floor(slides / batches(slides, batchSize)) > 1) return;
  throw new HistogradError(
    'bad-option',
    `contrastive learns to tell the slides of a step from each other, and of ${slides} training slides in steps of ${batchSize} at most one would be alone.`,
    slides > 1 ? 'Take 3 slides per step or more (--batch-size).' : 'Add training slides.',
  );
}

/** In the worst case the largest bags meet in one batch. */
function checkBatchSize(task: TrainTask): void {
  const { device, source, split, kind, options, modelOptions } = task;
  if (kind === 'knn' || kind === 'ridge' || streams(kind)) return;
  const limit = patchLimit(device, source.width, modelOptions);
  const rows = split.train
    .map((slide) => Math.min(source.slides[slide]!.rows, options.maxPatches))
    .sort((a, b) => b - a);
  const largest = rows.slice(0, Math.ceil(rows.length / batches(rows.length, options.batchSize)));
  const patches = largest.reduce((sum, n) => sum + n, 0);
  if (patches <= limit) return;
  throw new HistogradError(
    'batch-too-large',
    `A step of ${kind} may have ${largest.length} bags with ${patches} patches; this adapter holds ${limit} of them at once.`,
    `Take fewer bags per step (--batch-size) or fewer patches per bag (--max-patches): their product may be ${limit} at most.`,
  );
}

/** Batches of an epoch, which are as even in size as can be. */
function batches(slides: number, batchSize: number): number {
  return Math.ceil(slides / batchSize);
}

function bad(problem: string): HistogradError {
  return new HistogradError('bad-task', problem, 'Correct the split or the targets.');
}
