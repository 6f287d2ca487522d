/**
 * Patch features from HDF5 (.h5) files through h5wasm, the HDF5 library compiled to WebAssembly.
 *
 * Layouts read: CLAM and TRIDENT (`features` [N, d], `coords` [N, 2]), SEQUOIA and PRALINE (`*_features` [N, d]).
 * `h5wasm` (browser, in memory) and `h5wasm/node` (reads straight from the file system) share the types used here.
 */
import type { Dataset, Entity, File as H5File, ready } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import { type NamedShape, pickFeatureArray } from './feature-array.ts';
import { float16ToFloat32 } from './half.ts';

/** h5wasm's compiled library. */
export type H5Library = Awaited<typeof ready>;

/** A float matrix or array as read, in row-major order. */
export interface H5Array {
  readonly shape: number[];
  readonly data: Float32Array<ArrayBuffer>;
}

interface NamedDataset extends NamedShape {
  readonly dataset: Dataset;
}

/** HDF5's type classes (H5T_class_t) that hold numbers. */
const INTEGER = 0;
const FLOAT = 1;
/** Rows are read in blocks of about this size, so that the WebAssembly heap, which never shrinks, stays small. */
const BLOCK_BYTES = 8 * 2 ** 20;
/** Deflate cannot do better (zlib's technical notes); what claims more was never written, or is damaged. */
const MAX_DEFLATE_RATIO = 1032;
/** One chunk may be larger than a block; beyond this the file is not a feature file. */
const MAX_BLOCK_BYTES = 512 * 2 ** 20;

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
    const { total_size: values, size } = attempt(name, () => array.dataset.metadata);
    if (values * size > fileBytes * MAX_DEFLATE_RATIO) {
      const claim = `${array.name} claims the shape [${array.shape.join(', ')}]`;
      throw bad(name, `dataset ${claim}, more than a file of ${fileBytes} bytes can hold`);
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
  const { metadata } = dataset;
  const decode = decoder(metadata.type, metadata.size, metadata.signed);
  if (decode === undefined) {
    throw new HistogradError(
      'unsupported-dtype',
      `${name}: dataset ${path} does not hold numbers (HDF5 type ${dataset.dtype}).`,
      'Name a dataset of float or integer values with --dataset.',
    );
  }
  const rows = shape[0] ?? 1;
  const rowValues = shape.slice(1).reduce((product, n) => product * n, 1);
  const data = allocate(rows * rowValues, name, path);
  if (data.length === 0) return { shape: [...shape], data };

  // A whole number of chunks per block: no chunk is uncompressed twice.
  const chunkRows = metadata.chunks?.[0] ?? 1;
  const blockChunks = Math.ceil(BLOCK_BYTES / (rowValues * metadata.size * chunkRows));
  const blockRows = Math.min(rows, blockChunks * chunkRows);
  const blockBytes = blockRows * rowValues * metadata.size;
  const pointer = blockBytes > MAX_BLOCK_BYTES ? 0 : library._malloc(blockBytes);
  if (pointer === 0)
    throw bad(name, `dataset ${path}: a block of ${blockRows} rows takes too much memory`);
  try {
    for (let row = 0; row < rows; row += blockRows) {
      const count = [Math.min(blockRows, rows - row), ...shape.slice(1)];
      // The high-level slice() ignores this status and would hand out whatever was in memory.
      const status = attempt(name, () =>
        library.get_dataset_data(
          dataset.file_id,
          dataset.path,
          shape.length === 0 ? null : count.map(BigInt),
          shape.length === 0 ? null : shape.map((_, axis) => BigInt(axis === 0 ? row : 0)),
          shape.length === 0 ? null : shape.map(() => 1n),
          BigInt(pointer),
        ),
      );
      if (status < 0) throw bad(name, `rows ${row} and on of dataset ${path} cannot be read`);
      const bytes = count[0]! * rowValues * metadata.size;
      // A copy: the heap may move, and its bytes are not aligned for us.
      const block = library.HEAPU8.slice(pointer, pointer + bytes);
      data.set(decode(block.buffer), row * rowValues);
    }
  } finally {
    library._free(pointer);
  }
  return { shape: [...shape], data };
}

/** Throws if h5wasm could not open the file (it reports that by a negative id, then fails elsewhere). */
export function checkH5Opened(file: H5File, name: string): void {
  if (file.file_id < 0n) throw bad(name, 'it cannot be opened as HDF5');
}

/** Runs a library call; whatever it throws (C++ exceptions among them) becomes a `bad-hdf5` error. */
export function attempt<T>(name: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof HistogradError) throw cause;
    throw bad(name, 'the HDF5 library gave up on it', cause);
  }
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

/** Told by its field, not its class: h5wasm and h5wasm/node each have their own classes. */
function isDataset(entity: Entity | null): entity is Dataset {
  return entity !== null && 'type' in entity && String(entity.type) === 'Dataset';
}

function decoder(
  type: number,
  size: number,
  signed: boolean,
): ((buffer: ArrayBuffer) => ArrayLike<number>) | undefined {
  if (type === FLOAT) {
    if (size === 4) return (buffer) => new Float32Array(buffer);
    if (size === 8) return (buffer) => new Float64Array(buffer);
    if (size === 2) return (buffer) => float16ToFloat32(new Uint16Array(buffer));
  }
  if (type === INTEGER) {
    if (size === 1) return (buffer) => (signed ? new Int8Array(buffer) : new Uint8Array(buffer));
    if (size === 2) return (buffer) => (signed ? new Int16Array(buffer) : new Uint16Array(buffer));
    if (size === 4) return (buffer) => (signed ? new Int32Array(buffer) : new Uint32Array(buffer));
    if (size === 8) {
      return (buffer) =>
        Float64Array.from(signed ? new BigInt64Array(buffer) : new BigUint64Array(buffer), Number);
    }
  }
  return undefined;
}

function allocate(length: number, name: string, path: string): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(length);
  } catch (cause) {
    throw bad(name, `dataset ${path} claims ${length} values, which do not fit into memory`, cause);
  }
}

function bad(name: string, problem: string, cause?: unknown): HistogradError {
  return new HistogradError(
    'bad-hdf5',
    `${name} cannot be read as HDF5: ${problem}.`,
    'The file is damaged, cut short or not HDF5: copy or extract it again.',
    { cause },
  );
}
