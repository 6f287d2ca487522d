/** One tile or strip of a TIFF page, decoded to RGB. */
import { type ByteSource, readBytes } from './byte-source.ts';
import { decodeJpeg } from './jpeg.ts';
import { decodeJpeg2000 } from './jpeg2000.ts';
import type { RgbImage } from './slide.ts';
import { damagedSlide, orDamaged, unsupportedSlide } from './slide-errors.ts';
import type { TiffPage } from './tiff-pages.ts';
import { inflate, undoDifferencing, unLzw, unPackBits } from './unpack.ts';

/** 96 MiB of RGB. Pyramids have tiles of 256 to 2048 pixels; only a small picture may lie in one strip. */
const MAX_TILE_PIXELS = 2 ** 25;

const COMPRESSIONS: Readonly<Record<number, string>> = {
  1: 'none',
  5: 'lzw',
  7: 'jpeg',
  8: 'deflate',
  32773: 'packbits',
  32946: 'deflate',
  33003: 'jpeg2000',
  33005: 'jpeg2000',
};
const JPEG_2000_YCBCR = 33003;
const WHITE_IS_ZERO = 0;
const BLACK_IS_ZERO = 1;
const RGB = 2;
const PALETTE = 3;
const YCBCR = 6;

/** @throws HistogradError `slide-unsupported` when pages like this one cannot be decoded */
export function checkPage(page: TiffPage, name: string): void {
  const { compression, photometric, samples, bits, sampleFormat } = page;
  const codec = COMPRESSIONS[compression];
  const refuse = (what: string) => unsupportedSlide(name, `${page.label} has ${what}`);
  if (codec === undefined) throw refuse(`compression ${compression}, which is not read`);
  const pixels = page.tileWidth * page.tileHeight;
  if (pixels > MAX_TILE_PIXELS) {
    const kind = page.tiled ? 'tiles' : 'strips';
    throw refuse(
      `${kind} of ${page.tileWidth} x ${page.tileHeight} pixels, too large to decode at once`,
    );
  }
  if (page.planar !== 1 && page.planar !== 2) throw refuse(`planar configuration ${page.planar}`);
  const depth = bits[0];
  if (
    (depth !== 8 && depth !== 16) ||
    bits.some((value) => value !== depth) ||
    sampleFormat !== 1
  ) {
    throw refuse(
      `samples of ${bits.join(', ')} bits${sampleFormat === 1 ? '' : ', not unsigned'}; 8 or 16 are read`,
    );
  }
  const embedded = codec === 'jpeg' || codec === 'jpeg2000';
  if (embedded && (depth !== 8 || page.planar !== 1))
    throw refuse(`${codec} tiles that are not interleaved bytes`);
  if (!embedded && page.predictor !== 1 && page.predictor !== 2)
    throw refuse(`predictor ${page.predictor}`);
  const grey = photometric === WHITE_IS_ZERO || photometric === BLACK_IS_ZERO;
  const colour = photometric === RGB || (photometric === YCBCR && embedded);
  const palette =
    photometric === PALETTE && !embedded && depth === 8 && page.colorMap?.length === 768;
  if (!(grey && samples <= 2) && !(colour && samples >= 3) && !(palette && samples === 1)) {
    throw refuse(
      `${samples} samples per pixel of photometric interpretation ${photometric}; RGB, YCbCr, grey and palette are read`,
    );
  }
}

