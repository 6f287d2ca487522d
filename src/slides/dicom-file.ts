/** One file of a DICOM whole-slide image: what it holds, and where its frames lie. */
import { type ByteSource, readBytes } from './byte-source.ts';
import {
  type Dataset,
  isDataset,
  itemOf,
  numberOf,
  parseDataset,
  textOf,
  valuesOf,
} from './dicom-dataset.ts';
import { type DicomLayout, walkDicom } from './dicom-elements.ts';
import { damagedSlide, unsupportedSlide } from './slide-errors.ts';
import { plausibleMpp, plausiblePower } from './slide-scale.ts';

export interface DicomFile {
  readonly source: ByteSource;
  readonly transferSyntax: string;
  readonly imageType: readonly string[];
  readonly series: string;
  /** Pixels of the whole matrix. */
  readonly width: number;
  readonly height: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly samples: number;
  readonly photometric: string;
  readonly planar: number;
  readonly frames: number;
  readonly mpp: number | null;
  readonly objectivePower: number | null;
  /** What orders the frames; null where the file does not say. */
  readonly organization: string | null;
  /** The frame of a tile, along rows unless the file says otherwise; undefined where the file has none. */
  frameOf(column: number, row: number): number | undefined;
  /** A frame's bytes, encoded as they lie in the file. */
  readFrame(frame: number): Promise<Uint8Array>;
}

const DIMENSION_ORGANIZATION = 0x00209311;
const PER_FRAME = 0x52009230;
const WANTED = new Set([
  0x00080008,
  0x0020000e,
  DIMENSION_ORGANIZATION,
  0x00280002,
  0x00280004,
  0x00280006,
  0x00280008,
  0x00280010,
  0x00280011,
  0x00280030,
  0x00280100,
  0x00480001,
  0x00480002,
  0x00480006,
  0x00480007,
  0x00480105,
  0x52009229,
  0x7fe00001,
]);
const MAX_FRAMES = 4_000_000;
const ITEM = 0xe000fffe;
const SEQUENCE_END = 0xe0ddfffe;

export async function readDicomFile(source: ByteSource): Promise<DicomFile> {
  const { name } = source;
  const layout = await walkDicom(source, (tag, text) =>
    // Frames in the order of the grid need no positions, and those may be tens of megabytes.
    tag === PER_FRAME ? text(DIMENSION_ORGANIZATION).includes('TILED_SPARSE') : WANTED.has(tag),
  );
  const data = await parseDataset(name, layout.header);

  const whole = (tag: string, what: string, missing?: number, most = 2 ** 31): number => {
    const value = numberOf(data, tag) ?? missing;
    if (value === undefined)
      throw damagedSlide(name, `it is a DICOM file without ${what} (${tag})`);
    if (!Number.isInteger(value) || value < 1 || value > most)
      throw damagedSlide(name, `its ${what} is ${value}`);
    return value;
  };
  const tileWidth = whole('00280011', 'columns');
  const tileHeight = whole('00280010', 'rows');
  const width = whole('00480006', 'columns of the whole image', tileWidth);
  const height = whole('00480007', 'rows of the whole image', tileHeight);
  const frames = whole('00280008', 'number of frames', 1, MAX_FRAMES);
  const samples = whole('00280002', 'samples per pixel');
  const bits = whole('00280100', 'bits allocated');
  const photometric = textOf(data, '00280004') ?? '';
  if (bits !== 8 || (samples !== 1 && samples !== 3)) {
    throw unsupportedSlide(
      name,
      `it has ${samples} samples of ${bits} bits; 1 or 3 of 8 bits are read`,
    );
  }
  const shared = itemOf(data, '52009229');
  const frameBytes = tileWidth * tileHeight * samples;
  const spacing = valuesOf(shared && itemOf(shared, '00289110'), '00280030').map(Number);
  const optical = itemOf(data, '00480105');
  return {
    source,
    width,
    height,
    tileWidth,
    tileHeight,
    samples,
    photometric,
    frames,
    transferSyntax: layout.transferSyntax,
    imageType: valuesOf(data, '00080008').map(String),
    series: textOf(data, '0020000E') ?? '',
    organization: textOf(data, '00209311') ?? null,
    planar: numberOf(data, '00280006') ?? 0,
    mpp:
      plausibleMpp((1000 * ((spacing[0] ?? Number.NaN) + (spacing[1] ?? Number.NaN))) / 2) ??
      volumeMpp(data, width, height),
    objectivePower: plausiblePower(optical && numberOf(optical, '00480112')),
    frameOf: framePlaces(data, { name, width, height, tileWidth, tileHeight, frames }),
    readFrame: await frameReader(source, layout, frames, frameBytes, data),
  };
}

/** From the scanned field, where it agrees with square pixels: some writers put a constant there. */
function volumeMpp(data: Dataset, width: number, height: number): number | null {
  const x = (1000 * (numberOf(data, '00480001') ?? Number.NaN)) / width;
  const y = (1000 * (numberOf(data, '00480002') ?? Number.NaN)) / height;
  return Math.abs(x - y) < 0.02 * x ? plausibleMpp((x + y) / 2) : null;
}

