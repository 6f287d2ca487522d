/** What the user chose, as the library's options; and what is offered to begin with. */
import { HistogradError } from '../../errors.ts';
import { KNN } from '../../models/knn.ts';
import { type ModelKind, modelDefaults, trainingDefaults } from '../../models/registry.ts';
import { fittingNeighbours } from '../../training/check-task.ts';
import { TRAIN_DEFAULTS, type TrainOptions } from '../../training/task.ts';
import type { TrainSettings } from '../protocol.ts';
import type { Dataset } from './dataset.ts';

/** Up to so many values, a patch is described by statistics rather than by a network: a small model learns more from them. */
const NARROW = 128;

/** Sensible for the open data. */
export function defaultSettings(kind: ModelKind, { summary }: Dataset): TrainSettings {
  const { epochs, batchSize, maxPatches, lr, weightDecay, schedule, patience } =
    trainingDefaults(kind);
  const spots = summary.kind === 'spots';
  const narrow = summary.features.width <= NARROW;
  return {
    model: kind,
    modelOptions: {
      ...modelDefaults(kind),
      ...(narrow && smaller(kind)),
      // With as many neighbours as training slides, kNN would predict the mean.
      ...(kind === 'knn' && { k: Math.min(KNN.k, fittingNeighbours(summary.samples)) }),
    },
    genes: null,
    epochs: narrow ? Math.min(epochs, 40) : epochs,
    // A spot is a bag of one patch.
    batchSize: spots ? 128 : narrow ? Math.max(batchSize, 12) : batchSize,
    maxPatches,
    lr: narrow ? 4e-3 : lr,
    weightDecay,
    schedule: narrow ? 'cosine' : schedule,
    standardise: true,
    validationFraction: 0.15,
    testFraction: 0.2,
    patience,
    seed: 0,
  };
}

function smaller(kind: ModelKind): Record<string, number> {
  const sizes: Record<string, number> = { hidden: 128, attention: 32, geneHidden: 128 };
  const own = modelDefaults(kind);
  return Object.fromEntries(Object.entries(sizes).filter(([name]) => name in own));
}

/** Values that a prediction of many samples may hold on the GPU at once. */
const PREDICTED_VALUES = 4 * 2 ** 20;

/** Rows of features per batch when whole bags are predicted. */
export function rowsPerBatch({ summary }: Dataset, genes: number): number {
  const { evaluationPatches } = TRAIN_DEFAULTS;
  if (summary.kind !== 'spots') return evaluationPatches;
  // Every spot is a bag, and so a row of all genes.
  return Math.min(evaluationPatches, Math.max(64, Math.floor(PREDICTED_VALUES / genes)));
}

export function trainOptions(
  settings: TrainSettings,
  dataset: Dataset,
  genes: number,
): TrainOptions {
  const { epochs, batchSize, maxPatches, lr, weightDecay, schedule, patience, seed } = settings;
  const scale = settings.standardise ? 'zscore' : 'none';
  if (!(Number.isInteger(patience) && patience >= 0)) {
    throw new HistogradError(
      'bad-option',
      `The patience is ${patience}, expected a whole number of epochs from 0.`,
      'Use 0 to train through all epochs.',
    );
  }
  return {
    ...TRAIN_DEFAULTS,
    ...trainingDefaults(settings.model),
    ...{ epochs, batchSize, maxPatches, lr, weightDecay, schedule, seed },
    patience: patience || Number.MAX_SAFE_INTEGER,
    ...(patience === 0 && { keepLast: true }),
    featureScale: scale,
    targetScale: scale,
    evaluationPatches: rowsPerBatch(dataset, genes),
  };
}

/** The genes to train on, as names and as columns of the data set's targets. */
export function chosenGenes(
  { genes: asked }: Pick<TrainSettings, 'genes'>,
  { summary }: Dataset,
): { names: readonly string[]; columns: number[] } {
  const names = asked ?? summary.genes;
  const known = new Map(summary.genes.map((name, column) => [name, column]));
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined || names.length === 0) {
    throw new HistogradError(
      'unknown-gene',
      unknown === undefined ? 'No gene is chosen.' : `The open data have no gene ${unknown}.`,
      'Choose genes of the list.',
    );
  }
  return { names, columns: names.map((name) => known.get(name)!) };
}

/** Columns of a [·, width] matrix, in the order asked for. */
export function pickColumns(
  values: Float32Array,
  width: number,
  columns: readonly number[],
): Float32Array {
  if (columns.length === width && columns.every((column, i) => column === i)) return values;
  const rows = values.length / width;
  const out = new Float32Array(rows * columns.length);
  for (let row = 0; row < rows; row++) {
    for (const [i, column] of columns.entries())
      out[row * columns.length + i] = values[row * width + column]!;
  }
  return out;
}

/** Names of genes, those whose expression varies most over the samples first. */
export function genesByVariance({ summary, targets }: Dataset): string[] {
  const { genes } = summary;
  if (!targets) return [...genes];
  const rows = targets.length / genes.length;
  const variance = genes.map((_, g) => {
    let mean = 0;
    for (let i = g; i < targets.length; i += genes.length) mean += targets[i]! / rows;
    let squares = 0;
    for (let i = g; i < targets.length; i += genes.length) squares += (targets[i]! - mean) ** 2;
    return squares;
  });
  return genes
    .map((_, g) => g)
    .sort((a, b) => variance[b]! - variance[a]! || a - b)
    .map((g) => genes[g]!);
}
