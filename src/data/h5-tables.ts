/**
 * Tables inside HDF5 files (10x matrices, .h5ad): numbers in blocks of rows, strings and attributes, each
 * with its status checked. Links that leave the file are refused.
 */
import type { Dataset, Entity, Group, File as H5File } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import { float16ToFloat32 } from './half.ts';
import { attempt, checkH5Opened, type H5Library } from './hdf5.ts';

const INTEGER = 0;
const FLOAT = 1;
const STRING = 3;
/** h5py writes booleans as an enumeration over int8. */
const ENUM = 8;
const BLOCK_BYTES = 8 * 2 ** 20;
const MAX_BLOCK_BYTES = 512 * 2 ** 20;
/** Deflate cannot do better; a dataset that claims more was never written. */
const MAX_DEFLATE_RATIO = 1032;
/** Strings at a time: many may share one long text on disk, but not in memory. */
const BLOCK_STRINGS = 4096;
const MAX_TEXT = 2 ** 28;

/** An open file. Paths are like `obs/_index`. */
export interface H5Tables {
  /** Names in a group; undefined when there is no such group. `''` is the root. */
  keys(path: string): string[] | undefined;
  /** Shape of a dataset; undefined when there is no such dataset. */
  shape(path: string): number[] | undefined;
  /** An attribute of a group or dataset. */
  attribute(path: string, key: string): string | number | readonly number[] | undefined;
  /** A whole dataset of numbers or booleans. */
  numbers(path: string): Float64Array;
  /** A dataset's numbers, block of rows by block of rows; `first` is the first value's place in row-major order. */
  blocks(path: string, visit: (values: ArrayLike<number>, first: number) => void): void;
  /** A whole dataset of strings, fixed or variable in length. */
  strings(path: string): string[];
  /** An error that names the file: `bad-hdf5-table`. */
  error(problem: string): HistogradError;
}

/**
 * Uses the tables of an open file, then closes it.
 *
 * @param fileBytes its size: datasets that claim far more than it can hold are refused
 * @throws HistogradError `bad-hdf5` (damaged), `bad-hdf5-table` (a dataset that is missing or of another type)
 */
export function useH5Tables<T>(
  library: H5Library,
  file: H5File,
  fileBytes: number,
  name: string,
  use: (tables: H5Tables) => T,
): T {
  checkH5Opened(file, name);
  try {
    return use(h5Tables(library, file, fileBytes, name));
  } finally {
    attempt(name, () => file.close());
  }
}

/** As `useH5Tables`, from a file's bytes; runs in browsers too. */
export async function useH5Bytes<T>(
  bytes: Uint8Array,
  name: string,
  use: (tables: H5Tables) => T,
): Promise<T> {
  const { File, ready } = await import('h5wasm');
  const library = await ready;
  const path = `/histograd-${crypto.randomUUID()}.h5`;
  library.FS.writeFile(path, bytes);
  try {
    const file = attempt(name, () => new File(path, 'r'));
    return useH5Tables(library, file, bytes.length, name, use);
  } finally {
    library.FS.unlink(path);
  }
}

