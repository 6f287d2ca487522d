/** Opening a slide, whatever its format. */
import { HistogradError } from '../errors.ts';
import { type ByteSource, memorySource, readBytes } from './byte-source.ts';
import { openDicomSlide } from './dicom-slide.ts';
import { openImageSlide } from './image-slide.ts';
import type { Slide } from './slide.ts';
import { unsupportedSlide } from './slide-errors.ts';
import { openTiffSlide } from './tiff-slide.ts';

export interface OpenSlideOptions {
  /** For messages, where the source has none of its own. */
  readonly name?: string;
  /** Micrometres per level-0 pixel, instead of what the file says or where it says nothing. */
  readonly mpp?: number;
  /** Bytes of decoded tiles to keep; 64 MiB when left out. */
  readonly cacheBytes?: number;
}

const CACHE_BYTES = 64 * 2 ** 20;

/**
 * A slide from a `File`, a `Blob` or bytes, by range reads: TIFF and BigTIFF (Aperio SVS, OME-TIFF, generic tiles and
 * strips), DICOM whole-slide images, JPEG and PNG pictures (which are decoded whole).
 *
 * A DICOM series of several files is given as an array, one file a resolution.
 *
 * @throws HistogradError `slide-unsupported`, `slide-damaged`, `bad-option`
 */
export async function openSlide(
  source: Blob | Uint8Array | readonly Blob[],
  options: OpenSlideOptions = {},
): Promise<Slide> {
  const sources = Array.isArray(source) ? source : [source];
  return openSlideSources(
    sources.map((data: Blob | Uint8Array) => memorySource(data, options.name ?? fileName(data))),
    options,
  );
}

/** Closes the sources when the slide cannot be opened. */
export async function openSlideSources(
  sources: readonly ByteSource[],
  options: OpenSlideOptions,
): Promise<Slide> {
  try {
    const { mpp } = options;
    if (mpp !== undefined && !(mpp > 0 && Number.isFinite(mpp))) {
      throw new HistogradError(
        'bad-option',
        `The mpp is ${mpp}, which is not a positive number.`,
        'Give micrometres per pixel, for example 0.5.',
      );
    }
    const slide = await openByContent(sources, options.cacheBytes ?? CACHE_BYTES);
    return mpp === undefined ? slide : { ...slide, mpp };
  } catch (cause) {
    for (const source of sources) await source.close();
    throw cause;
  }
}

async function openByContent(sources: readonly ByteSource[], cacheBytes: number): Promise<Slide> {
  const source = sources[0];
  if (!source) throw new HistogradError('bad-option', 'No file was given.', 'Give a slide.');
  const head = await readBytes(source, 0, Math.min(source.size, 132), 'the beginning');
  const starts = (text: string, at = 0) =>
    [...text].every((c, i) => head[at + i] === c.charCodeAt(0));
  if (starts('DICM', 128)) return openDicomSlide(sources, cacheBytes);
  if (sources.length > 1)
    throw unsupportedSlide(source.name, 'several files make a slide only in DICOM');
  if (starts('II*\0') || starts('MM\0*') || starts('II+\0') || starts('MM\0+'))
    return openTiffSlide(source, cacheBytes);
  if (starts('\xff\xd8\xff')) return openImageSlide(source, 'jpeg');
  if (starts('\x89PNG\r\n\x1a\n')) return openImageSlide(source, 'png');
  if (isText(head)) {
    throw new HistogradError(
      'slide-unsupported',
      `${source.name}: it is ${source.size === 0 ? 'empty' : 'text'}, not a TIFF (as .svs files are), DICOM, JPEG or PNG file.`,
      'Check that this is the slide itself: links, notes and failed downloads sometimes bear its name. Copy it again from where it came from.',
    );
  }
  throw unsupportedSlide(source.name, 'it is not TIFF, SVS, OME-TIFF, DICOM, JPEG or PNG');
}

/** Printable letters and line ends alone; an empty file too. */
function isText(head: Uint8Array): boolean {
  return head.every((byte) => byte >= 32 || (byte >= 9 && byte <= 13));
}

function fileName(data: Blob | Uint8Array): string {
  return 'name' in data && typeof data.name === 'string' ? data.name : 'slide';
}
