/**
 * Patch features from HDF5 (.h5) files through h5wasm, the HDF5 library compiled to WebAssembly.
 *
 * Layouts read: CLAM and TRIDENT (`features` [N, d], `coords` [N, 2]), SEQUOIA and PRALINE (`*_features` [N, d]).
 * `h5wasm` (browser, in memory) and `h5wasm/node` (reads straight from the file system) share the types used here.
 */
import type { Dataset, File as H5File } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import { type NamedShape, pickFeatureArray } from './feature-array.ts';
import {
  attempt,
  badHdf5,
  claimsTooMuch,
  type H5Library,
  isDataset,
  numberDecoder,
  readBlocks,
} from './h5-rows.ts';

/** A float matrix or array as read, in row-major order. */
export interface H5Array {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer>;
}

interface NamedDataset extends NamedShape {
  readonly dataset: Dataset;
}

/**
 * The features' dataset of an open file and, where there is one, the coordinates': shapes only, nothing is read.
 *
 * @param fileBytes the file's size: a dataset that claims far more than it could hold is refused
 * @throws HistogradError `bad-hdf5` when the file is damaged, else as `pickFeatureArray`
 */
export function findH5Features(
  file: H5File,
  fileBytes: number,
  dataset: string | undefined,
  name: string,
): { features: NamedDataset; coords: NamedDataset | undefined } {
  const arrays = attempt(name, () => listDatasets(file, dataset));
  const features = pickFeatureArray(arrays, dataset, name);
  const coords = arrays.find((array) => array.name === 'coords');
  for (const array of coords ? [features, coords] : [features]) {
    if (attempt(name, () => claimsTooMuch(array.dataset, fileBytes))) {
      const claim = `${array.name} claims the shape [${array.shape.join(', ')}]`;
      throw badHdf5(name, `dataset ${claim}, more than a file of ${fileBytes} bytes can hold`);
    }
  }
  return { features, coords };
}

/**
 * Reads a whole dataset as float32. Values come block of rows by block of rows.
 *
 * @throws HistogradError `bad-hdf5` when its bytes cannot be read or uncompressed (cut short, damaged, a filter that is
 *   not built in), `unsupported-dtype` when it holds no numbers
 */
export function readH5Array(
  library: H5Library,
  { name: path, shape, dataset }: NamedDataset,
  name: string,
): H5Array {
  const length = shape.reduce((product, n) => product * n, 1);
  const { decode, problem } = reading(path, dataset, name);
  const data = allocate(length, name, path);
  readBlocks(library, dataset, decode, problem, (values, first) => data.set(values, first));
  return { shape: [...shape], data };
}

/** The rows from `start` to before `end` of a dataset [N, d]; errors as `readH5Array`. */
export function readH5Rows(
  library: H5Library,
  { name: path, shape, dataset }: NamedDataset,
  { start, end }: { readonly start: number; readonly end: number },
  name: string,
): Float32Array<ArrayBuffer> {
  const width = shape[1] ?? 1;
  const { decode, problem } = reading(path, dataset, name);
  const data = allocate((end - start) * width, name, path);
  const put = (values: ArrayLike<number>, first: number) => data.set(values, first - start * width);
  readBlocks(library, dataset, decode, problem, put, start, end);
  return data;
}

/** How to read a dataset; throws where it holds no numbers. */
function reading(path: string, dataset: Dataset, name: string) {
  const decode = numberDecoder(dataset);
  if (decode === undefined) {
    throw new HistogradError(
      'unsupported-dtype',
      `${name}: dataset ${path} does not hold numbers (HDF5 type ${dataset.dtype}).`,
      'Name a dataset of float or integer values with --dataset.',
    );
  }
  return { decode, problem: (text: string) => badHdf5(name, `dataset ${path}: ${text}`) };
}

/** A text attribute of the file itself; undefined when there is none. Throws `bad-hdf5` when it is damaged. */
export function h5Text(file: H5File, key: string, name: string): string | undefined {
  return attempt(name, () => {
    const { attrs } = file;
    const value: unknown = Object.hasOwn(attrs, key) ? attrs[key]?.value : undefined;
    return typeof value === 'string' ? value : undefined;
  });
}

function listDatasets(file: H5File, wanted: string | undefined): NamedDataset[] {
  const names = file.keys();
  if (wanted !== undefined && !names.includes(wanted)) names.push(wanted);
  return names.flatMap((name) => {
    const entity = file.get(name);
    return isDataset(entity) && entity.shape !== null
      ? [{ name, shape: entity.shape, dataset: entity }]
      : [];
  });
}

function allocate(length: number, name: string, path: string): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(length);
  } catch (cause) {
    throw badHdf5(
      name,
      `dataset ${path} claims ${length} values, which do not fit into memory`,
      cause,
    );
  }
}
