/**
 * Tables inside HDF5 files (10x matrices, .h5ad): numbers in blocks of rows, strings and attributes, each
 * with its status checked. Links that leave the file are refused.
 */
import type { Dataset, Entity, Group, File as H5File } from 'h5wasm';
import { HistogradError } from '../errors.ts';
import {
  attempt,
  checkH5Opened,
  claimsTooMuch,
  type H5Library,
  isDataset,
  numberDecoder,
  readBlocks,
  readRows,
} from './h5-rows.ts';

/** HDF5's type class of strings (H5T_class_t). */
const STRING = 3;
/** Strings at a time: many may share one long text on disk, but not in memory. */
const BLOCK_STRINGS = 4096;
const MAX_TEXT = 2 ** 28;
/** Of a list as long as the spots or the genes; empty ones compress a thousandfold. */
const MAX_NUMBERS = 2 ** 26;

/** An open file. Paths are like `obs/_index`. */
export interface H5Tables {
  /** Names in a group; undefined when there is no such group. `''` is the root. */
  keys(path: string): string[] | undefined;
  /** Shape of a dataset, which the file can hold; undefined when there is no such dataset. */
  shape(path: string): number[] | undefined;
  /** An attribute of a group or dataset. */
  attribute(path: string, key: string): string | number | readonly number[] | undefined;
  /** A whole dataset of numbers or booleans, at most 64 million. */
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

  const findDataset = (path: string): Dataset | undefined => {
    const found = find(path);
    if (!isDataset(found)) return undefined;
    const { virtual_sources: others, total_size: values } = attempt(name, () => found.metadata);
    if (others && others.length > 0)
      throw error(`dataset ${path} takes its values from other files`);
    if (claimsTooMuch(found, fileBytes)) {
      throw error(
        `dataset ${path} claims ${values} values, more than a file of ${fileBytes} bytes can hold`,
      );
    }
    return found;
  };
  const dataset = (path: string): Dataset => {
    const found = findDataset(path);
    if (!found) throw error(`it has no dataset ${path}`);
    return found;
  };

  const problemOf = (path: string) => (text: string) => error(`dataset ${path}: ${text}`);

  const blocks: H5Tables['blocks'] = (path, visit) => {
    const source = dataset(path);
    const decode = numberDecoder(source, true);
    if (!decode) throw error(`dataset ${path} does not hold numbers (${String(source.dtype)})`);
    readBlocks(library, source, decode, problemOf(path), visit);
  };

  return {
    error,
    keys(path) {
      const found = find(path);
      return isGroup(found) ? attempt(name, () => found.keys()) : undefined;
    },
    shape(path) {
      const found = findDataset(path);
      return found ? [...(attempt(name, () => found.shape) ?? [0])] : undefined;
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
      const { total_size: count } = source.metadata;
      if (count > MAX_NUMBERS) throw error(`dataset ${path} has ${count} values, expected a list`);
      const out = new Float64Array(count);
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
      if (rows > MAX_NUMBERS)
        throw error(`dataset ${path} has ${rows} strings, more than names can be`);
      const decode = new TextDecoder();
      const out: string[] = [];
      let letters = 0;
      for (let row = 0; row < rows; row += BLOCK_STRINGS) {
        const count = Math.min(BLOCK_STRINGS, rows - row);
        readRows(library, source, row, count, problemOf(path), (pointer, bytes, extent) => {
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
