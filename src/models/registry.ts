/** The models by name: for the command line, checkpoints and reports. */
import { CONTRASTIVE, Contrastive } from './contrastive.ts';
import { DIRECT_ABMIL, DirectAbmil } from './direct-abmil.ts';
import { DIRECT_PATCH_LEVEL, DirectPatchLevel } from './direct-patch-level.ts';
import { KNN, Knn } from './knn.ts';
import type { ExpressionModel, ModelContext, ModelSizes } from './model.ts';
import { checkOptions, checkSizes, type ModelOptions } from './model-options.ts';
import { RIDGE, Ridge } from './ridge.ts';

export const MODEL_KINDS = [
  'direct-abmil',
  'direct-patch-level',
  'contrastive',
  'knn',
  'ridge',
] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];

export type { ModelOptions };

/** How a model is trained by default (systems.md §1; the paper's own settings were not reachable). */
export interface TrainingDefaults {
  epochs: number;
  /** Bags per step. */
  batchSize: number;
  /** Random patches of a bag per step. */
  maxPatches: number;
  lr: number;
  weightDecay: number;
  warmupEpochs: number;
  schedule: 'constant' | 'cosine';
  maxNorm: number | null;
  /** Epochs without a better validation score before training stops. */
  patience: number;
}

const DIRECT_TRAINING: TrainingDefaults = {
  epochs: 50,
  batchSize: 8,
  maxPatches: 256,
  lr: 1e-4,
  weightDecay: 1e-5,
  warmupEpochs: 0,
  schedule: 'constant',
  maxNorm: null,
  patience: 10,
};

interface Definition {
  title: string;
  defaults: ModelOptions;
  training: TrainingDefaults;
  create(context: ModelContext, sizes: ModelSizes, options: ModelOptions): ExpressionModel;
}

/** Options arrive as a flat record; `createModel` has checked them. */
function define<Options extends object>(
  title: string,
  defaults: Options,
  create: (context: ModelContext, sizes: ModelSizes, options: Options) => ExpressionModel,
  training: TrainingDefaults = DIRECT_TRAINING,
): Definition {
  return {
    title,
    defaults: { ...defaults } as ModelOptions,
    training,
    create: (context, sizes, options) => create(context, sizes, { ...defaults, ...options }),
  };
}

const DEFINITIONS: Record<ModelKind, Definition> = {
  'direct-abmil': define('Direct-ABMIL', DIRECT_ABMIL, (c, s, o) => new DirectAbmil(c, s, o)),
  'direct-patch-level': define(
    'Direct-Patch-Level',
    DIRECT_PATCH_LEVEL,
    (c, s, o) => new DirectPatchLevel(c, s, o),
  ),
  contrastive: define('Contrastive', CONTRASTIVE, (c, s, o) => new Contrastive(c, s, o), {
    ...DIRECT_TRAINING,
    epochs: 100,
    batchSize: 64,
    maxPatches: 2048,
    warmupEpochs: 5,
    schedule: 'cosine',
  }),
  knn: define('kNN', KNN, (_c, _s, o) => new Knn(o)),
  ridge: define('Ridge (floor)', RIDGE, (_c, _s, o) => new Ridge(o)),
};

export function modelTitle(kind: ModelKind): string {
  return DEFINITIONS[kind].title;
}

export function modelDefaults(kind: ModelKind): ModelOptions {
  return { ...DEFINITIONS[kind].defaults };
}

export function trainingDefaults(kind: ModelKind): TrainingDefaults {
  return { ...DEFINITIONS[kind].training };
}

/**
 * Checks a model's own options; those that are missing take their defaults.
 *
 * @param others names that may stand among them, and are checked elsewhere
 * @throws HistogradError `bad-option` (unknown, of another type, out of its range, or none of the words allowed)
 */
export function checkModelOptions(
  kind: ModelKind,
  options: Readonly<Record<string, unknown>>,
  others: readonly string[] = [],
): void {
  checkOptions(kind, DEFINITIONS[kind].defaults, options, others);
}

/**
 * A new model; options that are not given take their defaults.
 *
 * @throws HistogradError `bad-option`, as `checkModelOptions`, and for sizes that are not whole numbers from 1
 */
export function createModel(
  kind: ModelKind,
  context: ModelContext,
  sizes: ModelSizes,
  options: ModelOptions = {},
): ExpressionModel {
  checkSizes(kind, sizes);
  checkModelOptions(kind, options);
  return DEFINITIONS[kind].create(context, sizes, options);
}
