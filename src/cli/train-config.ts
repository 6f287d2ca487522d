/** The options of `histograd train`, from flags and a config file. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { readText } from '../data/node/read-file.ts';
import { HistogradError } from '../errors.ts';
import {
  checkModelOptions,
  MODEL_KINDS,
  type ModelKind,
  type ModelOptions,
  modelDefaults,
  trainingDefaults,
} from '../models/registry.ts';
import { nearestNames } from '../nearest-names.ts';
import { MOST_AT_ONCE } from '../training/bag-limit.ts';
import { parseGeneRegimes } from '../training/gene-groups.ts';
import { RUN_FILES } from '../training/run-files.ts';
import { TRAIN_DEFAULTS, type TrainOptions } from '../training/task.ts';
import { adapterOption } from './adapter-request.ts';
import { checkOptions } from './check-options.ts';

const count = z.int().min(1);
const notNegative = z.number().min(0);
const scale = z.enum(['none', 'zscore']);

/** Patches above which a step or a slide goes through the GPU in pieces. */
export const streamOption = count.optional();

/** Training options that hold for every model of the run. */
const training = {
  epochs: count.optional(),
  batchSize: count.optional(),
  maxPatches: count.optional(),
  lr: z.number().positive().optional(),
  minLr: notNegative.optional(),
  weightDecay: notNegative.optional(),
  warmupEpochs: notNegative.optional(),
  schedule: z.enum(['constant', 'cosine']).optional(),
  maxNorm: z.number().positive().nullable().optional(),
  patience: count.optional(),
  validateEvery: count.optional(),
  evaluationPatches: count.optional(),
  streamAbove: streamOption,
  precision: z.enum(['float32', 'mixed']).optional(),
  checkpointSeconds: notNegative.optional(),
  checkpointSteps: z.int().min(0).optional(),
  featureScale: scale.optional(),
  targetScale: scale.optional(),
  seed: z.int().min(0).default(0),
};

export const cohortShape = {
  features: z.string(),
  expression: z.string(),
  patients: z.string().optional(),
  patientPattern: z.string().optional(),
  dataset: z.string().optional(),
  coordsColumns: z.boolean().optional(),
  orientation: z.enum(['auto', 'genes-as-columns', 'genes-as-rows']).optional(),
  onMissing: z.enum(['error', 'skip']).optional(),
  transform: z.enum(['log2', 'log10', 'none']).default('none'),
};

const value = z.union([z.number(), z.string(), z.boolean()]);

const schema = z.strictObject({
  ...cohortShape,
  ...training,
  model: z.array(z.enum(MODEL_KINDS)).min(1),
  out: z.string(),
  folds: z.int().min(2).optional(),
  leaveOnePatientOut: z.boolean().optional(),
  splits: z.string().optional(),
  validationFraction: z.number().min(0).max(0.9).default(0.1),
  genes: z.union([z.string(), z.array(z.string()).min(1)]).optional(),
  geneRegime: z.string().default('all'),
  set: z.partialRecord(z.enum(MODEL_KINDS), z.record(z.string(), value)).default({}),
  adapter: adapterOption,
  title: z.string().optional(),
  resume: z.boolean().optional(),
  quiet: z.boolean().optional(),
  json: z.boolean().optional(),
});

export type TrainConfig = z.infer<typeof schema>;

/** Folds where nothing is said of them. */
export const FOLDS = 5;

/**
 * Merges flags over the config file they name, and that over the options of a run to resume; checks the result.
 *
 * @throws HistogradError `usage`, `bad-option`, `bad-config`, `no-file`
 */
export async function readTrainConfig(
  flags: Readonly<Record<string, unknown>>,
): Promise<TrainConfig> {
  const { config: path, set, ...others } = flags;
  const given = typeof path === 'string' ? await readConfigFile(path) : {};
  const file = { ...(await savedConfig({ ...given, ...others })), ...given };
  const merged = { ...file, ...others, set: mergeSet(file.set, Array.isArray(set) ? set : []) };
  const where = typeof path === 'string' ? `${path} and the command line` : 'The command line';
  return checkTrainConfig(merged, where);
}

/** The options of the run that is to be resumed; none where there is no such run, and those of a new one are given. */
async function savedConfig({ resume, out, features }: Readonly<Record<string, unknown>>) {
  if (resume !== true || typeof out !== 'string') return {};
  const path = join(out, RUN_FILES.config);
  if (existsSync(path)) return readConfigFile(path);
  if (features !== undefined) return {};
  throw usage(
    `--resume: ${out} holds no run to go on with.`,
    'Correct --out, or give the options of a new run.',
  );
}

