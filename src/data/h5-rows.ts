/**
 * Rows of HDF5 datasets through h5wasm, the HDF5 library compiled to WebAssembly. `h5wasm` (browser, in memory) and
 * `h5wasm/node` (reads straight from the file system) share the types used here.
 */
import type { Dataset, Entity, File as H5File, ready } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import { float16ToFloat32 } from '../half.ts';

/** h5wasm's compiled library. */
export type H5Library = Awaited<typeof ready>;

/** Makes an error of what is wrong with a dataset. */
export type H5Problem = (problem: string) => HistogradError;

/** HDF5's type classes (H5T_class_t) that hold numbers. */
const INTEGER = 0;
const FLOAT = 1;
/** h5py writes booleans as an enumeration over int8. */
const ENUM = 8;
/** Rows are read in blocks of about this size, so that the WebAssembly heap, which never shrinks, stays small. */
const BLOCK_BYTES = 8 * 2 ** 20;
/** One chunk may be larger than a block; beyond this the file is not one of features or tables. */
const MAX_BLOCK_BYTES = 512 * 2 ** 20;
/** Deflate cannot do better (zlib's technical notes); what claims more was never written, or is damaged. */
const MAX_DEFLATE_RATIO = 1032;

export function badHdf5(name: string, problem: string, cause?: unknown): HistogradError {
  return new HistogradError(
    'bad-hdf5',
    `${name} cannot be read as HDF5: ${problem}.`,
    'The file is damaged, cut short or not HDF5: copy or extract it again.',
    { cause },
  );
}

/** Throws if h5wasm could not open the file (it reports that by a negative id, then fails elsewhere). */
export function checkH5Opened(file: H5File, name: string): void {
  if (file.file_id < 0n) throw badHdf5(name, 'it cannot be opened as HDF5');
}

/** Runs a library call; whatever it throws (C++ exceptions among them) becomes a `bad-hdf5` error. */
export function attempt<T>(name: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof HistogradError) throw cause;
    throw badHdf5(name, 'the HDF5 library gave up on it', cause);
  }
}

/** Told by its field, not its class: h5wasm and h5wasm/node each have their own classes. */
export function isDataset(entity: Entity | null | undefined): entity is Dataset {
  return entity != null && 'type' in entity && String(entity.type) === 'Dataset';
}

/** Does the dataset claim more values than a file of this size can hold? */
export function claimsTooMuch({ metadata }: Dataset, fileBytes: number): boolean {
  return metadata.total_size * metadata.size > fileBytes * MAX_DEFLATE_RATIO;
}

type Decoder = (buffer: ArrayBuffer) => ArrayLike<number>;

/** How a dataset's bytes become numbers; undefined when it holds none. Booleans count where `booleans` is true. */
export function numberDecoder({ metadata }: Dataset, booleans = false): Decoder | undefined {
  const { size, signed } = metadata;
  const type = booleans && metadata.type === ENUM ? INTEGER : metadata.type;
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

/** Reads rows into the library's memory, lets `use` look at them there, and frees them. */
export function readRows(
  library: H5Library,
  source: Dataset,
  row: number,
  rows: number,
  problem: H5Problem,
  use: (pointer: number, bytes: number, count: bigint[] | null) => void,
): void {
  const { shape, size } = source.metadata;
  const rest = (shape ?? []).slice(1);
  const count = shape?.length ? [rows, ...rest].map(BigInt) : null;
  const bytes = rest.reduce((product, n) => product * n, rows * size);
  const pointer = bytes > MAX_BLOCK_BYTES ? 0 : library._malloc(bytes);
  if (pointer === 0) throw problem(`${rows} rows take too much memory at once`);
  try {
    // The high-level slice() ignores this status and would hand out whatever was in memory.
    let status: number;
    try {
      status = library.get_dataset_data(
        source.file_id,
        source.path,
        count,
        count?.map((_, axis) => BigInt(axis === 0 ? row : 0)) ?? null,
        count?.map(() => 1n) ?? null,
        BigInt(pointer),
      );
    } catch {
      status = -1;
    }
    if (status < 0) throw problem(`rows ${row} and on cannot be read`);
    use(pointer, bytes, count);
  } finally {
    library._free(pointer);
  }
}

/** All values, or those of the rows from `start` to before `end`, block of rows by block of rows; `first` is the first value's place in row-major order. */
export function readBlocks(
  library: H5Library,
  source: Dataset,
  decode: Decoder,
  problem: H5Problem,
  visit: (values: ArrayLike<number>, first: number) => void,
  start = 0,
  end = Number.POSITIVE_INFINITY,
): void {
  const { shape, size, chunks } = source.metadata;
  const [all = 1, ...rest] = shape ?? [];
  const rows = Math.min(all, end);
  const rowValues = rest.reduce((product, n) => product * n, 1);
  if (shape === null || rows * rowValues === 0) return;
  // A whole number of chunks: no chunk is uncompressed twice.
  const chunkRows = chunks?.[0] ?? 1;
  const blockChunks = Math.ceil(BLOCK_BYTES / (rowValues * size * chunkRows));
  const blockRows = Math.min(rows, blockChunks * chunkRows);
  for (let row = start; row < rows; row += blockRows) {
    const count = Math.min(blockRows, rows - row);
    readRows(library, source, row, count, problem, (pointer, bytes) =>
      // A copy: the heap may move, and its bytes are not aligned for us.
      visit(decode(library.HEAPU8.slice(pointer, pointer + bytes).buffer), row * rowValues),
    );
  }
}
