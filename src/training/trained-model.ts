/** A model after training, with all that prediction needs; and its file. */
import type { ExpressionTransform } from '../data/expression-transform.ts';
import { type FeatureSettings, flagsOf, tileChanges } from '../data/feature-settings.ts';
import type { PatchFeatures } from '../data/features.ts';
import {
  parseSafetensors,
  type SafetensorInput,
  serializeSafetensors,
} from '../data/safetensors.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { ExpressionModel, Prediction } from '../models/model.ts';
import { createModel, MODEL_KINDS, type ModelKind, type ModelOptions } from '../models/registry.ts';
import type { StateTensor } from '../nn/module.ts';
import { Generator } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import { VERSION } from '../version.ts';
import { fittingPart, patchLimit } from './bag-limit.ts';
import { type BagSource, uploadBags, uploaded } from './bag-source.ts';
import { applyScale, type Scale } from './scaling.ts';

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

/** One slide's prediction. */
export interface SlidePrediction {
  readonly slide: number;
  /** [G], in the units of the targets. */
  readonly expression: Float32Array;
  /** [N] weights that sum to 1, for models with attention. */
  readonly attention?: Float32Array;
}

/**
 * Predicts slides from all their patches (of a slide that does not fit, from as many as fit), in the order given.
 *
 * @throws HistogradError `non-finite-prediction`, which names the slide and gene
 */
export async function* predictSlides(
  device: Device,
  { model, options, scales, genes }: Pick<TrainedModel, 'model' | 'options' | 'scales' | 'genes'>,
  source: BagSource,
  slides: readonly number[],
  patchesPerBatch: number,
): AsyncGenerator<SlidePrediction> {
  const wasTraining = model.training;
  model.eval();
  try {
    const limit = patchLimit(device, source.width, options);
    const whole = { slides, patches: patchesPerBatch, limit };
    for await (const bags of uploaded(device, source, whole, scales.features)) {
      const { expression, attention } = await model.predict(bags);
      for (const [b, slide] of bags.indices.entries()) {
        const row = expression.slice(b * genes.length, (b + 1) * genes.length);
        unscale(row, scales.targets);
        requireFinite(row, genes, source.slides[slide]!.id);
        const weights = attention?.slice(bags.segments.offsets[b], bags.segments.offsets[b + 1]);
        yield { slide, expression: row, ...(weights && { attention: weights }) };
      }
    }
  } finally {
    model.train(wasTraining);
  }
}

/**
 * Predicts one slide; `bag` is not changed. Errors as `predictSlides`.
 *
 * @returns also the rows of the patches that were used, in order, where the whole slide does not fit on the GPU
 */
export async function predictBag(
  device: Device,
  { model, options, scales, genes }: TrainedModel,
  bag: PatchFeatures,
  name: string,
): Promise<Prediction & { patches: Uint32Array | null }> {
  model.eval();
  const { part, patches } = fittingPart(bag, patchLimit(device, bag.width, options));
  const { features, rows, width } = part;
  const packed = { indices: [0], features: features.slice(), offsets: Uint32Array.of(0, rows) };
  const bags = uploadBags(device, packed, width, scales.features);
  try {
    const prediction = await model.predict(bags);
    unscale(prediction.expression, scales.targets);
    requireFinite(prediction.expression, genes, name);
    return { ...prediction, patches };
  } finally {
    bags.features.dispose();
    bags.segments.dispose();
  }
}

/** Values of all genes that patch predictions may take on the GPU at once. */
const PATCH_VALUES = 4 * 2 ** 20;

/**
 * The expression that the model sees in every single patch, for maps.
 *
 * @param columns genes to return; patches go through in chunks, so that patches x all genes is never one tensor
 * @returns [N, columns]
 * @throws HistogradError `no-patch-prediction` for models that only predict whole slides
 */
export async function predictPatches(
  device: Device,
  { model, options, scales, genes, kind }: TrainedModel,
  { features, rows, width }: PatchFeatures,
  columns: readonly number[],
): Promise<Float32Array> {
  model.eval();
  const out = new Float32Array(rows * columns.length);
  const chunk = Math.min(
    Math.max(1, Math.floor(PATCH_VALUES / genes.length)),
    patchLimit(device, width, options),
  );
  for (let from = 0; from < rows; from += chunk) {
    const to = Math.min(rows, from + chunk);
    const part = features.slice(from * width, to * width);
    if (scales.features) applyScale(part, scales.features);
    const tensor = Tensor.from(device, part, [to - from, width]);
    const values = await model.predictPatches(tensor).finally(() => tensor.dispose());
    if (!values) {
      throw new HistogradError(
        'no-patch-prediction',
        `${kind} predicts whole slides only.`,
        'Leave out --patches, or use direct-abmil, direct-patch-level or ridge.',
      );
    }
    unscale(values, scales.targets);
    for (let i = 0; i < to - from; i++) {
      for (const [at, g] of columns.entries()) {
        out[(from + i) * columns.length + at] = values[i * genes.length + g]!;
      }
    }
  }
  return out;
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

/** Turns scaled predictions [·, G] back into the targets' units, in place. */
function unscale(values: Float32Array, scale: Scale | null): void {
  if (!scale) return;
  const columns = scale.mean.length;
  for (let i = 0; i < values.length; i++) {
    values[i] = values[i]! * scale.std[i % columns]! + scale.mean[i % columns]!;
  }
}

function requireFinite(row: Float32Array, genes: readonly string[], slide: string): void {
  const gene = row.findIndex((value) => !Number.isFinite(value));
  if (gene < 0) return;
  throw new HistogradError(
    'non-finite-prediction',
    `The prediction of gene ${genes[gene]} for slide ${slide} is ${row[gene]}.`,
    'The model diverged: lower the learning rate (--lr) or scale the features (--feature-scale zscore).',
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
 * @throws HistogradError `bad-safetensors`, `not-a-model`, `checkpoint-mismatch`
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
  const options: ModelOptions = JSON.parse(metadata.options ?? '{}');
  const genes: string[] = JSON.parse(metadata.genes ?? '[]');
  const width = Number(metadata.width);
  const context = { device, generator: new Generator(0) };
  const model = createModel(kind, context, { width, genes: genes.length }, options);
  const own = [...tensors].filter(([key]) => !/^(memory|scale)\./.test(key));
  model.loadStateDict(new Map(own.map(([key, tensor]) => [key, stateTensor(tensor, key, name)])));
  for (const [key, tensor] of tensors) {
    if (key.startsWith('memory.')) model.memory.set(key.slice(7), stateTensor(tensor, key, name));
  }
  model.eval();
  const provenance: Provenance | undefined =
    metadata.provenance === undefined ? undefined : JSON.parse(metadata.provenance);
  return { kind, options, genes, width, scales: readScales(tensors), model, provenance };
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
