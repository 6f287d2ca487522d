/**
 * JPEG tiles through libjpeg-turbo.
 *
 * What a tile's header says is read here first: the size is limited before anything is decoded, tables that TIFF keeps
 * apart are put in, and the colour space that the container names replaces what the decoder would guess.
 */

import type { RgbImage } from './slide.ts';
import { damagedSlide, orDamaged, unsupportedSlide } from './slide-errors.ts';
import { WasmCodec } from './wasm-codec.ts';

export interface JpegOptions {
  /** TIFF's JPEGTables: a JPEG stream of tables only. */
  readonly tables?: Uint8Array | undefined;
  /** What the three components are; `guess` as the markers in the stream say. */
  readonly colour: 'rgb' | 'ycbcr' | 'guess';
  readonly maxPixels: number;
}

interface JpegHeader {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Segments before the first scan, APPn and comments left out. */
  readonly segments: readonly Uint8Array[];
  /** From the first scan on. */
  readonly scans: Uint8Array;
  /** Markers that tell the colour space. */
  readonly jfif: boolean;
  readonly adobeTransform: number | null;
}

/** A progressive stream of ordinary pictures has about ten; a bomb has thousands. */
const MAX_SCANS = 64;
const CODEC = new WasmCodec(
  'JPEGDecoder',
  async () => (await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs')).default,
  async () => (await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasm?url')).default,
);

/** @param what the place in the file, for messages: `tile (3, 4) of level 0` */
export async function decodeJpeg(
  bytes: Uint8Array,
  options: JpegOptions,
  name: string,
  what: string,
): Promise<RgbImage> {
  const header = readHeader(bytes, name, what);
  const { width, height, components } = header;
  if (width * height > options.maxPixels) {
    throw unsupportedSlide(
      name,
      `${what} is a JPEG of ${width} x ${height} pixels, too large to decode at once`,
    );
  }
  const transform = colourTransform(header, options.colour);
  const tables = options.tables ? tableSegments(options.tables, name) : [];
  const stream = concat([
    Uint8Array.of(0xff, 0xd8),
    ...(components === 3 ? [adobeSegment(transform)] : []),
    ...tables,
    ...header.segments,
    header.scans,
  ]);
  const decoded = await orDamaged(name, `${what} is a damaged JPEG`, () => CODEC.decode(stream));
  const samples = width * height * components;
  if (
    decoded.width !== width ||
    decoded.height !== height ||
    decoded.components !== components ||
    decoded.data.length !== samples
  ) {
    throw damagedSlide(name, `${what} is a JPEG that decodes to another size than its header says`);
  }
  return { width, height, data: components === 3 ? decoded.data : greyToRgb(decoded.data) };
}

export function greyToRgb(grey: Uint8Array): Uint8Array {
  const data = new Uint8Array(3 * grey.length);
  for (let i = 0; i < grey.length; i++) data.fill(grey[i]!, 3 * i, 3 * i + 3);
  return data;
}

function readHeader(bytes: Uint8Array, name: string, what: string): JpegHeader {
  const bad = (problem: string) => damagedSlide(name, `${what} is not a JPEG: ${problem}`);
  const segments: Uint8Array[] = [];
  let frame: { width: number; height: number; components: number } | null = null;
  let jfif = false;
  let adobeTransform: number | null = null;
  for (const { marker, segment, end } of walkSegments(bytes, bad)) {
    if (marker === 0xda) {
      if (frame === null) throw bad('a scan comes before the frame header');
      const scans = bytes.subarray(end - segment.length);
      if (countScans(scans) > MAX_SCANS) throw bad(`more than ${MAX_SCANS} scans`);
      return { ...frame, segments, scans, jfif, adobeTransform };
    }
    if (isFrame(marker)) {
      if (frame !== null) throw bad('two frame headers');
      if (marker > 0xc2) {
        throw unsupportedSlide(name, `${what} is a lossless, hierarchical or arithmetic JPEG`);
      }
      frame = readFrame(segment, name, what);
    }
    if (marker === 0xe0 && ascii(segment, 4, 4) === 'JFIF') jfif = true;
    if (marker === 0xee && ascii(segment, 4, 5) === 'Adobe') adobeTransform = segment[15] ?? null;
    const application = (marker >= 0xe0 && marker <= 0xef) || marker === 0xfe;
    if (!application) segments.push(segment);
  }
  throw bad('it ends before its first scan');
}

function readFrame(segment: Uint8Array, name: string, what: string) {
  const height = ((segment[5] ?? 0) << 8) | (segment[6] ?? 0);
  const width = ((segment[7] ?? 0) << 8) | (segment[8] ?? 0);
  const components = segment[9] ?? 0;
  if (width === 0 || height === 0 || segment.length !== 10 + 3 * components) {
    throw damagedSlide(name, `${what} is a JPEG with a damaged frame header`);
  }
  if (segment[4] !== 8)
    throw unsupportedSlide(name, `${what} is a JPEG of ${segment[4]} bits, not 8`);
  if (components !== 1 && components !== 3) {
    throw unsupportedSlide(name, `${what} is a JPEG of ${components} components, not 1 or 3`);
  }
  return { width, height, components };
}

function tableSegments(tables: Uint8Array, name: string): Uint8Array[] {
  const bad = (problem: string) => damagedSlide(name, `the JPEG tables are damaged: ${problem}`);
  const segments: Uint8Array[] = [];
  for (const { marker, segment } of walkSegments(tables, bad)) {
    // Quantisation, Huffman and restart interval: nothing else belongs to tables.
    if (marker === 0xdb || marker === 0xc4 || marker === 0xdd) segments.push(segment);
  }
  return segments;
}

/** Segments after SOI up to EOI or the first scan (which is given too). */
function* walkSegments(bytes: Uint8Array, bad: (problem: string) => Error) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw bad('no start marker');
  let at = 2;
  while (at < bytes.length) {
    if (bytes[at] !== 0xff) throw bad(`no marker at its byte ${at}`);
    while (bytes[at + 1] === 0xff) at++;
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xd9) return;
    const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    const end = at + 2 + length;
    if (length < 2 || end > bytes.length) throw bad('a segment passes its end');
    yield { marker, segment: bytes.subarray(at, end), end };
    if (marker === 0xda) return;
    at = end;
  }
}

