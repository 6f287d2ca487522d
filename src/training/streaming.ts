/** Which slides go through the GPU in pieces, and their pieces. */
import type { PackedBags } from '../data/packed-bags.ts';
import type { Device } from '../gpu/device.ts';
import type { ModelKind, ModelOptions } from '../models/registry.ts';
import type { FeaturePieces } from '../models/streamed-abmil.ts';
import { MOST_AT_ONCE, PIECE, patchLimit, streams } from './bag-limit.ts';
import type { BagSource, PatchSample } from './bag-source.ts';
import { applyScale, type Scale } from './scaling.ts';
import type { TrainTask } from './task.ts';

/** What decides where streaming begins. */
interface StreamChoice {
  readonly device: Pick<Device, 'limits'>;
  readonly width: number;
  readonly kind: ModelKind;
  readonly modelOptions: ModelOptions;
  /** As in `TrainOptions`. */
  readonly streamAbove?: number | undefined;
}

/**
 * Patches on the GPU at once; more than these go through in pieces. Infinity for models that cannot do that. Where nothing is asked for,
 * 65,536, or as many as fit on the adapter (`patchLimit`).
 */
export function streamLimit(choice: StreamChoice): number {
  const { device, width, kind, modelOptions, streamAbove = MOST_AT_ONCE } = choice;
  if (!streams(kind)) return Number.POSITIVE_INFINITY;
  return Math.min(streamAbove, patchLimit(device, width, modelOptions));
}

/** The limit of a training's steps. */
export function stepLimit({ device, source, kind, modelOptions, options }: TrainTask): number {
  const { streamAbove } = options;
  return streamLimit({ device, width: source.width, kind, modelOptions, streamAbove });
}

/** Patches of a batch, sampled. */
export function patchesOf(
  source: BagSource,
  slides: readonly number[],
  { maxPatches }: Pick<PatchSample, 'maxPatches'>,
): number {
  return slides.reduce((sum, slide) => sum + Math.min(source.slides[slide]!.rows, maxPatches), 0);
}

/** Slides of a batch that is too large to be in memory. */
export interface StreamedBatch {
  readonly indices: readonly number[];
  readonly sample: PatchSample;
}

/** The batches in order: packed, or of more than `limit` patches by name only. */
export async function* stepBatches(
  source: BagSource,
  batches: readonly (readonly number[])[],
  sample: PatchSample,
  limit: number,
): AsyncGenerator<PackedBags | StreamedBatch> {
  const fits = (indices: readonly number[]) => patchesOf(source, indices, sample) <= limit;
  const packed = source.batches(batches.filter(fits), sample)[Symbol.asyncIterator]();
  try {
    for (const indices of batches) {
      if (!fits(indices)) {
        yield { indices, sample };
        continue;
      }
      const next = await packed.next();
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await packed.return?.();
  }
}

/** Pieces scaled for a model, in place; `watch` sees each before it is used, and how many numbers came before it. */
export function scaled(
  pieces: FeaturePieces,
  scale: Scale | null,
  watch?: (piece: Float32Array, before: number) => void,
): FeaturePieces {
  return async function* () {
    let before = 0;
    for await (const piece of pieces()) {
      if (scale) applyScale(piece, scale);
      watch?.(piece, before);
      before += piece.length;
      yield piece;
    }
  };
}

/** The sizes in rows that pieces of slides of so many patches come in; one that comes in every step more than once, at least twice. */
export function pieceRows(patches: readonly number[], limit: number): number[] {
  const rows = Math.min(PIECE, limit);
  const sizes = patches.flatMap((n) => [Math.min(rows, n), n % rows || rows]);
  const distinct = [...new Set(sizes)];
  return distinct.length > 1 ? distinct : sizes.slice(0, 2);
}

/** The pieces of a slide of a source. */
export function slidePieces(
  source: BagSource,
  slide: number,
  limit: number,
  sample?: PatchSample,
): FeaturePieces {
  const rows = Math.min(PIECE, limit);
  if (source.pieces) return () => source.pieces!(slide, rows, sample);
  return async function* () {
    for await (const { features } of source.batches([[slide]], sample))
      yield* cutRows(features, source.width, rows);
  };
}

/** Copies of the rows of a slide in memory, as pieces. */
export function* cutRows(
  features: Float32Array,
  width: number,
  rows: number,
): Generator<Float32Array> {
  for (let at = 0; at < features.length; at += rows * width)
    yield features.slice(at, at + rows * width);
}
