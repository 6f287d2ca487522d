/** Bags of patch features from files. */
import { pickFeatureArray } from '../feature-array.ts';
import {
  type FeatureOptions,
  featureShape,
  featureWidth,
  type PatchFeatures,
  parseFeatures,
  readH5Features,
  requireFeatureFormat,
} from '../features.ts';
import { attempt } from '../h5-rows.ts';
import { findH5Features } from '../hdf5.ts';
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

/**
 * The number of patches and the feature width of a file, from its header: values are not read (a .pt file whose pickle
 * does not come first is). What the header shows to be wrong (a cut-off file, no rows) is an error as in `readFeatures`.
 */
export async function readFeatureShape(
  path: string,
  options: FeatureOptions = {},
): Promise<{ rows: number; width: number }> {
  const [rows, columns] = featureShape(await storedShape(path, options), path, options);
  return { rows, width: featureWidth(columns, options) };
}

async function storedShape(path: string, options: FeatureOptions): Promise<readonly number[]> {
  switch (requireFeatureFormat(path)) {
    case 'npy': {
      const { bytes, fileBytes } = await readStart(path, NPY_HEADER_BYTES);
      return parseNpyHeader(bytes, fileBytes, path).shape;
    }
    case 'safetensors': {
      const length = await readStart(path, 8);
      const dataStart = safetensorsDataStart(length.bytes, length.fileBytes, path);
      const { bytes, fileBytes } = await readStart(path, dataStart);
      const { entries } = parseSafetensorsHeader(bytes, fileBytes, path);
      const arrays = [...entries].map(([name, { shape }]) => ({ name, shape }));
      return pickFeatureArray(arrays, options.dataset, path).shape;
    }
    case 'pt': {
      const { bytes, fileBytes } = await readStart(path, TORCH_START_BYTES);
      const shapes =
        parseTorchShapes(bytes, fileBytes, path) ??
        parseTorchShapes(await readBytes(path), fileBytes, path) ??
        [];
      const arrays = [...shapes].map(([name, shape]) => ({ name, shape }));
      return pickFeatureArray(arrays, options.dataset, path).shape;
    }
    case 'h5': {
      const { file, fileBytes } = await openH5(path);
      try {
        return findH5Features(file, fileBytes, options.dataset, path).features.shape;
      } finally {
        attempt(path, () => file.close());
      }
    }
  }
}
