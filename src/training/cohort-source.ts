/** The bags of a cohort on disk, with the first of them kept in memory up to a budget. */

import { requireSameShape } from '../data/bag-stream.ts';
import { sharedSettings } from '../data/feature-settings.ts';
import type { FeatureOptions, PatchFeatures } from '../data/features.ts';
import { streamBags } from '../data/node/bag-stream.ts';
import type { CohortSlide } from '../data/node/cohort.ts';
import { openFeatures } from '../data/node/feature-file.ts';
import { readFeatures } from '../data/node/read-features.ts';
import { sampleSorted } from '../data/shuffle.ts';
import type { BagSource } from './bag-source.ts';

/** Small cohorts are read once; large ones stream, with memory bounded by this. */
const CACHE_BYTES = 512 * 2 ** 20;

/**
 * @param cacheBytes features kept in memory at most
 * @throws HistogradError `mixed-features` when the slides' features were made in different ways; on reading: those of `streamBags`
 */
export function cohortSource(
  slides: readonly CohortSlide[],
  options: FeatureOptions = {},
  cacheBytes = CACHE_BYTES,
): BagSource {
  const cache = new Map<string, PatchFeatures>();
  let room = cacheBytes;
  const read = async (slide: CohortSlide): Promise<PatchFeatures> => {
    const kept = cache.get(slide.path);
    if (kept) return kept;
    const bag = await readFeatures(slide.path, options);
    if (bag.features.byteLength <= room && !cache.has(slide.path)) {
      room -= bag.features.byteLength;
      cache.set(slide.path, bag);
    }
    return bag;
  };
  return {
    slides,
    width: slides[0]?.width ?? 0,
    settings: sharedSettings(slides).settings,
    batches: (order, sample) =>
      // The options given may be a whole run's: a limit of patches among them is not for bags that are asked for whole.
      streamBags(slides, order, {
        read,
        ...(sample && {
          maxPatches: sample.maxPatches,
          sampleSeed: sample.seed,
          epoch: sample.epoch,
        }),
      }),
    async *pieces(index, rows, sample) {
      const slide = slides[index]!;
      const chosen =
        sample && sample.maxPatches < slide.rows
          ? sampleSorted(slide.rows, sample.maxPatches, sample.seed, sample.epoch, index)
          : null;
      const file = await openFeatures(slide.path, options);
      try {
        requireSameShape(slide, file);
        for (let start = 0; start < slide.rows; start += rows) {
          const end = Math.min(slide.rows, start + rows);
          if (!chosen) yield file.read(start, end);
          else if (chosen.some((row) => row >= start && row < end)) {
            yield pick(file.read(start, end), slide.width, start, chosen);
          }
        }
      } finally {
        file.close();
      }
    },
  };
}

/** Those of some rows of a slide, from `start` on, that are in `chosen`. */
function pick(rows: Float32Array, width: number, start: number, chosen: Uint32Array): Float32Array {
  const end = start + rows.length / width;
  const wanted = chosen.filter((row) => row >= start && row < end);
  const out = new Float32Array(wanted.length * width);
  for (const [i, row] of wanted.entries()) {
    out.set(rows.subarray((row - start) * width, (row - start + 1) * width), i * width);
  }
  return out;
}
