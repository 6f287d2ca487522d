/** Standardisation fitted on the training slides, of patch features and of targets. */
import type { PackedBags } from '../data/packed-bags.ts';
import { HistogradError } from '../errors.ts';
import { MOST_AT_ONCE, PIECE } from './bag-limit.ts';
import type { BagSource } from './bag-source.ts';

/** x ↦ (x − mean) / std, per column. */
export interface Scale {
  /** [columns] */
  readonly mean: Float32Array;
  /** [columns]; the population's (divisor n), 1 for a constant column. */
  readonly std: Float32Array;
}

/**
 * Mean and deviation of every feature over all patches of some slides, streamed: memory is one batch.
 *
 * @throws HistogradError `non-finite-feature` when a feature is NaN or infinite
 */
export async function fitFeatureScale(
  source: BagSource,
  batches: Iterable<readonly number[]>,
): Promise<Scale> {
  const { width } = source;
  // Sums of differences to the first patch: the plain one-pass formula cancels for large means.
  let origin: Float64Array | null = null;
  const sum = new Float64Array(width);
  const squares = new Float64Array(width);
  let rows = 0;
  for await (const { features, indices } of blocks(source, [...batches])) {
    origin ??= Float64Array.from(features.subarray(0, width));
    for (let at = 0; at < features.length; at += width) {
      for (let j = 0; j < width; j++) {
        const x = features[at + j]! - origin[j]!;
        sum[j]! += x;
        squares[j]! += x * x;
      }
    }
    rows += features.length / width;
    requireFinite(squares, indices, source);
  }
  const start = origin ?? new Float64Array(width);
  const mean = new Float32Array(width);
  const std = new Float32Array(width);
  for (let j = 0; j < width; j++) {
    const shift = sum[j]! / rows;
    const deviation = Math.fround(Math.sqrt(Math.max(0, squares[j]! / rows - shift * shift)));
    mean[j] = start[j]! + shift;
    std[j] = deviation > 0 ? deviation : 1;
  }
  return { mean, std };
}

/** The batches; slides that are not to be in memory whole come last, in pieces. */
async function* blocks(
  source: BagSource,
  batches: readonly (readonly number[])[],
): AsyncGenerator<Pick<PackedBags, 'features' | 'indices'>> {
  const isLarge = ([slide, ...others]: readonly number[]) =>
    source.pieces !== undefined &&
    others.length === 0 &&
    source.slides[slide!]!.rows > MOST_AT_ONCE;
  yield* source.batches(batches.filter((batch) => !isLarge(batch)));
  for (const indices of batches.filter(isLarge)) {
    for await (const features of source.pieces!(indices[0]!, PIECE)) yield { features, indices };
  }
}

/** Standardises a [·, columns] matrix in place. */
export function applyScale(values: Float32Array, { mean, std }: Scale): void {
  const columns = mean.length;
  for (let at = 0; at < values.length; at += columns) {
    for (let j = 0; j < columns; j++) values[at + j] = (values[at + j]! - mean[j]!) / std[j]!;
  }
}

function requireFinite(squares: Float64Array, slides: readonly number[], source: BagSource): void {
  const column = squares.findIndex((value) => !Number.isFinite(value));
  if (column < 0) return;
  const names = slides.map((slide) => source.slides[slide]!.id).join(', ');
  throw new HistogradError(
    'non-finite-feature',
    `Feature ${column} (counted from 0) of slide ${names} is not a finite number.`,
    'Extract the slide again, or leave it out.',
  );
}
