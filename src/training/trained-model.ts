/** A model after training, with all that prediction needs; and its file. */
import { isRecord, jsonValue } from '../data/checked-json.ts';
import { type ExpressionTransform, TRANSFORMS } from '../data/expression-transform.ts';
import { type FeatureSettings, flagsOf, tileChanges } from '../data/feature-settings.ts';
import {
  parseSafetensors,
  type SafetensorInput,
  serializeSafetensors,
} from '../data/safetensors.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { ExpressionModel } from '../models/model.ts';
import { createModel, MODEL_KINDS, type ModelKind, type ModelOptions } from '../models/registry.ts';
import type { StateTensor } from '../nn/module.ts';
import { Generator } from '../tensor/random.ts';
import { VERSION } from '../version.ts';
import type { Scale } from './scaling.ts';

export interface Scales {
  readonly features: Scale | null;
  readonly targets: Scale | null;
}

export interface TrainedModel {
  readonly kind: ModelKind;
  readonly options: ModelOptions;
  readonly genes: readonly string[];
  /** Width of a patch feature. */
  readonly width: number;
  readonly scales: Scales;
  readonly model: ExpressionModel;
  /** What it was trained on, where that is known. */
  readonly provenance?: Provenance | undefined;
}

/** What a model was trained on. */
export interface Provenance {
  /** What was done to the expression. */
  readonly transform: ExpressionTransform;
  /** The slides and patients that the model has seen, for training and for validation. */
  readonly slides: readonly string[];
  readonly patients: readonly string[];
  /** How the features were made, where they say it. */
  readonly features?: FeatureSettings;
}

/**
 * Checks that features (a bag, a source of bags) are such as the model was trained on. Where one side does not say how they were made,
 * only the width is compared.
 *
 * @param where the features come from, for the message
 * @throws HistogradError `width-mismatch` for another width, `other-features` for another extractor or other settings
 *   of a tile (which tiles of a slide were kept may differ)
 */
export function requireFeatures(
  { width, kind, provenance }: Pick<TrainedModel, 'width' | 'kind' | 'provenance'>,
  found: { readonly width: number; readonly settings?: FeatureSettings | undefined },
  where: string,
): void {
  const wanted = provenance?.features;
  const changes = wanted && found.settings ? tileChanges(found.settings, wanted) : [];
  if (changes.length > 0) {
    const flags = flagsOf(changes);
    throw new HistogradError(
      'other-features',
      `${where}: the features were made in another way than those this ${kind} was trained on: ${changes
        .map((change) => `${change.name} is ${change.found}, expected ${change.expected}`)
        .join('; ')}.`,
      `Extract the slides with the ${flags === '' ? 'settings' : flags} of the training (histograd extract), or use a model trained on such features.`,
    );
  }
  if (found.width === width) return;
  throw new HistogradError(
    'width-mismatch',
    `${where} has features of width ${found.width}; this ${kind} was trained on width ${width}.`,
    'Use features of the extractor that the model was trained with.',
  );
}

const FORMAT = 'histograd-model';

/** The content of a model file: parameters under PyTorch's names, `memory.*`, `scale.*`; the rest is metadata. */
export async function serializeModel(trained: TrainedModel): Promise<Uint8Array<ArrayBuffer>> {
  const { kind, options, genes, width, scales, model, provenance } = trained;
  const tensors = new Map<string, SafetensorInput>(await model.stateDict());
  for (const [name, tensor] of model.memory) tensors.set(`memory.${name}`, tensor);
  for (const [name, tensor] of scaleTensors(scales)) tensors.set(name, tensor);
  return serializeSafetensors(tensors, {
    format: FORMAT,
    kind,
    options: JSON.stringify(options),
    genes: JSON.stringify(genes),
    width: String(width),
    histograd: VERSION,
    ...(provenance && { provenance: JSON.stringify(provenance) }),
  });
}

/**
 * Builds a model from the content of its file.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `bad-safetensors`, `not-a-model`, `bad-model`, `checkpoint-mismatch`, and those of `createModel`
 */