function h5Tables(library: H5Library, file: H5File, fileBytes: number, name: string): H5Tables {
  const error = (problem: string) =>
    new HistogradError(
      'bad-hdf5-table',
      `${name}: ${problem}.`,
      'Check that the file is of the expected format and complete.',
    );

  /** Step by step, because a path would follow links out of the file. */
  const find = (path: string): Group | Dataset | undefined =>
    attempt(name, () => {
      let at: Group | Dataset = file;
      for (const key of path.split('/').filter(Boolean)) {
        if (!isGroup(at) || !at.keys().includes(key)) return undefined;
        const next = at.get(key);
        if (!isGroup(next) && !isDataset(next)) {
          throw error(`${path} is a link or another thing that holds no data in this file`);
        }
        at = next;
      }
      return at;
    });

  const dataset = (path: string): Dataset => {
    const found = find(path);
    if (!isDataset(found)) throw error(`it has no dataset ${path}`);
    const {
      total_size: values,
      size,
      virtual_sources: others,
    } = attempt(name, () => found.metadata);
    if (others && others.length > 0)
      throw error(`dataset ${path} takes its values from other files`);
    if (values * size > fileBytes * MAX_DEFLATE_RATIO) {
      throw error(
        `dataset ${path} claims ${values} values, more than a file of ${fileBytes} bytes can hold`,
      );
    }
    return found;
  };

  /** Reads rows into the library's memory, lets `use` look at them there, and frees them. */
  const readRows = (
    source: Dataset,
    path: string,
    row: number,
    rows: number,
    use: (pointer: number, bytes: number, count: bigint[] | null) => void,
  ): void => {
    const { metadata } = source;
    const shape = metadata.shape ?? [];
    const count = shape.length === 0 ? null : [rows, ...shape.slice(1)].map(BigInt);
    const values = rows * shape.slice(1).reduce((product, n) => product * n, 1);
    const bytes = values * metadata.size;
    const pointer = bytes > MAX_BLOCK_BYTES ? 0 : library._malloc(bytes);
    if (pointer === 0) throw error(`dataset ${path}: ${rows} rows take too much memory at once`);
    try {
      const offset = shape.map((_, axis) => BigInt(axis === 0 ? row : 0));
      const stride = shape.map(() => 1n);
      const status = attempt(name, () =>
        library.get_dataset_data(
          source.file_id,
          source.path,
          count,
          count && offset,
          count && stride,
          BigInt(pointer),
        ),
      );
      if (status < 0) throw error(`rows ${row} and on of dataset ${path} cannot be read`);
      use(pointer, bytes, count);
    } finally {
      library._free(pointer);
    }
  };

  const blocks: H5Tables['blocks'] = (path, visit) => {
    const source = dataset(path);
    const { metadata } = source;
    const decode = decoder(metadata.enum_type?.type ?? metadata.type, metadata);
    if (!decode) throw error(`dataset ${path} does not hold numbers (${String(source.dtype)})`);
    const [rows = 1, ...rest] = metadata.shape ?? [];
    const rowValues = rest.reduce((product, n) => product * n, 1);
    if (metadata.shape === null || rows * rowValues === 0) return;
    // A whole number of chunks: no chunk is uncompressed twice.
    const chunkRows = metadata.chunks?.[0] ?? 1;
    const blockChunks = Math.ceil(BLOCK_BYTES / (rowValues * metadata.size * chunkRows));
    const blockRows = Math.min(rows, blockChunks * chunkRows);
    for (let row = 0; row < rows; row += blockRows) {
      readRows(source, path, row, Math.min(blockRows, rows - row), (pointer, bytes) =>
        visit(decode(library.HEAPU8.slice(pointer, pointer + bytes).buffer), row * rowValues),
      );
    }
  };

  return {
    error,
    keys(path) {
      const found = find(path);
      return isGroup(found) ? attempt(name, () => found.keys()) : undefined;
    },
    shape(path) {
      const found = find(path);
      return isDataset(found) ? [...(attempt(name, () => found.shape) ?? [0])] : undefined;
    },
    attribute(path, key) {
      const found = find(path);
      if (!found) return undefined;
      return attempt(name, () => {
        const attributes = found.attrs;
        const value: unknown = Object.hasOwn(attributes, key) ? attributes[key]?.value : undefined;
        if (typeof value === 'string' || typeof value === 'number') return value;
        if (typeof value === 'bigint') return Number(value);
        if (ArrayBuffer.isView(value) && 'length' in value) return numbersOf(value);
        return undefined;
      });
    },
    blocks,
    numbers(path) {
      const source = dataset(path);
      const out = allocate(source.metadata.total_size, () => error(`dataset ${path} is too large`));
      blocks(path, (values, first) => out.set(values, first));
      return out;
    },
    strings(path) {
      const source = dataset(path);
      const { metadata } = source;
      const { type, size, vlen, shape } = metadata;
      if (type !== STRING || (shape?.length ?? 0) > 1) {
        throw error(`dataset ${path} does not hold a list of strings (${String(source.dtype)})`);
      }
      const rows = shape === null ? 0 : (shape[0] ?? 1);
      const decode = new TextDecoder();
      const out: string[] = [];
      let letters = 0;
      for (let row = 0; row < rows; row += BLOCK_STRINGS) {
        const count = Math.min(BLOCK_STRINGS, rows - row);
        readRows(source, path, row, count, (pointer, bytes, extent) => {
          if (vlen) {
            const view = new DataView(library.HEAPU8.buffer);
            for (let i = 0; i < count; i++) {
              out.push(library.UTF8ToString(view.getUint32(pointer + 4 * i, true)));
            }
            const { file_id: id, path: at } = source;
            if (extent) library.reclaim_vlen_memory_count(id, at, '', BigInt(pointer), extent);
            else library.reclaim_vlen_memory(id, at, '', BigInt(pointer));
          } else {
            const heap = library.HEAPU8.slice(pointer, pointer + bytes);
            for (let i = 0; i < count; i++) {
              const cell = heap.subarray(i * size, (i + 1) * size);
              const end = cell.indexOf(0);
              out.push(decode.decode(end < 0 ? cell : cell.subarray(0, end)).trimEnd());
            }
          }
          for (let i = row; i < row + count; i++) letters += out[i]!.length;
        });
        if (letters > MAX_TEXT) throw error(`dataset ${path} holds more text than names can be`);
      }
      return out;
    },
  };
}

function numbersOf(view: ArrayBufferView): number[] | undefined {
  if (view instanceof BigInt64Array || view instanceof BigUint64Array) {
    return Array.from(view, Number);
  }
  if (view instanceof DataView || !isNumberArray(view)) return undefined;
  return Array.from(view);
}

function isNumberArray(view: object): view is ArrayLike<number> {
  return 'length' in view && typeof view.length === 'number';
}

function isGroup(entity: Entity | null | undefined): entity is Group {
  return entity != null && 'type' in entity && String(entity.type) === 'Group';
}

function isDataset(entity: Entity | null | undefined): entity is Dataset {
  return entity != null && 'type' in entity && String(entity.type) === 'Dataset';
}

function allocate(length: number, tooLarge: () => HistogradError): Float64Array {
  try {
    return new Float64Array(length);
  } catch {
    throw tooLarge();
  }
}

function decoder(
  type: number,
  { size, signed }: { size: number; signed: boolean },
): ((buffer: ArrayBuffer) => ArrayLike<number>) | undefined {
  if (type === FLOAT) {
    if (size === 4) return (buffer) => new Float32Array(buffer);
    if (size === 8) return (buffer) => new Float64Array(buffer);
    if (size === 2) return (buffer) => float16ToFloat32(new Uint16Array(buffer));
  }
  if (type === INTEGER || type === ENUM) {
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
