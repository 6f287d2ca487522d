/** Where training gets its bags from, and how they come to the GPU. */
import type { FeatureSettings } from '../data/feature-settings.ts';
import type { PackedBags } from '../data/packed-bags.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { Bags } from '../models/model.ts';
import type { FloatType } from '../tensor/convert.ts';
import { Segments } from '../tensor/segments.ts';
import { Tensor } from '../tensor/tensor.ts';
import { applyScale, type Scale } from './scaling.ts';

/** Which random patches of each bag to take: a pure function of seed, epoch and slide. */
export interface PatchSample {
  readonly maxPatches: number;
  readonly seed: number;
  readonly epoch: number;
}

/** The bags of a cohort. */
export interface BagSource {
  readonly slides: readonly {
    readonly id: string;
    readonly rows: number;
    readonly patient?: string;
  }[];
  /** Width d of a patch feature. */
  readonly width: number;
  /** How the features were made, where that is known: it is kept in the models trained on them. */
  readonly settings?: FeatureSettings | undefined;
  /**
   * The batches that `order` lists, each a list of slide indices; all patches without `sample`. Values must be finite,
   * which the feature readers check.
   */
  batches(order: Iterable<readonly number[]>, sample?: PatchSample): AsyncIterable<PackedBags>;
  /**
   * The patches of one slide that `batches` would give, in pieces of at most `rows`, without having all of them in memory.
   * The consumer may overwrite them. Sources that leave it out are asked for the whole slide.
   */
  pieces?(slide: number, rows: number, sample?: PatchSample): AsyncIterable<Float32Array>;
}

/** The largest finite half. */
const MOST_HALF = 65_504;

/**
 * Copies a batch to the GPU, scaled. The caller disposes of the tensor (or a scope) and of the segments.
 *
 * @param dtype 'f16' for products inside `autocast`: half the bytes on the way and in memory. Bags that were float16 in
 *   their files, and are not scaled, lose nothing.
 * @throws HistogradError `half-range` for a feature that is infinite in float16, which names the slide if `slides` are given
 */
export function uploadBags(
  device: Device,
  { indices, features, offsets }: PackedBags,
  { width, slides }: Pick<BagSource, 'width'> & Partial<Pick<BagSource, 'slides'>>,
  scale: Scale | null,
  dtype: FloatType = 'f32',
): Bags {
  if (scale) applyScale(features, scale);
  const shape = [features.length / width, width];
  if (dtype === 'f16') {
    requireHalfRange(features, width, (row) => {
      const bag = offsets.findLastIndex((start) => start <= row);
      const slide = slides?.[indices[bag]!];
      if (!slide) return `row ${row} of a batch`;
      return rowOf(slide, row - offsets[bag]!, offsets[bag + 1]! - offsets[bag]!);
    });
  }
  return {
    features:
      dtype === 'f16' ? Tensor.half(device, features, shape) : Tensor.from(device, features, shape),
    segments: new Segments(device, offsets),
  };
}

/**
 * Throws `half-range` for a feature that is infinite in float16.
 *
 * @param where words for a row
 */
export function requireHalfRange(
  features: Float32Array,
  width: number,
  where: (row: number) => string,
): void {
  let at = 0;
  while (at < features.length && Math.abs(features[at]!) <= MOST_HALF) at++;
  if (at === features.length) return;
  throw new HistogradError(
    'half-range',
    `The feature in ${where(Math.floor(at / width))}, column ${at % width} (counted from 0), is ${features[at]}, beyond the ${MOST_HALF} that float16 reaches.`,
    'Scale the features (--feature-scale zscore), or train in float32.',
  );
}

/** Words for a row of a slide, of which `used` patches are taken. */
export function rowOf(
  { id, rows }: BagSource['slides'][number],
  row: number,
  used: number,
): string {
  const drawn = used < rows ? `the ${used} patches drawn from ` : '';
  return `row ${row} of ${drawn}slide ${id}`;
}

/** Which slides come to the GPU whole, and how many patches may be there at once. */
interface WholeSlides {
  readonly slides: readonly number[];
  /** Patches per batch (a larger bag is a batch of its own). */
  readonly patches: number;
  /** Most patches that fit (see `patchLimit`): of a larger bag so many are taken, always the same. */
  readonly limit: number;
}

/**
 * Uploads slides in batches, hands each batch over, and frees it when the next one is asked for.
 */
export async function* uploaded(
  device: Device,
  source: BagSource,
  { slides, patches, limit }: WholeSlides,
  scale: Scale | null,
): AsyncGenerator<Bags & { indices: readonly number[] }> {
  const order = packWholeBags(source, slides, Math.min(patches, limit));
  const beyond = slides.some((slide) => source.slides[slide]!.rows > limit);
  const sample = beyond ? { maxPatches: limit, seed: 0, epoch: 0 } : undefined;
  for await (const batch of source.batches(order, sample)) {
    const bags = uploadBags(device, batch, source, scale);
    try {
      yield { ...bags, indices: batch.indices };
    } finally {
      bags.features.dispose();
      bags.segments.dispose();
    }
  }
}

/** Packs whole bags, in order, into batches of at most `maxPatches` patches (or one larger bag). */
export function packWholeBags(
  source: BagSource,
  slides: readonly number[],
  maxPatches: number,
): number[][] {
  const batches: number[][] = [];
  let patches = Number.POSITIVE_INFINITY;
  for (const slide of slides) {
    const { rows } = source.slides[slide]!;
    if (patches + rows > maxPatches) {
      batches.push([]);
      patches = 0;
    }
    batches.at(-1)!.push(slide);
    patches += rows;
  }
  return batches;
}
