/** One slide's bag of patch features, from the bytes of any of the field's feature files. */
import type { File as H5File } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import { pickFeatureArray } from './feature-array.ts';
import { type FeatureSettings, parseFeatureSettings, SETTINGS_KEY } from './feature-settings.ts';
import { attempt, checkH5Opened, type H5Library } from './h5-rows.ts';
import { findH5Features, h5Text, readH5Array } from './hdf5.ts';
import { parseNpy } from './npy.ts';
import { parseSafetensors } from './safetensors.ts';
import { parseTorchShapes, parseTorchTensor } from './torch-tensor.ts';

/** The patches of one slide. */
export interface PatchFeatures {
  /** [rows, width], row-major float32. */
  readonly features: Float32Array<ArrayBuffer>;
  /** Number of patches N; at least 1. */
  readonly rows: number;
  /** Feature width d; at least 1. */
  readonly width: number;
  /** [rows, 2]: each patch's x, y as the file gives them (CLAM: pixels at level 0; HE2RNA: column, row). */
  readonly coords?: Float32Array<ArrayBuffer>;
  /** How they were made, in files of `histograd extract`. */
  readonly settings?: FeatureSettings;
}

/** How to read a feature file. */
export interface FeatureOptions {
  /** The array's name, where a file holds several (.h5, .safetensors, .pt). */
  readonly dataset?: string | undefined;
  /** HE2RNA's .npy layout: the first three columns are deep-zoom level, column and row, not features. */
  readonly coordsColumns?: boolean | undefined;
  /** The format, where it does not follow from the file's name. */
  readonly format?: FeatureFormat | undefined;
}

/** The formats by file ending. */
export type FeatureFormat = 'h5' | 'npy' | 'safetensors' | 'pt';

interface NumberArray {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number> | ArrayLike<bigint>;
}

/** level, column, row */
const HE2RNA_COLUMNS = 3;

/** The format that a file's ending stands for; undefined for other files. */
export function featureFormat(path: string): FeatureFormat | undefined {
  const ending = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  if (ending === 'hdf5') return 'h5';
  if (ending === 'pth') return 'pt';
  return ending === 'h5' || ending === 'npy' || ending === 'safetensors' || ending === 'pt'
    ? ending
    : undefined;
}

/** As `featureFormat`, but an unknown ending is an error (`unknown-format`). */
export function requireFeatureFormat(path: string): FeatureFormat {
  const format = featureFormat(path);
  if (format) return format;
  throw new HistogradError(
    'unknown-format',
    `${path} is not a feature file by its name: expected .h5, .hdf5, .npy, .safetensors or .pt.`,
    'Pass a feature file, or rename it to the ending of its format.',
  );
}

/**
 * Reads a bag from the bytes of a file; the format follows from the ending of `name` unless it is given. Runs in browsers too.
 *
 * @throws HistogradError the format's own (`bad-npy`, `bad-hdf5`, `bad-safetensors`, `bad-torch-file`,
 *   `unsupported-dtype`), `no-dataset` and `ambiguous-dataset`, and those of `toPatchFeatures` and `parseFeatureSettings`
 */
export async function parseFeatures(
  bytes: Uint8Array,
  name: string,
  options: FeatureOptions = {},
): Promise<PatchFeatures> {
  switch (options.format ?? requireFeatureFormat(name)) {
    case 'npy':
      return toPatchFeatures(parseNpy(bytes, name), undefined, name, options);
    case 'safetensors': {
      const { tensors, metadata } = parseSafetensors(bytes, name);
      const arrays = [...tensors].map(([key, { shape, data }]) => ({ name: key, shape, data }));
      const array = pickFeatureArray(arrays, options.dataset, name);
      const bag = toPatchFeatures(array, tensors.get('coords'), name, options);
      return { ...bag, ...settingsIn(metadata[SETTINGS_KEY], name) };
    }
    case 'pt': {
      const shapes = [...(parseTorchShapes(bytes, bytes.length, name) ?? [])];
      const arrays = shapes.map(([key, shape]) => ({ name: key, shape }));
      const { name: key } = pickFeatureArray(arrays, options.dataset, name);
      const coords = arrays.some((array) => array.name === 'coords')
        ? parseTorchTensor(bytes, 'coords', name)
        : undefined;
      return toPatchFeatures(parseTorchTensor(bytes, key, name), coords, name, options);
    }
    case 'h5': {
      const { File, ready } = await import('h5wasm');
      const library = await ready;
      const path = `/histograd-${crypto.randomUUID()}.h5`;
      library.FS.writeFile(path, bytes);
      try {
        return readH5Features(library, new File(path, 'r'), bytes.length, name, options);
      } finally {
        library.FS.unlink(path);
      }
    }
  }
}

