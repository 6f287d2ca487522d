/**
 * Shannon selection (the ISG paper's selector): how many bits a tile holds, by compressing it.
 *
 * A tile's RGB rows go through PNG's Paeth filter (each row led by its filter byte, 4) and deflate;
 * the score is eight times the compressed length. A textureless tile needs few bits.
 *
 * Node compresses with zlib at level 9. Browsers only offer `CompressionStream`, whose level is
 * their own (6 in all current ones): scores come out a few per cent higher, so use a relative rule
 * (`sigmas`, `fraction`) there, or a threshold measured there.
 */
import type { RgbImage } from '../slide.ts';

/** Bits that deflate needs for the Paeth-filtered tile. */
export async function shannonScore(tile: RgbImage): Promise<number> {
  const filtered = paethRows(tile);
  // Not an import: this file also runs where there is no Node. Present from Node 20.16 on.
  const zlib = globalThis.process?.getBuiltinModule?.('node:zlib');
  const bytes = zlib
    ? zlib.deflateRawSync(filtered, { level: 9 }).length
    : await streamedLength(filtered);
  return 8 * bytes;
}

/** PNG's Paeth filter (type 4) of every row, filter bytes included: `height * (1 + 3 * width)` bytes. */
export function paethRows({ width, height, data }: RgbImage): Uint8Array {
  const stride = 3 * width;
  const out = new Uint8Array(height * (stride + 1));
  let to = 0;
  for (let y = 0; y < height; y++) {
    out[to++] = 4;
    for (let x = 0; x < stride; x++) {
      const i = y * stride + x;
      const left = x >= 3 ? data[i - 3]! : 0;
      const above = y > 0 ? data[i - stride]! : 0;
      const corner = x >= 3 && y > 0 ? data[i - stride - 3]! : 0;
      const byLeft = Math.abs(above - corner);
      const byAbove = Math.abs(left - corner);
      const byCorner = Math.abs(left + above - 2 * corner);
      const guess =
        byLeft <= byAbove && byLeft <= byCorner ? left : byAbove <= byCorner ? above : corner;
      out[to++] = data[i]! - guess;
    }
  }
  return out;
}

/** Length after the platform's own deflate. */
export async function streamedLength(bytes: Uint8Array): Promise<number> {
  const stream = new Blob([new Uint8Array(bytes)])
    .stream()
    .pipeThrough(new CompressionStream('deflate-raw'));
  const reader = stream.getReader();
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return length;
    length += value.length;
  }
}
