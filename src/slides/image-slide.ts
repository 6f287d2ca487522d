/** Sections as plain pictures: the one case where the whole file is read and decoded at once. */
import { decode } from 'fast-png';
import { type ByteSource, readBytes } from './byte-source.ts';
import { decodeJpeg } from './jpeg.ts';
import type { RgbImage, Slide } from './slide.ts';
import { damagedSlide, orDamaged, unsupportedSlide } from './slide-errors.ts';
import { checkLevel, readGrid } from './tile-grid.ts';
import { inflatesWithin } from './unpack.ts';

/** 11,585 pixels square; 384 MiB of RGB. */
const MAX_PIXELS = 2 ** 27;
const MAX_FILE_BYTES = 512 * 2 ** 20;

export async function openImageSlide(source: ByteSource, format: 'jpeg' | 'png'): Promise<Slide> {
  const { name, size } = source;
  if (size > MAX_FILE_BYTES)
    throw unsupportedSlide(
      name,
      `it is a ${format} file of ${size} bytes, too large to decode at once`,
    );
  const bytes = await readBytes(source, 0, size, 'the picture');
  const image =
    format === 'jpeg'
      ? await decodeJpeg(bytes, { colour: 'guess', maxPixels: MAX_PIXELS }, name, 'the picture')
      : await decodePng(bytes, name);
  const { width, height } = image;
  const grid = { width, height, tileWidth: width, tileHeight: height, tile: async () => image };
  return {
    name,
    format,
    levels: [{ width, height, downsample: 1 }],
    mpp: null,
    objectivePower: null,
    async readRegion(level, x, y, regionWidth, regionHeight): Promise<RgbImage> {
      checkLevel(name, level, 1);
      return readGrid(grid, x, y, regionWidth, regionHeight);
    },
    close: () => source.close(),
  };
}

async function decodePng(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<RgbImage> {
  const png = await essentialPng(bytes, name);
  const image = await orDamaged(name, 'it is a damaged PNG', () => decode(png));
  const { width, height, channels, depth, palette } = image;
  const pixels = width * height;
  const data = new Uint8Array(3 * pixels);
  const value = (at: number) => {
    const sample = image.data[at] ?? 0;
    return depth === 16
      ? sample >> 8
      : depth === 8 || palette
        ? sample
        : (sample * 255) / (2 ** depth - 1);
  };
  if (palette && channels !== 1)
    throw damagedSlide(name, 'it is a PNG with a palette and several channels');
  if (!palette && depth < 8)
    throw unsupportedSlide(name, `it is a PNG of ${depth} bits, not 8 or 16`);
  const colours = channels < 3 ? 1 : 3;
  const alpha = channels === 2 || channels === 4;
  for (let i = 0; i < pixels; i++) {
    const entry = palette?.[value(i)];
    const opacity = palette
      ? (entry?.[3] ?? 255)
      : alpha
        ? value(i * channels + channels - 1)
        : 255;
    for (let c = 0; c < 3; c++) {
      const colour = palette ? (entry?.[c] ?? 0) : value(i * channels + (colours === 1 ? 0 : c));
      data[3 * i + c] = Math.round((colour * opacity) / 255 + 255 - opacity);
    }
  }
  return { width, height, data };
}

/** Header, palette, transparency and pixels: the other chunks may inflate without limit. Sizes are checked. */
async function essentialPng(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kept: Uint8Array<ArrayBuffer>[] = [bytes.subarray(0, 8)];
  const pixels: Uint8Array<ArrayBuffer>[] = [];
  let raw = 0;
  let ended = false;
  for (let at = 8; at + 12 <= bytes.length && !ended; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const end = at + 12 + length;
    if (end > bytes.length) break;
    if (at === 8 && (type !== 'IHDR' || length !== 13))
      throw damagedSlide(name, 'it is a PNG without a header');
    if (type === 'IHDR') raw = rawBytes(view, at + 8, name);
    if (['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND'].includes(type)) kept.push(bytes.subarray(at, end));
    if (type === 'IDAT') pixels.push(bytes.subarray(at + 8, end - 4));
    ended = type === 'IEND';
    at = end;
  }
  if (!ended || pixels.length === 0) throw damagedSlide(name, 'it is a PNG that ends too early');
  const deflated = new Uint8Array(await new Blob(pixels).arrayBuffer());
  const fits = await orDamaged(name, 'it is a damaged PNG', () => inflatesWithin(deflated, raw));
  if (!fits) throw damagedSlide(name, 'it is a PNG with more pixels than its header says');
  return new Uint8Array(await new Blob(kept).arrayBuffer());
}

/** Bytes before compression, with room for the filter bytes of interlaced rows. */
function rawBytes(view: DataView, header: number, name: string): number {
  const width = view.getUint32(header);
  const height = view.getUint32(header + 4);
  if (width === 0 || height === 0) throw damagedSlide(name, 'it is a PNG without pixels');
  if (width * height > MAX_PIXELS) {
    throw unsupportedSlide(
      name,
      `it is a PNG of ${width} x ${height} pixels, too large to decode at once`,
    );
  }
  const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[view.getUint8(header + 9)];
  if (channels === undefined) throw damagedSlide(name, 'it is a PNG of an unknown colour type');
  const rowBytes = Math.ceil((width * channels * view.getUint8(header + 8)) / 8);
  return (rowBytes + 8) * (height + 8) * (view.getUint8(header + 12) === 0 ? 1 : 2);
}
