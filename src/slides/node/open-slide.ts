import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ByteSource } from '../byte-source.ts';
import {
  type OpenSlideOptions,
  openSlide as openInMemory,
  openSlideSources,
} from '../open-slide.ts';
import type { Slide } from '../slide.ts';
import { unsupportedSlide } from '../slide-errors.ts';
import { fileSource } from './file-source.ts';

/** Resolutions, labels and overviews of one scan; more files are several scans. */
const MAX_SERIES_FILES = 64;

/** A file, a folder that holds one DICOM series, or the files of one. */
export type SlidePath = string | readonly string[];

/**
 * A slide from a path (a folder, or several files, for a DICOM series), or as in the browser from a `File`, a `Blob` or bytes.
 *
 * @throws HistogradError `file-not-readable`, `slide-unsupported`, `slide-damaged`, `bad-option`
 */
export async function openSlide(
  source: SlidePath | Blob | Uint8Array | readonly Blob[],
  options: OpenSlideOptions = {},
): Promise<Slide> {
  if (isPathList(source)) return openSeries(source, options);
  if (typeof source !== 'string') return openInMemory(source, options);
  const folder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!folder) return openSlideSources([await fileSource(source)], options);
  const entries = await readdir(source, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.(dcm|dicom)$/i.test(entry.name));
  if (files.length === 0) {
    throw unsupportedSlide(
      basename(source),
      'a folder is read as one DICOM series, and it has no .dcm files',
    );
  }
  const names = files.map((file) => file.name).sort();
  return openSeries(
    names.map((name) => join(source, name)),
    options,
  );
}

async function openSeries(paths: readonly string[], options: OpenSlideOptions): Promise<Slide> {
  if (paths.length > MAX_SERIES_FILES) {
    throw unsupportedSlide(
      basename(dirname(paths[0]!)),
      `a DICOM series of up to ${MAX_SERIES_FILES} files is read as a slide, and this one has ${paths.length}`,
    );
  }
  const sources: ByteSource[] = [];
  try {
    for (const path of paths) sources.push(await fileSource(path));
  } catch (cause) {
    for (const source of sources) await source.close();
    throw cause;
  }
  return openSlideSources(sources, options);
}

function isPathList(source: unknown): source is readonly string[] {
  return (
    Array.isArray(source) && source.length > 0 && source.every((path) => typeof path === 'string')
  );
}