/** Null where the file stores nothing for the tile. `page` has passed `checkPage`. */
export async function readTiffTile(
  source: ByteSource,
  page: TiffPage,
  column: number,
  row: number,
): Promise<RgbImage | null> {
  const { name } = source;
  const across = Math.ceil(page.width / page.tileWidth);
  const down = Math.ceil(page.height / page.tileHeight);
  const index = row * across + column;
  const what = `${page.tiled ? 'tile' : 'strip'} (${column}, ${row}) of ${page.label}`;
  const width = page.tileWidth;
  // The last strip is as high as what is left; the last tile is filled up.
  const height = page.tiled
    ? page.tileHeight
    : Math.min(page.tileHeight, page.height - row * page.tileHeight);
  const codec = COMPRESSIONS[page.compression];
  const read = (at: number, rawBytes: number) => {
    const length = page.byteCounts[at]!;
    // Compression may add a little to noise, but not double it.
    if (length > 2 * rawBytes + 65536) {
      throw damagedSlide(name, `${what} claims ${length} bytes for ${width} x ${height} pixels`);
    }
    return readBytes(source, page.offsets[at]!, length, what);
  };
  if (page.byteCounts[index] === 0) return null;
  if (codec === 'jpeg' || codec === 'jpeg2000') {
    const bytes = await read(index, width * height * page.samples);
    const image =
      codec === 'jpeg'
        ? await decodeJpeg(
            bytes,
            {
              tables: page.jpegTables,
              colour: page.photometric === YCBCR ? 'ycbcr' : 'rgb',
              maxPixels: width * page.tileHeight,
            },
            name,
            what,
          )
        : await decodeJpeg2000(
            bytes,
            {
              colour:
                page.compression === JPEG_2000_YCBCR || page.photometric === YCBCR
                  ? 'ycbcr'
                  : 'rgb',
              maxPixels: width * page.tileHeight,
            },
            name,
            what,
          );
    if (
      image.width !== width ||
      (image.height !== height && (page.tiled || image.height !== page.tileHeight))
    ) {
      throw damagedSlide(
        name,
        `${what} is a picture of ${image.width} x ${image.height} pixels, not ${width} x ${height}`,
      );
    }
    if (page.photometric === WHITE_IS_ZERO) invert(image.data);
    return image;
  }
  const planes: Uint8Array[] = [];
  const samplesPerPlane = page.planar === 1 ? page.samples : 1;
  for (let plane = 0; plane < page.samples / samplesPerPlane; plane++) {
    const size = width * height * samplesPerPlane * (page.bits[0]! / 8);
    const bytes = await read(index + plane * across * down, size);
    planes.push(
      await orDamaged(name, `${what} cannot be decompressed`, () =>
        unpack(page, bytes, size, samplesPerPlane),
      ),
    );
  }
  return { width, height, data: toRgb(page, planes, width * height) };
}

async function unpack(
  page: TiffPage,
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
  stride: number,
): Promise<Uint8Array> {
  const codec = COMPRESSIONS[page.compression];
  if (codec === 'none') {
    if (bytes.length < size) throw new Error(`it has ${bytes.length} bytes, not ${size}`);
    return bytes;
  }
  const data =
    codec === 'lzw'
      ? unLzw(bytes, size)
      : codec === 'packbits'
        ? unPackBits(bytes, size)
        : await inflate(bytes, size);
  if (page.predictor === 2) {
    undoDifferencing(
      data,
      page.tileWidth * stride,
      stride,
      page.bits[0] === 16 ? 16 : 8,
      page.littleEndian,
    );
  }
  return data;
}

function toRgb(page: TiffPage, planes: readonly Uint8Array[], pixels: number): Uint8Array {
  const { samples, planar, photometric } = page;
  const bytes = page.bits[0]! / 8;
  const step = (planar === 1 ? samples : 1) * bytes;
  // Of 16 bits the high byte is kept.
  const high = bytes === 2 && page.littleEndian ? 1 : 0;
  const channel = (sample: number) =>
    planar === 1
      ? { data: planes[0]!, start: sample * bytes + high }
      : { data: planes[sample]!, start: high };
  const data = new Uint8Array(3 * pixels);
  const grey = samples < 3;
  for (let sample = 0; sample < 3; sample++) {
    const { data: from, start } = channel(grey ? 0 : sample);
    for (let i = 0, at = start, to = sample; i < pixels; i++, at += step, to += 3)
      data[to] = from[at]!;
  }
  if (photometric === WHITE_IS_ZERO) invert(data);
  if (photometric === PALETTE) {
    const map = page.colorMap!;
    for (let to = 0; to < data.length; to += 3) {
      const entry = data[to]!;
      for (let c = 0; c < 3; c++) data[to + c] = map[256 * c + entry]! >> 8;
    }
  }
  const alpha = page.extraSamples[0] ?? 0;
  const colours = grey ? 1 : 3;
  if (samples > colours && (alpha === 1 || alpha === 2)) {
    const { data: from, start } = channel(colours);
    for (let i = 0, at = start, to = 0; i < pixels; i++, at += step, to += 3)
      overWhite(data, to, from[at]!, alpha);
  }
  return data;
}

/** Transparent is white, as outside the slide. `alpha` 1: colours are multiplied already; 2: they are not. */
function overWhite(data: Uint8Array, at: number, opacity: number, alpha: 1 | 2): void {
  for (let c = at; c < at + 3; c++) {
    const value = alpha === 1 ? data[c]! : (data[c]! * opacity) / 255;
    data[c] = Math.min(255, Math.round(value + 255 - opacity));
  }
}

function invert(data: Uint8Array): void {
  for (let i = 0; i < data.length; i++) data[i] = 255 - data[i]!;
}
