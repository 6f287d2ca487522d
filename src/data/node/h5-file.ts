/** HDF5 files on the disk, read in place. */
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { resolve } from 'node:path';
import type { File as H5File } from 'h5wasm';
import { attempt, checkH5Opened, type H5Library } from '../h5-rows.ts';
import { type H5Tables, useH5Tables } from '../h5-tables.ts';
import { readStart } from './read-file.ts';

interface OpenedH5 {
  readonly library: H5Library;
  readonly file: H5File;
  readonly fileBytes: number;
}

/** Opens `path` for reading; to be closed by the caller. Throws `no-file`, `not-readable`, `bad-hdf5`. */
export async function openH5(path: string): Promise<OpenedH5> {
  // The library's own error for a missing file is a bare failure.
  const { fileBytes } = await readStart(path, 0);
  const { library, File } = await loadH5();
  // h5wasm keeps its own working folder, so that a later process.chdir would mislead it.
  const file = attempt(path, () => new File(resolve(path), 'r'));
  checkH5Opened(file, path);
  return { library, file, fileBytes };
}

/** Opens `path`, gives its tables to `use`, and closes it. Errors as `useH5Tables` and `openH5`. */
export async function useH5File<T>(path: string, use: (tables: H5Tables) => T): Promise<T> {
  const { library, file, fileBytes } = await openH5(path);
  return useH5Tables(library, file, fileBytes, path, use);
}

/** The HDF5 library that sees the disk. */
export async function loadH5(): Promise<{ library: H5Library; File: typeof H5File }> {
  const module = await import('h5wasm/node');
  const library = await module.ready;
  // Null until the library is ready.
  silence(module.FS);
  return { library, File: module.File };
}

let silenced = false;

/**
 * The HDF5 library prints a page of C source lines to stderr for every damaged file. Our errors say what is wrong, so
 * its stderr goes to the null device. (Its own "throwing error handler" would keep damaged files open for ever.)
 */
function silence(fs: unknown): void {
  if (silenced || typeof fs !== 'object' || fs === null || !('getStream' in fs)) return;
  if (typeof fs.getStream !== 'function') return;
  const stream: unknown = fs.getStream(2);
  if (typeof stream === 'object' && stream !== null && 'nfd' in stream) {
    stream.nfd = openSync(devNull, 'w');
    silenced = true;
  }
}
