/**
 * The pages of a TIFF or BigTIFF through geotiff, as plain checked values.
 *
 * geotiff believes what a directory says: it allocates by counts, follows loops and reads past the end. So every
 * directory's entries are checked against the file before geotiff parses it.
 */
import type { GeoTIFF } from 'geotiff';
import { type ByteSource, readBytes } from './byte-source.ts';
import { damagedSlide, orDamaged } from './slide-errors.ts';

export interface TiffPage {
  /** `page 3`, or `page 0, part 2` for a SubIFD. */
  readonly label: string;
  readonly width: number;
  readonly height: number;
  readonly tiled: boolean;
  /** A strip counts as a tile as wide as the page. */
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly offsets: ArrayLike<number>;
  readonly byteCounts: ArrayLike<number>;
  readonly compression: number;
  readonly photometric: number;
  readonly samples: number;
  readonly bits: readonly number[];
  /** 1 unsigned, 2 signed, 3 float. */
  readonly sampleFormat: number;
  /** 1 interleaved, 2 one plane after the other. */
  readonly planar: number;
  readonly predictor: number;
  readonly extraSamples: readonly number[];
  readonly jpegTables: Uint8Array | undefined;
  readonly colorMap: ArrayLike<number> | undefined;
  readonly subfileType: number;
  readonly description: string;
  /** Pixels per unit; unit 2 is the inch, 3 the centimetre. */
  readonly resolution: { readonly x: number; readonly y: number; readonly unit: number } | null;
  readonly littleEndian: boolean;
  /** Pages within this page. */
  readonly parts: readonly TiffPage[];
}

type Directory = Awaited<ReturnType<GeoTIFF['requestIFD']>>;

/** TIFF 6.0, its supplements and BigTIFF. */
const TAGS = {
  NewSubfileType: 254,
  ImageWidth: 256,
  ImageLength: 257,
  BitsPerSample: 258,
  Compression: 259,
  PhotometricInterpretation: 262,
  ImageDescription: 270,
  StripOffsets: 273,
  SamplesPerPixel: 277,
  RowsPerStrip: 278,
  StripByteCounts: 279,
  XResolution: 282,
  YResolution: 283,
  PlanarConfiguration: 284,
  ResolutionUnit: 296,
  Predictor: 317,
  ColorMap: 320,
  TileWidth: 322,
  TileLength: 323,
  TileOffsets: 324,
  TileByteCounts: 325,
  SubIFDs: 330,
  ExtraSamples: 338,
  SampleFormat: 339,
  JPEGTables: 347,
} as const;
type TagName = keyof typeof TAGS;

const MAX_PAGES = 1024;
const MAX_ENTRIES = 1024;
/** TileOffsets of a million tiles as 8-byte numbers are 8 MB. */
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
const MAX_SIDE = 2 ** 31;
/** Bytes of a value, by TIFF's field type. */
const TYPE_BYTES: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  13: 4,
  16: 8,
  17: 8,
  18: 8,
};

/** Every page of the file's chain, in order. */
export async function readTiffPages(source: ByteSource): Promise<TiffPage[]> {
  // Loaded when needed: in a worker thread it can be imported only where workerData is an object, as in tinypool's.
  const { GeoTIFF } = await import('geotiff');
  const tiff = await orDamaged(source.name, 'its TIFF header cannot be read', () =>
    GeoTIFF.fromSource(geotiffSource(source)),
  );
  // The lazy arrays of geotiff 3.0.5 read big-endian files as little-endian.
  tiff.parser.eager = true;
  const visited = new Set<number>();
  const visit = async (offset: number, label: string) => {
    if (visited.has(offset))
      throw damagedSlide(source.name, `its directories run in a loop at ${label}`);
    if (visited.size >= MAX_PAGES)
      throw damagedSlide(source.name, `it has more than ${MAX_PAGES} pages`);
    visited.add(offset);
    await checkDirectory(source, tiff, offset, label);
    return orDamaged(source.name, `the directory of ${label} cannot be read`, () =>
      tiff.parser.parseFileDirectoryAt(offset),
    );
  };
  const pages: TiffPage[] = [];
  for (let offset = tiff.firstIFDOffset; offset !== 0; ) {
    const label = `page ${pages.length}`;
    const directory = await visit(offset, label);
    const parts: TiffPage[] = [];
    // Parts of parts are not followed.
    for (const at of Array.from(numbers(directory, 'SubIFDs') ?? [])) {
      const partLabel = `${label}, part ${parts.length}`;
      parts.push(toPage(await visit(at, partLabel), partLabel, [], tiff.littleEndian, source.name));
    }
    pages.push(toPage(directory, label, parts, tiff.littleEndian, source.name));
    offset = directory.nextIFDByteOffset;
  }
  if (pages.length === 0) throw damagedSlide(source.name, 'it is a TIFF without pages');
  return pages;
}

