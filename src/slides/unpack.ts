/**
 * Lossless compressions of TIFF, decoded to a size known beforehand: a bomb cannot grow past it.
 *
 * geotiff's decoders grow their output as the input says, and follow loops in a damaged LZW dictionary for ever.
 * All functions throw plain errors; the caller says where.
 */

const CLEAR = 256;
const END = 257;
const MAX_CODES = 4096;

/** LZW as TIFF 6.0, section 13: most significant bit first, codes widen one early. */
export function unLzw(input: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  const prefix = new Uint16Array(MAX_CODES);
  const last = Uint8Array.from({ length: MAX_CODES }, (_, i) => i & 255);
  const first = last.slice();
  const lengths = new Uint16Array(MAX_CODES).fill(1);
  let next = END + 1;
  let width = 9;
  let previous = -1;
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  let written = 0;
  while (written < size) {
    while (bitCount < width) {
      if (at === input.length) throw new Error(`LZW data ends after ${written} of ${size} bytes`);
      bits = ((bits << 8) | input[at++]!) & 0xffffff;
      bitCount += 8;
    }
    bitCount -= width;
    const code = (bits >> bitCount) & ((1 << width) - 1);
    if (code === END) throw new Error(`LZW data ends after ${written} of ${size} bytes`);
    if (code === CLEAR) {
      next = END + 1;
      width = 9;
      previous = -1;
      continue;
    }
    if (previous < 0 ? code > 255 : code > next)
      throw new Error('LZW data holds an impossible code');
    if (previous >= 0 && next < MAX_CODES) {
      prefix[next] = previous;
      first[next] = first[previous]!;
      last[next] = first[code === next ? previous : code]!;
      lengths[next] = lengths[previous]! + 1;
      next++;
      if (next + 1 >= 1 << width && width < 12) width++;
    } else if (code >= next) {
      throw new Error('LZW data holds an impossible code');
    }
    const length = lengths[code]!;
    for (let i = written + length - 1, c = code; i >= written; i--, c = prefix[c]!) {
      if (i < size) out[i] = last[c]!;
    }
    written += length;
    previous = code;
  }
  return out;
}

/** PackBits as TIFF 6.0, section 9. */
export function unPackBits(input: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  let written = 0;
  while (written < size) {
    const header = input[at++];
    if (header === undefined)
      throw new Error(`PackBits data ends after ${written} of ${size} bytes`);
    if (header === 128) continue;
    const count = header < 128 ? header + 1 : 257 - header;
    const take = Math.min(count, size - written);
    if (header < 128) {
      if (at + take > input.length) throw new Error('PackBits data ends within a run');
      out.set(input.subarray(at, at + take), written);
      at += count;
    } else {
      out.fill(input[at++] ?? 0, written, written + take);
    }
    written += take;
  }
  return out;
}

/**
 * Zlib's deflate, through the platform.
 *
 * @param size bytes wanted; what follows them is never inflated
 */
export async function inflate(input: Uint8Array<ArrayBuffer>, size: number): Promise<Uint8Array> {
  const out = new Uint8Array(size);
  let written = 0;
  for await (const chunk of inflated(input)) {
    const take = Math.min(chunk.length, size - written);
    out.set(chunk.subarray(0, take), written);
    written += take;
    if (written === size) return out;
  }
  throw new Error(`deflated data ends after ${written} of ${size} bytes`);
}

/** Whether zlib data inflates to at most `size` bytes; inflates no further. */
export async function inflatesWithin(
  input: Uint8Array<ArrayBuffer>,
  size: number,
): Promise<boolean> {
  let total = 0;
  for await (const chunk of inflated(input)) {
    total += chunk.length;
    if (total > size) return false;
  }
  return true;
}

async function* inflated(input: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array> {
  const stream = new Blob([input]).stream().pipeThrough(new DecompressionStream('deflate'));
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Cancelling a stream that failed rejects again.
    await reader.cancel().catch(() => {});
  }
}

/** Undoes TIFF's horizontal differencing, in place. `stride`: samples a pixel. */
export function undoDifferencing(
  data: Uint8Array,
  rowSamples: number,
  stride: number,
  bits: 8 | 16,
  littleEndian: boolean,
): void {
  if (bits === 8) {
    for (let row = 0; row < data.length; row += rowSamples) {
      const end = Math.min(row + rowSamples, data.length);
      for (let i = row + stride; i < end; i++) data[i] = data[i]! + data[i - stride]!;
    }
    return;
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let row = 0; row < data.length; row += 2 * rowSamples) {
    const end = Math.min(row + 2 * rowSamples, data.length);
    for (let i = row + 2 * stride; i < end; i += 2) {
      const sum = view.getUint16(i, littleEndian) + view.getUint16(i - 2 * stride, littleEndian);
      view.setUint16(i, sum, littleEndian);
    }
  }
}