export function parseModel(device: Device, bytes: Uint8Array, name: string): TrainedModel {
  const { tensors, metadata } = parseSafetensors(bytes, name);
  const kind = MODEL_KINDS.find((known) => known === metadata.kind);
  if (metadata.format !== FORMAT || !kind) {
    throw new HistogradError(
      'not-a-model',
      `${name} is not a trained histograd model (format ${metadata.format ?? 'missing'}, kind ${metadata.kind ?? 'missing'}).`,
      'Pass the best.safetensors of a run; a checkpoint.safetensors only serves to resume.',
    );
  }
  const entry = <T>(key: string, fits: (value: unknown) => value is T): T => {
    const value = jsonValue(metadata[key] ?? '', (what) => badModel(name, `${key}: ${what}`));
    if (fits(value)) return value;
    throw badModel(name, `${key}: not what a model file holds there`);
  };
  const options = entry('options', isOptions);
  const genes = entry('genes', isNames);
  const width = Number(metadata.width);
  if (!(Number.isInteger(width) && width > 0)) {
    throw badModel(name, `the width of its features is ${metadata.width ?? 'missing'}`);
  }
  const provenance = metadata.provenance === undefined ? undefined : entry('provenance', isSound);
  const context = { device, generator: new Generator(0) };
  const model = createModel(kind, context, { width, genes: genes.length }, options);
  const own = [...tensors].filter(([key]) => !/^(memory|scale)\./.test(key));
  model.loadStateDict(new Map(own.map(([key, tensor]) => [key, stateTensor(tensor, key, name)])));
  for (const [key, tensor] of tensors) {
    if (key.startsWith('memory.')) model.memory.set(key.slice(7), stateTensor(tensor, key, name));
  }
  model.eval();
  return { kind, options, genes, width, scales: readScales(tensors), model, provenance };
}

function isOptions(value: unknown): value is ModelOptions {
  const kinds = ['number', 'string', 'boolean'];
  return isRecord(value) && Object.values(value).every((option) => kinds.includes(typeof option));
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isSound(value: unknown): value is Provenance {
  if (!isRecord(value)) return false;
  const { transform, slides, patients, features } = value;
  const isKnown = TRANSFORMS.some((known) => known === transform);
  const hasFeatures = features === undefined || isRecord(features);
  return isKnown && isNames(slides) && isNames(patients) && hasFeatures;
}

function badModel(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-model',
    `${name} is damaged: ${problem}.`,
    'Copy it anew from its run, or train it again.',
  );
}

/** The scales as tensors of a file. */
export function scaleTensors({ features, targets }: Scales): [string, SafetensorInput][] {
  return Object.entries({ features, targets }).flatMap(([what, scale]) =>
    scale
      ? Object.entries({ mean: scale.mean, std: scale.std }).map(
          ([part, data]): [string, SafetensorInput] => [
            `scale.${what}.${part}`,
            { shape: [data.length], data },
          ],
        )
      : [],
  );
}

export function readScales(tensors: ReadonlyMap<string, SafetensorInput>): Scales {
  const read = (what: string): Scale | null => {
    const mean = tensors.get(`scale.${what}.mean`)?.data;
    const std = tensors.get(`scale.${what}.std`)?.data;
    return mean instanceof Float32Array && std instanceof Float32Array ? { mean, std } : null;
  };
  return { features: read('features'), targets: read('targets') };
}

/** A tensor of a file as a state: float32 or 32-bit integers. */
export function stateTensor(
  { shape, data }: SafetensorInput,
  key: string,
  file: string,
): StateTensor {
  if (data instanceof Float32Array || data instanceof Uint32Array || data instanceof Int32Array) {
    return { shape, data };
  }
  throw new HistogradError(
    'checkpoint-mismatch',
    `${file}: tensor ${key} is neither float32 nor a 32-bit integer.`,
    'Save the checkpoint again as float32.',
  );
}
