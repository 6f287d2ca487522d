/** Sections from .h5ad files on disk, read in place. */
import { basename } from 'node:path';
import { type H5adOptions, readH5ad } from '../h5ad.ts';
import type { SpotSection } from '../spots.ts';
import { useH5File } from './h5-file.ts';

/** Reads one section; its name is the library's, or the file's. Errors as `readH5ad`, `bad-hdf5` and `no-file`. */
export async function readH5adFile(path: string, options: H5adOptions = {}): Promise<SpotSection> {
  const section = await useH5File(path, (tables) => readH5ad(tables, path, options));
  return section.name === path ? { ...section, name: basename(path, '.h5ad') } : section;
}