/** Checks options that are together already; `where` they come from is for error messages. */
export function checkTrainConfig(
  options: Readonly<Record<string, unknown>>,
  where: string,
): TrainConfig {
  const values: Record<string, unknown> = { ...options, model: modelList(options.model) };
  for (const key of ['featureScale', 'targetScale'])
    if (values[key] === true) values[key] = 'zscore';
  const config = checkOptions(schema, values, where);
  parseGeneRegimes(config.geneRegime);
  if (typeof config.genes === 'string' && /^top:/.test(config.genes) && !topGenes(config.genes)) {
    throw usage(
      `--genes ${config.genes} asks for no number of genes from 1.`,
      'For example: --genes top:100',
    );
  }
  const ways = [config.folds !== undefined, config.leaveOnePatientOut, config.splits].filter(
    Boolean,
  );
  if (ways.length > 1) {
    throw usage(
      '--folds, --leave-one-patient-out and --splits exclude each other.',
      'Give one of them.',
    );
  }
  // One seed for all: it decides the folds too.
  const others = Object.keys(training).filter((name) => name !== 'seed');
  for (const kind of MODEL_KINDS) checkModelOptions(kind, config.set[kind] ?? {}, others);
  return config;
}

/** N of `top:N`; undefined for anything else. */
export function topGenes(genes: string): number | undefined {
  const count = /^top:([1-9]\d*)$/.exec(genes)?.[1];
  return count === undefined ? undefined : Number(count);
}

/** The options of one model and of its training: defaults, then the run's, then those set for the model. */
export function optionsOf(
  config: TrainConfig,
  kind: ModelKind,
): { modelOptions: ModelOptions; options: TrainOptions } {
  const defaults: TrainOptions = { ...TRAIN_DEFAULTS, ...trainingDefaults(kind) };
  const modelOptions = modelDefaults(kind);
  const own = config.set[kind] ?? {};
  const given: Record<string, unknown> = {};
  for (const key of Object.keys(training)) {
    const value = own[key] ?? config[key as keyof typeof training];
    if (value !== undefined) given[key] = value;
  }
  for (const [key, value] of Object.entries(own))
    if (key in modelOptions) modelOptions[key] = value;
  const checked = checkOptions(z.object(training), given, `Training options of ${kind}`);
  const options: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(checked)) if (value !== undefined) options[key] = value;
  // Spelled out or not, they are the same run.
  if (options.precision === 'float32') delete options.precision;
  if (options.streamAbove === MOST_AT_ONCE) delete options.streamAbove;
  return { modelOptions, options: { ...defaults, ...options } };
}

/** What a `config.json` comes to, defaults included: equal for configs that do the same. */
export function resolvedConfig(saved: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const config = checkOptions(schema, { ...saved, out: '' }, RUN_FILES.config);
  const own = Object.entries(config).filter(([key]) => !(key in training) && key !== 'set');
  return {
    ...{ folds: FOLDS, leaveOnePatientOut: false, coordsColumns: false },
    ...{ orientation: 'auto', onMissing: 'error' },
    ...Object.fromEntries(own.filter(([, value]) => value !== undefined)),
    models: config.model.map((kind) => optionsOf(config, kind)),
  };
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  let content: unknown;
  try {
    content = parseYaml(text); // JSON is YAML
  } catch (cause) {
    throw new HistogradError(
      'bad-config',
      `${path} is neither JSON nor YAML: ${cause instanceof Error ? cause.message : cause}`,
      'Correct the file.',
      { cause },
    );
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new HistogradError(
      'bad-config',
      `${path} must hold options by name, found ${Array.isArray(content) ? 'a list' : typeof content}.`,
      'For example: {"model": "all", "epochs": 20}',
    );
  }
  return { ...content };
}

function modelList(model: unknown): unknown {
  const list = typeof model === 'string' ? model.split(',').map((name) => name.trim()) : model;
  if (!Array.isArray(list)) return list;
  if (list.includes('all')) return [...MODEL_KINDS];
  const unknown = list.find((name) => !MODEL_KINDS.some((kind) => kind === name));
  if (unknown !== undefined) {
    const near = nearestNames(String(unknown), MODEL_KINDS);
    throw usage(
      `There is no model ${JSON.stringify(unknown)}${near.length > 0 ? ` (did you mean ${near.join(' or ')}?)` : ''}.`,
      `Models: ${MODEL_KINDS.join(', ')}; or all.`,
    );
  }
  return [...new Set(list)];
}

/** `--set model.option=value`, over the file's `set`. */
function mergeSet(fromFile: unknown, flags: readonly unknown[]): unknown {
  if (flags.length === 0) return fromFile ?? {};
  const merged: Record<string, Record<string, unknown>> = {};
  if (typeof fromFile === 'object' && fromFile !== null) {
    for (const [kind, options] of Object.entries(fromFile)) merged[kind] = { ...options };
  }
  for (const flag of flags) {
    const match = /^([\w-]+)\.(\w+)=(.*)$/.exec(String(flag));
    if (!match) {
      throw usage(
        `--set ${flag} is not of the form model.option=value.`,
        'For example: --set knn.k=50',
      );
    }
    const [, kind = '', option = '', text = ''] = match;
    merged[kind] = { ...merged[kind], [option]: literal(text) };
  }
  return merged;
}

function literal(text: string): number | string | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
}

function usage(problem: string, advice: string): HistogradError {
  return new HistogradError('usage', problem, advice);
}
