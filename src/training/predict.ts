/** Predictions of trained models: of slides, whole or in pieces, and of single patches. */
import type { PatchFeatures } from '../data/features.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { DirectAbmil } from '../models/direct-abmil.ts';
import type { Prediction } from '../models/model.ts';
import { type FeaturePieces, streamedPrediction } from '../models/streamed-abmil.ts';
import { Tensor } from '../tensor/tensor.ts';
import { fittingPart, PIECE, patchLimit } from './bag-limit.ts';
import { type BagSource, uploadBags, uploaded } from './bag-source.ts';
import { applyScale, type Scale } from './scaling.ts';
import { cutRows, scaled, slidePieces, streamLimit } from './streaming.ts';
import type { TrainedModel } from './trained-model.ts';

/** One slide's prediction. */
export interface SlidePrediction {
  readonly slide: number;
  /** [G], in the units of the targets. */
  readonly expression: Float32Array;
  /** [N] weights that sum to 1, for models with attention. */
  readonly attention?: Float32Array;
}

/**
 * Predicts slides from all their patches, in the order given. Of a slide that does not fit, as many as fit are used,
 * but for models that take slides in pieces (`streaming.ts`).
 *
 * @param streamAbove as in `TrainOptions`
 * @throws HistogradError `non-finite-prediction`, which names the slide and gene
 */
export async function* predictSlides(
  device: Device,
  trained: Predictor,
  source: BagSource,
  slides: readonly number[],
  patchesPerBatch: number,
  streamAbove?: number,
): AsyncGenerator<SlidePrediction> {
  const { model, options, scales, genes } = trained;
  const wasTraining = model.training;
  model.eval();
  try {
    const limit = patchLimit(device, source.width, options);
    const above = streamLimitOf(device, trained, source.width, streamAbove);
    for (const run of runs(slides, (slide) => source.slides[slide]!.rows > above)) {
      if (run.streamed) {
        for (const slide of run.slides) {
          const pieces = scaled(slidePieces(source, slide, above), scales.features);
          const prediction = await predictStreamed(trained, pieces, source.slides[slide]!.id);
          yield { slide, ...prediction };
        }
        continue;
      }
      const whole = { slides: run.slides, patches: Math.min(patchesPerBatch, above), limit };
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
    }
  } finally {
    model.train(wasTraining);
  }
}

type Predictor = Pick<TrainedModel, 'kind' | 'model' | 'options' | 'scales' | 'genes'>;

/** Patches of a slide up to which this model has it on the GPU whole. */
export function streamLimitOf(
  device: Pick<Device, 'limits'>,
  { kind, options }: Pick<TrainedModel, 'kind' | 'options'>,
  width: number,
  streamAbove?: number,
): number {
  return streamLimit({ device, width, kind, modelOptions: options, streamAbove });
}

/** Neighbours that are alike, together. */
function runs(slides: readonly number[], isStreamed: (slide: number) => boolean) {
  const found: { streamed: boolean; slides: number[] }[] = [];
  for (const slide of slides) {
    const streamed = isStreamed(slide);
    if (found.at(-1)?.streamed !== streamed) found.push({ streamed, slides: [] });
    found.at(-1)!.slides.push(slide);
  }
  return found;
}

/** One slide from its pieces, scaled; errors as `predictSlides`. */
export async function predictStreamed(
  { model, scales, genes }: Pick<TrainedModel, 'model' | 'scales' | 'genes'>,
  pieces: FeaturePieces,
  name: string,
): Promise<Prediction> {
  if (!(model instanceof DirectAbmil)) throw new Error('only Direct-ABMIL takes slides in pieces');
  model.eval();
  const prediction = await streamedPrediction(model, pieces);
  unscale(prediction.expression, scales.targets);
  requireFinite(prediction.expression, genes, name);
  return prediction;
}

/**
 * Predicts one slide; `bag` is not changed. Errors as `predictSlides`.
 *
 * @param streamAbove as in `TrainOptions`
 * @returns also the rows of the patches that were used, in order, where the whole slide does not fit on the GPU
 */
export async function predictBag(
  device: Device,
  trained: TrainedModel,
  bag: PatchFeatures,
  name: string,
  streamAbove?: number,
): Promise<Prediction & { patches: Uint32Array | null }> {
  const { model, options, scales, genes } = trained;
  model.eval();
  const above = streamLimitOf(device, trained, bag.width, streamAbove);
  if (bag.rows > above) {
    const cut = () => cutRows(bag.features, bag.width, Math.min(PIECE, above));
    const pieces = scaled(cut, scales.features);
    return { ...(await predictStreamed(trained, pieces, name)), patches: null };
  }
  const { part, patches } = fittingPart(bag, patchLimit(device, bag.width, options));
  const { features, rows, width } = part;
  const packed = { indices: [0], features: features.slice(), offsets: Uint32Array.of(0, rows) };
  const bags = uploadBags(device, packed, { width }, scales.features);
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
