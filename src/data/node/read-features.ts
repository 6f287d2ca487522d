/** Bags of patch features from files. */
import { pickFeatureArray } from '../feature-array.ts';
import { type FeatureSettings, SETTINGS_KEY } from '../feature-settings.ts';
import {
  type FeatureOptions,
  featureShape,
  featureWidth,
  type PatchFeatures,
  parseFeatures,
  readH5Features,
  requireFeatureFormat,
  settingsIn,
} from '../features.ts';
import { attempt } from '../h5-rows.ts';
import { findH5Features, h5Text } from '../hdf5.ts';
import { NPY_HEADER_BYTES, parseNpyHeader } from '../npy.ts';
import { parseSafetensorsHeader, safetensorsDataStart } from '../safetensors-header.ts';
import { parseTorchShapes } from '../torch-tensor.ts';
import { openH5 } from './h5-file.ts';
import { readBytes, readStart } from './read-file.ts';

const TORCH_START_BYTES = 65_536;

/**
 * Reads a slide's bag of features; the format follows from the file's ending (.h5, .hdf5, .npy, .safetensors, .pt).
 * HDF5 is read in place; the other formats are read whole.
 *
 * @throws HistogradError `no-file`, `not-readable`, and those of `parseFeatures`
 */
export async function readFeatures(
  path: string,
  options: FeatureOptions = {},
): Promise<PatchFeatures> {
  if (requireFeatureFormat(path) !== 'h5')
    return parseFeatures(await readBytes(path), path, options);
  const { library, file, fileBytes } = await openH5(path);
  return readH5Features(library, file, fileBytes, path, options);
}

/** What the header of a feature file says. */
export interface FeatureHeader {
  /** Number of patches. */
  readonly rows: number;
  /** Feature width. */
  readonly width: number;
  /** How the features were made, in files of `histograd extract`. */
  readonly settings?: FeatureSettings;
}

/**
 * The number of patches, the feature width and the settings of a file, from its header: values are not read (a .pt file whose pickle
 * does not come first is). What the header shows to be wrong (a cut-off file, no rows) is an error as in `readFeatures`.
 */
export async function readFeatureShape(
  path: string,
  options: FeatureOptions = {},
): Promise<FeatureHeader> {
  const { shape, text } = await storedHeader(path, options);
  const [rows, columns] = featureShape(shape, path, options);
  return { rows, width: featureWidth(columns, options), ...settingsIn(text, path) };
}

interface StoredHeader {
  readonly shape: readonly number[];
  /** The settings. */
  readonly text?: string | undefined;
}

async function storedHeader(path: string, options: FeatureOptions): Promise<StoredHeader> {
  switch (requireFeatureFormat(path)) {
    case 'npy': {
      const { bytes, fileBytes } = await readStart(path, NPY_HEADER_BYTES);
      return { shape: parseNpyHeader(bytes, fileBytes, path).shape };
    }
    case 'safetensors': {
      const length = await readStart(path, 8);
      const dataStart = safetensorsDataStart(length.bytes, length.fileBytes, path);
      const { bytes, fileBytes } = await readStart(path, dataStart);
      const { entries, metadata } = parseSafetensorsHeader(bytes, fileBytes, path);
      const arrays = [...entries].map(([name, { shape }]) => ({ name, shape }));
      const { shape } = pickFeatureArray(arrays, options.dataset, path);
      return { shape, text: metadata[SETTINGS_KEY] };
    }
    case 'pt': {
      const { bytes, fileBytes } = await readStart(path, TORCH_START_BYTES);
      const shapes =
        parseTorchShapes(bytes, fileBytes, path) ??
        parseTorchShapes(await readBytes(path), fileBytes, path) ??
        [];
      const arrays = [...shapes].map(([name, shape]) => ({ name, shape }));
      return { shape: pickFeatureArray(arrays, options.dataset, path).shape };
    }
    case 'h5': {
      const { file, fileBytes } = await openH5(path);
      try {
        const { shape } = findH5Features(file, fileBytes, options.dataset, path).features;
        return { shape, text: h5Text(file, SETTINGS_KEY, path) };
      } finally {
        attempt(path, () => file.close());
      }
    }
  }
}
