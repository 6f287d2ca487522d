/** JPEG 2000 tiles through OpenJPEG; the size is read from the header and limited before anything is decoded. */
import { greyToRgb } from './jpeg.ts';
import type { RgbImage } from './slide.ts';
import { damagedSlide, orDamaged, unsupportedSlide } from './slide-errors.ts';
import { WasmCodec } from './wasm-codec.ts';

/** OpenJPEG allocates kilobytes for every tile within the picture; slides have one. */
const MAX_INNER_TILES = 1024;
const CODEC = new WasmCodec(
  'J2KDecoder',
  async () => (await import('@cornerstonejs/codec-openjpeg/decodewasmjs')).default,
  async () => (await import('@cornerstonejs/codec-openjpeg/decodewasm?url')).default,
);

/** @param colour what the container says that the components are */
export async function decodeJpeg2000(
  bytes: Uint8Array,
  options: { readonly colour: 'rgb' | 'ycbcr'; readonly maxPixels: number },
  name: string,
  what: string,
): Promise<RgbImage> {
  const { width, height, components, subsampled } = readSize(bytes, name, what);
  if (width * height > options.maxPixels) {
    throw unsupportedSlide(
      name,
      `${what} is a JPEG 2000 of ${width} x ${height} pixels, too large to decode at once`,
    );
  }
  const decoded = await orDamaged(name, `${what} is a damaged JPEG 2000`, () =>
    CODEC.decode(bytes),
  );
  if (
    decoded.width !== width ||
    decoded.height !== height ||
    decoded.components !== components ||
    decoded.data.length !== width * height * components
  ) {
    throw damagedSlide(
      name,
      `${what} is a JPEG 2000 that decodes to another size than its header says`,
    );
  }
  if (components === 1) return { width, height, data: greyToRgb(decoded.data) };
  // The codec turns subsampled YCbCr into RGB by itself, and leaves the rest as it is.
  if (options.colour === 'ycbcr' && !subsampled) ycbcrToRgb(decoded.data);
  return { width, height, data: decoded.data };
}

/** The SIZ marker (ISO 15444-1, A.5.1), at the start of a codestream, within boxes in a .jp2. */
function readSize(bytes: Uint8Array, name: string, what: string) {
  const start = codestreamStart(bytes);
  if (start < 0 || start + 42 > bytes.length) {
    throw damagedSlide(name, `${what} is not a JPEG 2000: no header`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  const [x1, y1, x0, y0, tileWidth, tileHeight] = [8, 12, 16, 20, 24, 28].map((at) =>
    view.getUint32(at),
  );
  const width = x1! - x0!;
  const height = y1! - y0!;
  const components = view.getUint16(40);
  const innerTiles = Math.ceil(x1! / tileWidth!) * Math.ceil(y1! / tileHeight!);
  if (
    width < 1 ||
    height < 1 ||
    !(innerTiles <= MAX_INNER_TILES) ||
    42 + 3 * components > view.byteLength
  ) {
    throw damagedSlide(name, `${what} is a JPEG 2000 with a damaged header`);
  }
  if (components !== 1 && components !== 3) {
    throw unsupportedSlide(name, `${what} is a JPEG 2000 of ${components} components, not 1 or 3`);
  }
  let subsampled = false;
  for (let i = 0; i < components; i++) {
    const bits = (view.getUint8(42 + 3 * i) & 0x7f) + 1;
    if (bits !== 8) throw unsupportedSlide(name, `${what} is a JPEG 2000 of ${bits} bits, not 8`);
    const reduced = view.getUint8(43 + 3 * i) !== 1 || view.getUint8(44 + 3 * i) !== 1;
    if (reduced && i === 0) {
      throw unsupportedSlide(name, `${what} is a JPEG 2000 with a subsampled first component`);
    }
    subsampled ||= reduced;
  }
  return { width, height, components, subsampled };
}

function codestreamStart(bytes: Uint8Array): number {
  const limit = Math.min(bytes.length - 4, 65536);
  for (let at = 0; at < limit; at++) {
    if (
      bytes[at] === 0xff &&
      bytes[at + 1] === 0x4f &&
      bytes[at + 2] === 0xff &&
      bytes[at + 3] === 0x51
    )
      return at;
  }
  return -1;
}

/** ITU-R BT.601, full range, in place. */
export function ycbcrToRgb(data: Uint8Array): void {
  const clamped = new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < data.length; i += 3) {
    const y = data[i]!;
    const cb = data[i + 1]! - 128;
    const cr = data[i + 2]! - 128;
    clamped[i] = y + 1.402 * cr;
    clamped[i + 1] = y - 0.344136 * cb - 0.714136 * cr;
    clamped[i + 2] = y + 1.772 * cb;
  }
}
