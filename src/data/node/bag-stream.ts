/** Batches of bags from disk (see `streamBags` of `../bag-stream.ts`). */
import { type BagStreamOptions as StreamOptions, streamBags as stream } from '../bag-stream.ts';
import type { FeatureOptions, PatchFeatures } from '../features.ts';
import type { PackedBags } from '../packed-bags.ts';
import type { CohortSlide } from './cohort.ts';
import { readFeatures } from './read-features.ts';

/** How to stream. */
export interface BagStreamOptions extends FeatureOptions, Omit<StreamOptions<CohortSlide>, 'read'> {
  /** Reads one bag; for tests, and for features that are not in files. */
  readonly read?: ((slide: CohortSlide) => Promise<PatchFeatures>) | undefined;
}

/** As `streamBags` of `../bag-stream.ts`, from feature files. Errors as that and `readFeatures`. */
export function streamBags(
  slides: readonly CohortSlide[],
  order: Iterable<readonly number[]>,
  options: BagStreamOptions = {},
): AsyncGenerator<PackedBags, void, undefined> {
  const read = options.read ?? ((slide: CohortSlide) => readFeatures(slide.path, options));
  return stream(slides, order, { ...options, read });
}
