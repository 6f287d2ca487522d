/** HDF5 files of tables, read in place from the disk. */
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { resolve } from 'node:path';
import { type H5Tables, useH5Tables } from '../h5-tables.ts';
import { attempt } from '../hdf5.ts';
import { readStart } from './read-file.ts';

/** Opens `path`, gives its tables to `use`, and closes it. Errors as `useH5Tables`, and `no-file`. */
export async function useH5File<T>(path: string, use: (tables: H5Tables) => T): Promise<T> {
  // The library's own error for a missing file is a bare failure.
  const { fileBytes } = await readStart(path, 0);
  const { File, FS, ready } = await import('h5wasm/node');
  const library = await ready;
  silence(FS);
  // h5wasm keeps its own working folder, so that a later process.chdir would mislead it.
  const file = attempt(path, () => new File(resolve(path), 'r'));
  return useH5Tables(library, file, fileBytes, path, use);
}

let silenced = false;

/** The HDF5 library prints a page of C source lines to stderr for every damaged file; our errors say it. */
function silence(fs: unknown): void {
  if (silenced || typeof fs !== 'object' || fs === null || !('getStream' in fs)) return;
  if (typeof fs.getStream !== 'function') return;
  const stream: unknown = fs.getStream(2);
  if (typeof stream === 'object' && stream !== null && 'nfd' in stream) {
    stream.nfd = openSync(devNull, 'w');
    silenced = true;
  }
}
