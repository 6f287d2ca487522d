import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
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

/**
 * A slide from a path (a folder for a DICOM series), or as in the browser from a `File`, a `Blob` or bytes.
 *
 * @throws HistogradError `file-not-readable`, `slide-unsupported`, `slide-damaged`, `bad-option`
 */
export async function openSlide(
  source: string | Blob | Uint8Array | readonly Blob[],
  options: OpenSlideOptions = {},
): Promise<Slide> {
  if (typeof source !== 'string') return openInMemory(source, options);
  const folder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!folder) return openSlideSources([await fileSource(source)], options);
  const entries = await readdir(source, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.(dcm|dicom)$/i.test(entry.name));
  if (files.length === 0 || files.length > MAX_SERIES_FILES) {
    throw unsupportedSlide(
      basename(source),
      `a folder is read as one DICOM series of up to ${MAX_SERIES_FILES} .dcm files, and it has ${files.length}`,
    );
  }
  const names = files.map((file) => file.name).sort();
  const sources = await Promise.all(names.map((name) => fileSource(join(source, name))));
  return openSlideSources(sources, options);
}