/** Entries of a directory: known types, and values that lie in the file. */
async function checkDirectory(source: ByteSource, tiff: GeoTIFF, offset: number, label: string) {
  const { bigTiff, littleEndian } = tiff;
  const countBytes = bigTiff ? 8 : 2;
  const head = view(await readBytes(source, offset, countBytes, `the directory of ${label}`));
  const count = bigTiff
    ? Number(head.getBigUint64(0, littleEndian))
    : head.getUint16(0, littleEndian);
  if (count > MAX_ENTRIES)
    throw damagedSlide(source.name, `the directory of ${label} claims ${count} entries`);
  const entryBytes = bigTiff ? 20 : 12;
  const body = (bigTiff ? 8 : 4) + count * entryBytes;
  const entries = view(
    await readBytes(source, offset + countBytes, body, `the directory of ${label}`),
  );
  let total = 0;
  for (let i = 0; i < count; i++) {
    const at = i * entryBytes;
    const tag = entries.getUint16(at, littleEndian);
    const size = TYPE_BYTES[entries.getUint16(at + 2, littleEndian)];
    if (size === undefined)
      throw damagedSlide(source.name, `tag ${tag} of ${label} has an unknown type`);
    const read = (position: number) =>
      bigTiff
        ? Number(entries.getBigUint64(position, littleEndian))
        : entries.getUint32(position, littleEndian);
    const length = size * read(at + 4);
    if (length <= (bigTiff ? 8 : 4)) continue;
    total += length;
    const start = read(at + (bigTiff ? 12 : 8));
    if (start + length > source.size || total > MAX_DIRECTORY_BYTES) {
      const claim = `${length} bytes at ${start}`;
      throw damagedSlide(
        source.name,
        `tag ${tag} of ${label} claims ${claim} of a file of ${source.size} bytes`,
      );
    }
  }
}

function toPage(
  directory: Directory,
  label: string,
  parts: readonly TiffPage[],
  littleEndian: boolean,
  name: string,
): TiffPage {
  const bad = (problem: string) => damagedSlide(name, `${label} ${problem}`);
  const number = (tag: TagName, missing?: number): number => {
    const value = numbers(directory, tag)?.[0] ?? missing;
    if (value === undefined || !Number.isFinite(value)) throw bad(`has no ${tag}`);
    return value;
  };
  const width = number('ImageWidth');
  const height = number('ImageLength');
  if (!isSide(width) || !isSide(height)) throw bad(`claims ${width} x ${height} pixels`);
  const tiled = directory.hasTag('TileOffsets');
  const tileWidth = tiled ? number('TileWidth') : width;
  const tileHeight = tiled
    ? number('TileLength')
    : Math.min(number('RowsPerStrip', height), height);
  if (!isSide(tileWidth) || !isSide(tileHeight))
    throw bad(`claims tiles of ${tileWidth} x ${tileHeight} pixels`);
  const samples = number('SamplesPerPixel', 1);
  if (samples < 1 || samples > 16) throw bad(`claims ${samples} samples per pixel`);
  const planar = number('PlanarConfiguration', 1);
  const offsets = numbers(directory, tiled ? 'TileOffsets' : 'StripOffsets') ?? [];
  const byteCounts = numbers(directory, tiled ? 'TileByteCounts' : 'StripByteCounts') ?? [];
  const tiles =
    Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight) * (planar === 2 ? samples : 1);
  if (offsets.length < tiles || byteCounts.length < tiles) {
    const has = Math.min(offsets.length, byteCounts.length);
    throw bad(`of ${width} x ${height} pixels needs ${tiles} tiles or strips, but lists ${has}`);
  }
  return {
    label,
    width,
    height,
    tiled,
    tileWidth,
    tileHeight,
    offsets,
    byteCounts,
    samples,
    planar,
    littleEndian,
    parts,
    compression: number('Compression', 1),
    photometric: number('PhotometricInterpretation', 1),
    bits: Array.from(numbers(directory, 'BitsPerSample') ?? [1]),
    sampleFormat: number('SampleFormat', 1),
    predictor: number('Predictor', 1),
    extraSamples: Array.from(numbers(directory, 'ExtraSamples') ?? []),
    jpegTables: bytesOf(directory, 'JPEGTables'),
    colorMap: numbers(directory, 'ColorMap'),
    subfileType: number('NewSubfileType', 0),
    description: text(directory, 'ImageDescription'),
    resolution: resolution(directory),
  };
}

function resolution(directory: Directory): TiffPage['resolution'] {
  const [x, y] = (['XResolution', 'YResolution'] as const).map((tag) => {
    const rational = numbers(directory, tag);
    return rational?.length === 2 ? rational[0]! / rational[1]! : Number.NaN;
  });
  if (!(x! > 0 && y! > 0 && Number.isFinite(x!) && Number.isFinite(y!))) return null;
  return { x: x!, y: y!, unit: numbers(directory, 'ResolutionUnit')?.[0] ?? 2 };
}

/** As geotiff parsed it; its types promise more than a damaged file keeps. */
function parsed(directory: Directory, tag: TagName): unknown {
  return directory.actualizedFields.get(TAGS[tag]);
}

function numbers(directory: Directory, tag: TagName): ArrayLike<number> | undefined {
  const value = parsed(directory, tag);
  if (typeof value === 'number') return [value];
  if (Array.isArray(value) && value.every((item) => typeof item === 'number')) return value;
  const typed =
    value instanceof Uint8Array ||
    value instanceof Uint16Array ||
    value instanceof Uint32Array ||
    value instanceof Float32Array ||
    value instanceof Float64Array;
  return typed ? value : undefined;
}

function bytesOf(directory: Directory, tag: TagName): Uint8Array | undefined {
  const value = parsed(directory, tag);
  return value instanceof Uint8Array ? value : undefined;
}

function text(directory: Directory, tag: TagName): string {
  const value = parsed(directory, tag);
  return typeof value === 'string' ? (value.split('\0')[0] ?? '') : '';
}

function isSide(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value < MAX_SIDE;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** What geotiff calls a source: it asks past the end for the first bytes of a small file. */
function geotiffSource(source: ByteSource) {
  const fetchSlice = async ({ offset, length }: { offset: number; length: number }) => {
    const available = Math.max(0, Math.min(length, source.size - offset));
    const bytes = await readBytes(source, offset, available, 'a directory');
    return { offset, length: available, data: bytes.buffer };
  };
  return {
    fetchSlice,
    fetch: async (slices: { offset: number; length: number }[]) =>
      (await Promise.all(slices.map(fetchSlice))).map(({ data }) => data),
    fileSize: source.size,
    close: async () => {},
  };
}