/** Reads a bag from an open HDF5 file and closes it. Errors as `parseFeatures`. */
export function readH5Features(
  library: H5Library,
  file: H5File,
  fileBytes: number,
  name: string,
  options: FeatureOptions,
): PatchFeatures {
  checkH5Opened(file, name);
  try {
    const found = findH5Features(file, fileBytes, options.dataset, name);
    // Before the values are read: a wrong or empty shape costs nothing to find.
    featureShape(found.features.shape, name, options);
    const features = readH5Array(library, found.features, name);
    const coords = found.coords && readH5Array(library, found.coords, name);
    const bag = toPatchFeatures(features, coords, name, options);
    return { ...bag, ...settingsIn(h5Text(file, SETTINGS_KEY, name), name) };
  } finally {
    attempt(name, () => file.close());
  }
}

/** The settings that a file holds as text, as a field to be spread. */
export function settingsIn(text: string | undefined, name: string): { settings?: FeatureSettings } {
  return text === undefined ? {} : { settings: parseFeatureSettings(text, name) };
}

/**
 * Checks the shape of a bag, before or after it is read.
 *
 * @returns rows, and the columns of the stored array
 * @throws HistogradError `bad-feature-shape` (not [N, d], or no columns) or `empty-bag` (no rows)
 */
export function featureShape(
  shape: readonly number[],
  name: string,
  { coordsColumns }: FeatureOptions,
): [rows: number, columns: number] {
  const [rows, columns] = shape;
  const least = coordsColumns ? HE2RNA_COLUMNS + 1 : 1;
  if (rows === undefined || columns === undefined || shape.length !== 2 || columns < least) {
    throw new HistogradError(
      'bad-feature-shape',
      `${name}: expected features of shape [patches, width] with a width of at least ${least}, found [${shape.join(', ')}].`,
      'Save one row per patch, or name another dataset with --dataset.',
    );
  }
  if (rows === 0) {
    throw new HistogradError(
      'empty-bag',
      `${name} has no patches: its features have shape [0, ${columns}].`,
      'Extract its patches again (its tissue mask may be empty), or take the slide out of the folder.',
    );
  }
  return [rows, columns];
}

/** The width of the features in an array of that many columns. */
export function featureWidth(columns: number, { coordsColumns }: FeatureOptions): number {
  return coordsColumns ? columns - HE2RNA_COLUMNS : columns;
}

/**
 * Turns the arrays of a file into a checked bag.
 *
 * @throws HistogradError `bad-feature-shape`, `empty-bag`, `bad-coords` (other row count than the features), or
 *   `non-finite-feature`, which names the first row and column that is NaN, infinite or beyond float32
 */
function toPatchFeatures(
  array: NumberArray,
  coordsArray: NumberArray | undefined,
  name: string,
  options: FeatureOptions,
): PatchFeatures {
  const [rows, columns] = featureShape(array.shape, name, options);
  const width = featureWidth(columns, options);
  const values = toFloat32(array.data);
  const features = options.coordsColumns
    ? copyColumns(values, rows, columns, HE2RNA_COLUMNS, columns)
    : values;
  checkFinite(features, width, name);
  if (options.coordsColumns) {
    return { features, rows, width, coords: copyColumns(values, rows, columns, 1, 3) };
  }
  const coords = coordsArray && checkCoords(coordsArray, rows, name, options);
  return coords ? { features, rows, width, coords } : { features, rows, width };
}

/** Coordinates that belong to `rows` patches; throws `bad-coords` otherwise. */
export function checkCoords(
  { shape, data }: NumberArray,
  rows: number,
  name: string,
  { dataset }: FeatureOptions,
): Float32Array<ArrayBuffer> | undefined {
  const [coordRows, columns] = shape;
  if (shape.length === 2 && columns === 2 && coordRows === rows) return toFloat32(data);
  // A dataset named on purpose (SEQUOIA's cluster_features) need not be the one that coords belong to.
  if (dataset !== undefined) return undefined;
  throw new HistogradError(
    'bad-coords',
    `${name}: expected coords of shape [${rows}, 2] beside ${rows} features, found [${shape.join(', ')}].`,
    'Extract the slide again: its features and coordinates come from different runs.',
  );
}

/** Throws `non-finite-feature` for the first value that is not finite; `firstRow` is the place of the values in their file. */
export function checkFinite(values: Float32Array, width: number, name: string, firstRow = 0): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new HistogradError(
    'non-finite-feature',
    `${name}: the feature in row ${firstRow + Math.floor(at / width)}, column ${at % width} (counted from 0) is ${values[at]}, not a finite float32.`,
    'Extract the slide again, or leave it out: training on it would spoil every weight.',
  );
}

function copyColumns(
  values: Float32Array,
  rows: number,
  columns: number,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(rows * (to - from));
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * columns + from, row * columns + to), row * (to - from));
  }
  return out;
}

function toFloat32(data: NumberArray['data']): Float32Array<ArrayBuffer> {
  if (data instanceof Float32Array && data.buffer instanceof ArrayBuffer) {
    return new Float32Array(data.buffer, data.byteOffset, data.length);
  }
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) out[i] = Number(data[i]);
  return out;
}