/** SOF0 to SOF15 without DHT, JPG and DAC. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function countScans(scans: Uint8Array): number {
  let count = 0;
  for (let at = scans.indexOf(0xff); at >= 0; at = scans.indexOf(0xff, at + 1)) {
    if (scans[at + 1] === 0xda) count++;
  }
  return count;
}

/** As libjpeg guesses where the container says nothing. */
function colourTransform(header: JpegHeader, colour: JpegOptions['colour']): 0 | 1 {
  if (colour !== 'guess') return colour === 'rgb' ? 0 : 1;
  if (header.jfif) return 1;
  if (header.adobeTransform !== null) return header.adobeTransform === 0 ? 0 : 1;
  const frame = header.segments.find((segment) => isFrame(segment[1] ?? 0));
  const ids = frame ? String.fromCharCode(frame[10]!, frame[13] ?? 0, frame[16] ?? 0) : '';
  return ids === 'RGB' ? 0 : 1;
}

/** APP14: the marker by which libjpeg is told RGB (0) or YCbCr (1). */
function adobeSegment(transform: 0 | 1): Uint8Array {
  return Uint8Array.of(
    0xff,
    0xee,
    0,
    14,
    0x41,
    0x64,
    0x6f,
    0x62,
    0x65,
    0,
    100,
    0,
    0,
    0,
    0,
    transform,
  );
}

function ascii(bytes: Uint8Array, start: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(start, start + length));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