interface FrameGrid {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly frames: number;
}

function framePlaces(data: Dataset, grid: FrameGrid): DicomFile['frameOf'] {
  const { name, tileWidth, tileHeight, frames } = grid;
  const across = Math.ceil(grid.width / tileWidth);
  const down = Math.ceil(grid.height / tileHeight);
  if (textOf(data, '00209311') !== 'TILED_SPARSE') {
    // Further focal planes and optical paths follow the first one.
    if (frames < across * down) {
      throw damagedSlide(
        name,
        `${grid.width} x ${grid.height} pixels need ${across * down} frames, but it has ${frames}`,
      );
    }
    return (column, row) => row * across + column;
  }
  const places = new Map<number, number>();
  for (const [frame, item] of valuesOf(data, '52009230').entries()) {
    const position = isDataset(item) ? itemOf(item, '0048021A') : undefined;
    const x = (position && numberOf(position, '0048021E')) ?? Number.NaN;
    const y = (position && numberOf(position, '0048021F')) ?? Number.NaN;
    const column = (x - 1) / tileWidth;
    const row = (y - 1) / tileHeight;
    if (!Number.isInteger(column) || !Number.isInteger(row) || column < 0 || row < 0) {
      throw unsupportedSlide(
        name,
        `frame ${frame} lies at (${x}, ${y}), not on the grid of ${tileWidth} x ${tileHeight} tiles`,
      );
    }
    const place = row * across + column;
    if (column < across && row < down && frame < frames && !places.has(place))
      places.set(place, frame);
  }
  return (column, row) => places.get(row * across + column);
}

async function frameReader(
  source: ByteSource,
  layout: DicomLayout,
  frames: number,
  frameBytes: number,
  data: Dataset,
): Promise<DicomFile['readFrame']> {
  const { pixelStart, pixelBytes } = layout;
  if (pixelBytes !== null) {
    if (frames * frameBytes > Math.min(pixelBytes, source.size - pixelStart)) {
      throw damagedSlide(
        source.name,
        `${frames} frames of ${frameBytes} bytes do not fit its ${pixelBytes} bytes of pixels`,
      );
    }
    return (frame) =>
      readBytes(source, pixelStart + frame * frameBytes, frameBytes, `frame ${frame}`);
  }
  const starts = await frameStarts(source, pixelStart, frames, data);
  return async (frame) => {
    const start = starts[frame]!;
    return readFragments(
      source,
      start,
      starts[frame + 1] ?? source.size,
      2 * frameBytes + 65536,
      `frame ${frame}`,
    );
  };
}

/** Where the first fragment of each frame lies: from the extended or basic offset table, or one fragment each. */
async function frameStarts(
  source: ByteSource,
  pixelStart: number,
  frames: number,
  data: Dataset,
): Promise<Float64Array> {
  const table = await readItem(source, pixelStart, 'the offset table');
  const first = table.end;
  const starts = new Float64Array(frames);
  const extended = valuesOf(data, '7FE00001')[0];
  if (extended instanceof ArrayBuffer && extended.byteLength >= 8 * frames) {
    const view = new DataView(extended);
    for (let i = 0; i < frames; i++) starts[i] = first + Number(view.getBigUint64(8 * i, true));
  } else if (table.length >= 4 * frames) {
    const bytes = await readBytes(source, table.start, 4 * frames, 'the offset table');
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < frames; i++) starts[i] = first + view.getUint32(4 * i, true);
  } else {
    let at = first;
    for (let i = 0; i < frames; i++) {
      starts[i] = at;
      const item = await readItem(source, at, `frame ${i} of ${frames}`);
      if (item.length < 0)
        throw damagedSlide(source.name, `it claims ${frames} frames, but has ${i}`);
      at = item.end;
    }
  }
  return starts;
}

async function readFragments(
  source: ByteSource,
  start: number,
  end: number,
  most: number,
  what: string,
): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  for (let at = start; at < end; ) {
    const item = await readItem(source, at, what);
    if (item.length < 0) break;
    total += item.length;
    if (total > most) throw damagedSlide(source.name, `${what} claims more than ${most} bytes`);
    parts.push(await readBytes(source, item.start, item.length, what));
    at = item.end;
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** An item's place; a negative length at the end of the sequence. */
async function readItem(source: ByteSource, at: number, what: string) {
  const bytes = await readBytes(source, at, 8, what);
  const head = new DataView(bytes.buffer);
  const tag = head.getUint32(0, true);
  if (tag === SEQUENCE_END) return { start: at + 8, length: -1, end: at + 8 };
  const length = head.getUint32(4, true);
  if (tag !== ITEM || at + 8 + length > source.size)
    throw damagedSlide(source.name, `${what} does not lie at byte ${at}`);
  return { start: at + 8, length, end: at + 8 + length };
}
