/** A small writer of TIFF and BigTIFF, for slides that no program would write. */
import { deflateSync } from 'node:zlib';

type Kind = 'ascii' | 'short' | 'long' | 'rational' | 'undefined' | 'long8';
export type Tags = Record<number, readonly [Kind, readonly number[] | string]>;

export interface PageSpec {
  readonly tags: Tags;
  /** Encoded tiles, or strips when the tags name no tile width. */
  readonly tiles: readonly Uint8Array[];
  readonly parts?: readonly PageSpec[];
}

const TYPES: Record<Kind, [number, number]> = {
  ascii: [2, 1],
  short: [3, 2],
  long: [4, 4],
  rational: [5, 8],
  undefined: [7, 1],
  long8: [16, 8],
};

export function writeTiff(
  pages: readonly PageSpec[],
  { bigEndian = false, big = false } = {},
): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const put = (value: number, width: number, at = bytes.length) => {
    for (let i = 0; i < width; i++) {
      const shift = bigEndian ? width - 1 - i : i;
      bytes[at + i] = Math.floor(value / 256 ** shift) & 255;
    }
  };
  const word = big ? 8 : 4;
  bytes.push(...(bigEndian ? [0x4d, 0x4d] : [0x49, 0x49]));
  put(big ? 43 : 42, 2);
  if (big) {
    put(8, 2);
    put(0, 2);
  }
  const firstLink = bytes.length;
  put(0, word);
  /** Returns where the directory and its link to the next one lie. */
  const page = (spec: PageSpec): [number, number] => {
    const parts = (spec.parts ?? []).map((part) => page(part)[0]);
    const offsets = spec.tiles.map((tile) => {
      const at = bytes.length;
      for (const byte of tile) bytes.push(byte);
      return at;
    });
    const tiled = 322 in spec.tags;
    const partTags: Tags = parts.length > 0 ? { 330: [big ? 'long8' : 'long', parts] } : {};
    const tags: Tags = {
      [tiled ? 324 : 273]: [big ? 'long8' : 'long', offsets],
      [tiled ? 325 : 279]: ['long', spec.tiles.map((tile) => tile.length)],
      ...partTags,
      ...spec.tags,
    };
    const entries = Object.entries(tags).map(([tag, [kind, given]]) => {
      const values =
        typeof given === 'string' ? [...new TextEncoder().encode(`${given}\0`)] : given;
      const [type, size] = TYPES[kind];
      const start = bytes.length;
      for (const value of values) put(value, kind === 'rational' ? 4 : size);
      const written = bytes.splice(start);
      const inline = written.length <= word;
      if (!inline) bytes.push(...written);
      const count = kind === 'rational' ? values.length / 2 : values.length;
      return { tag: Number(tag), type, count, inline, written, start };
    });
    const directory = bytes.length;
    put(entries.length, big ? 8 : 2);
    for (const { tag, type, count, inline, written, start } of entries) {
      put(tag, 2);
      put(type, 2);
      put(count, word);
      if (inline) bytes.push(...written, ...new Array(word - written.length).fill(0));
      else put(start, word);
    }
    const link = bytes.length;
    put(0, word);
    return [directory, link];
  };
  let link = firstLink;
  for (const spec of pages) {
    const [directory, next] = page(spec);
    put(directory, word, link);
    link = next;
  }
  return Uint8Array.from(bytes);
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly data: Uint8Array;
}

/** Every pixel tells where it lies and how wide its picture is. */
export function testPicture(width: number, height: number, samples = 3): Picture {
  const data = new Uint8Array(width * height * samples);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < samples; c++)
        data[(y * width + x) * samples + c] = [x, y, width, 128][c]!;
    }
  }
  return { width, height, samples, data };
}

/** A page of tiles (or of strips as high as `tile`). */
export function tiledPage(
  picture: Picture,
  tile: number,
  tags: Tags = {},
  encode: (tile: Uint8Array) => Uint8Array = (raw) => raw,
  strips = false,
): PageSpec {
  const { width, height, samples, data } = picture;
  const tileWidth = strips ? width : tile;
  const tiles: Uint8Array[] = [];
  for (let y = 0; y < height; y += tile) {
    for (let x = 0; x < width; x += tileWidth) {
      const rows = strips ? Math.min(tile, height - y) : tile;
      const raw = new Uint8Array(tileWidth * rows * samples);
      for (let row = 0; row < Math.min(rows, height - y); row++) {
        const start = ((y + row) * width + x) * samples;
        const end = start + Math.min(tileWidth, width - x) * samples;
        raw.set(data.subarray(start, end), row * tileWidth * samples);
      }
      tiles.push(encode(raw));
    }
  }
  return {
    tags: {
      256: ['long', [width]],
      257: ['long', [height]],
      258: ['short', new Array(samples).fill(8)],
      259: ['short', [1]],
      262: ['short', [samples < 3 ? 1 : 2]],
      277: ['short', [samples]],
      ...(strips ? { 278: ['short', [tile]] } : { 322: ['short', [tile]], 323: ['short', [tile]] }),
      ...tags,
    },
    tiles,
  };
}

export const deflate = (raw: Uint8Array): Uint8Array => deflateSync(raw);
