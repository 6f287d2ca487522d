/** A slide's features read in parts, for slides that are not to be in memory whole. */
import {
  checkCoords,
  checkFinite,
  type FeatureOptions,
  featureShape,
  requireFeatureFormat,
} from '../features.ts';
import { attempt } from '../h5-rows.ts';
import { findH5Features, readH5Array, readH5Rows } from '../hdf5.ts';
import { openH5 } from './h5-file.ts';
import { readFeatures } from './read-features.ts';

/** An open feature file. */
export interface FeatureFile {
  /** Number of patches. */
  readonly rows: number;
  /** Feature width. */
  readonly width: number;
  /** [rows, 2], as of `PatchFeatures`. */
  readonly coords?: Float32Array | undefined;
  /** The features of some rows, [end − start, width]; the caller may overwrite them. */
  read(start: number, end: number): Float32Array<ArrayBuffer>;
  close(): void;
}

/**
 * Opens a file of features. HDF5 is read in place, rows by rows as they are asked for; other formats, and HE2RNA's
 * layout, are read whole. Errors as `readFeatures`; those of values come when the rows are read.
 */
export async function openFeatures(
  path: string,
  options: FeatureOptions = {},
): Promise<FeatureFile> {
  if (requireFeatureFormat(path) === 'h5' && !options.coordsColumns) return openRows(path, options);
  const { features, rows, width, coords } = await readFeatures(path, options);
  return {
    ...{ rows, width, coords },
    read: (start, end) => features.slice(start * width, end * width),
    close: () => {},
  };
}

async function openRows(path: string, options: FeatureOptions): Promise<FeatureFile> {
  const { library, file, fileBytes } = await openH5(path);
  const close = () => void attempt(path, () => file.close());
  try {
    const found = findH5Features(file, fileBytes, options.dataset, path);
    const [rows, width] = featureShape(found.features.shape, path, options);
    const stored = found.coords && readH5Array(library, found.coords, path);
    const coords = stored && checkCoords(stored, rows, path, options);
    return {
      ...{ rows, width, coords },
      read(start, end) {
        const values = readH5Rows(library, found.features, { start, end }, path);
        checkFinite(values, width, path, start);
        return values;
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** All features of a file, in pieces of at most `rows` rows. */
export function* rowsOf(file: FeatureFile, rows: number): Generator<Float32Array> {
  for (let start = 0; start < file.rows; start += rows)
    yield file.read(start, Math.min(file.rows, start + rows));
}
