/** HDF5 files that were dropped: in a worker read in place, however large they are. */
import type { File as H5File } from 'h5wasm';
import { attempt, checkH5Opened, type H5Library } from '../../data/h5-rows.ts';
import { type H5Tables, useH5Tables } from '../../data/h5-tables.ts';
import { type NamedFile, readWhole } from './file-bytes.ts';

/** Outside of a worker the file is copied into memory. */
const MAX_COPIED_BYTES = 2 ** 30;

/**
 * Opens a file, gives it to `use`, which has to close it, and takes it out of the library's view again.
 *
 * @throws HistogradError `bad-hdf5`, `too-large`, `not-readable`
 */
export async function useH5File<T>(
  source: NamedFile,
  use: (library: H5Library, file: H5File) => T,
): Promise<T> {
  const { File, ready } = await import('h5wasm');
  const library = await ready;
  const { FS } = library;
  silence(FS);
  const folder = `/histograd-${crypto.randomUUID()}`;
  const path = `${folder}/dropped.h5`;
  const inPlace = 'FileReaderSync' in globalThis;
  const bytes = inPlace ? null : await readWhole(source, MAX_COPIED_BYTES);
  FS.mkdir(folder);
  if (bytes) FS.writeFile(path, bytes);
  else {
    const blobs = [{ name: 'dropped.h5', data: source.file }];
    FS.mount(workerFiles(FS), { blobs }, folder);
  }
  try {
    const file = attempt(source.path, () => new File(path, 'r'));
    checkH5Opened(file, source.path);
    return use(library, file);
  } finally {
    if (bytes) FS.unlink(path);
    else FS.unmount(folder);
    FS.rmdir(folder);
  }
}

/** As `useH5File`, for tables. */
export function useH5FileTables<T>(source: NamedFile, use: (tables: H5Tables) => T): Promise<T> {
  return useH5File(source, (library, file) =>
    useH5Tables(library, file, source.file.size, source.path, use),
  );
}

type Files = H5Library['FS'];

/** The library prints a page of C source lines for every damaged file (see `node/h5-file.ts`); our errors say what is wrong. */
function silence(files: Files): void {
  if (!('getStream' in files) || typeof files.getStream !== 'function') return;
  const stream: unknown = files.getStream(2);
  if (typeof stream !== 'object' || stream === null || !('stream_ops' in stream)) return;
  if (typeof stream.stream_ops !== 'object') return;
  const swallow = (_: unknown, __: unknown, ___: number, length: number) => length;
  stream.stream_ops = { ...stream.stream_ops, write: swallow };
}

/** Emscripten's WORKERFS, which reads files where they are; h5wasm has it, but its types do not. */
function workerFiles(files: Files): Parameters<Files['mount']>[0] {
  const kinds: unknown = 'filesystems' in files ? files.filesystems : undefined;
  if (typeof kinds === 'object' && kinds !== null && 'WORKERFS' in kinds) {
    const kind = kinds.WORKERFS;
    if (isFileSystem(kind)) return kind;
  }
  throw new Error('h5wasm was built without WORKERFS');
}

function isFileSystem(value: unknown): value is Parameters<Files['mount']>[0] {
  return typeof value === 'object' && value !== null && 'mount' in value;
}
