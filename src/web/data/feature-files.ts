/** Dropped feature files: read when they are needed, the first of them kept in memory. */
import {
  type FeatureFormat,
  type PatchFeatures,
  parseFeatures,
  readH5Features,
} from '../../data/features.ts';
import { type NamedFile, readWhole } from './file-bytes.ts';
import { useH5File } from './h5-blob.ts';

/** Of files that are read whole. */
const MAX_FILE_BYTES = 2 ** 31 - 1;
/** As in Node (`cohort-source.ts`). */
const KEPT_BYTES = 512 * 2 ** 20;

/** Errors as `parseFeatures`, and `not-readable`, `too-large`. */
export async function readFeatureFile(
  source: NamedFile,
  format: FeatureFormat,
): Promise<PatchFeatures> {
  if (format === 'h5') {
    return useH5File(source, (library, file) =>
      readH5Features(library, file, source.file.size, source.path, {}),
    );
  }
  return parseFeatures(await readWhole(source, MAX_FILE_BYTES), source.path, { format });
}

/** Makes readers that keep what they read, until together they keep so many bytes; what comes then is read every time. */
export function keepingReader(room = KEPT_BYTES) {
  return (read: () => Promise<PatchFeatures>): (() => Promise<PatchFeatures>) => {
    let kept: Promise<PatchFeatures> | undefined;
    return async () => {
      if (kept) return kept;
      const reading = read();
      // Several may ask before the first answer is there.
      kept = reading;
      try {
        const bag = await reading;
        const bytes = bag.features.byteLength;
        if (bytes > room) kept = undefined;
        else room -= bytes;
        return bag;
      } catch (cause) {
        kept = undefined;
        throw cause;
      }
    };
  };
}
