/**
 * Antialiased bilinear resampling of a window of a slide level, read block by block.
 *
 * The filter is the triangle of PIL's and torchvision's `BILINEAR` with antialiasing: each output
 * pixel averages the level within one output pixel to either side of its centre (one level pixel
 * when enlarging). Weights depend only on the output pixel's own position on the level, so tiles that
 * touch are crops of one picture, without seams.
 */
import type { RgbImage, Slide } from './slide.ts';

/** Level pixels read at once, 3 bytes each: bounds the memory however large the window is. */
const BLOCK_PIXELS = 4 << 20;

/** What to resample: level pixels, fractions allowed. */
export interface ScaledWindow {
  readonly level: number;
  /** Upper left corner. */
  readonly x: number;
  readonly y: number;
  /** Level pixels per output pixel, horizontally and vertically. */
  readonly scaleX: number;
  readonly scaleY: number;
  /** Output pixels. */
  readonly width: number;
  readonly height: number;
}

/** Which input pixels make each output pixel of a line, and how much of each. */
interface Taps {
  /** First input pixel of each output pixel, absolute. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `[output][widest]`, each row sums to 1. */
  readonly weights: Float64Array;
  readonly widest: number;
}

/**
 * Reads `window` of `slide`; white where a pixel's centre lies outside the slide.
 *
 * Holds at most about 12 MB of level pixels (24 MB of sums) at a time beside the result.
 */
export async function readScaled(
  slide: Pick<Slide, 'levels' | 'readRegion'>,
  window: ScaledWindow,
): Promise<RgbImage> {
  const { width, height } = window;
  const level = slide.levels[window.level]!;
  const data = new Uint8Array(width * height * 3).fill(255);
  const columns = inside(window.x, window.scaleX, width, level.width);
  const rows = inside(window.y, window.scaleY, height, level.height);
  const block = blockSide(window);
  for (let y = rows.from; y < rows.to; y += block.height) {
    const bottom = Math.min(y + block.height, rows.to);
    const down = taps(window.y, window.scaleY, y, bottom, level.height);
    for (let x = columns.from; x < columns.to; x += block.width) {
      const right = Math.min(x + block.width, columns.to);
      const across = taps(window.x, window.scaleX, x, right, level.width);
      const [left, top] = [across.first[0]!, down.first[0]!];
      const region = await slide.readRegion(
        window.level,
        left,
        top,
        end(across) - left,
        end(down) - top,
      );
      filterBlock(region, left, top, across, down, data, (y * width + x) * 3, width * 3);
    }
  }
  return { width, height, data };
}

/** Output pixels whose centres lie on the level. */
function inside(origin: number, scale: number, size: number, limit: number) {
  const from = Math.max(0, Math.ceil(-origin / scale - 0.5));
  let to = Math.min(size, Math.ceil((limit - origin) / scale - 0.5));
  // Rounding of the division must not leave a pixel without any input.
  while (to > from && origin + (to - 0.5) * scale >= limit) to--;
  return { from: Math.min(from, to), to };
}

/** Output pixels per block, so that a block's input stays within the budget; whole rows where they fit. */
function blockSide({ scaleX, scaleY, width, height }: ScaledWindow) {
  const lineWidth = (width + 2) * scaleX + 2;
  const rows = Math.floor(BLOCK_PIXELS / lineWidth / scaleY - 2 - 2 / scaleY);
  if (rows >= 8) return { width, height: Math.min(rows, height) };
  const side = Math.sqrt(BLOCK_PIXELS);
  return {
    width: Math.max(1, Math.floor(side / scaleX) - 3),
    height: Math.max(1, Math.floor(side / scaleY) - 3),
  };
}

function taps(origin: number, scale: number, from: number, to: number, limit: number): Taps {
  const support = Math.max(scale, 1);
  const widest = Math.ceil(2 * support) + 1;
  const first = new Int32Array(to - from);
  const count = new Int32Array(to - from);
  const weights = new Float64Array((to - from) * widest);
  for (let i = 0; i < to - from; i++) {
    const centre = origin + (from + i + 0.5) * scale;
    const low = Math.max(0, Math.floor(centre - support + 0.5));
    const high = Math.min(limit, Math.floor(centre + support + 0.5));
    let sum = 0;
    for (let k = low; k < high; k++) {
      const weight = Math.max(0, 1 - Math.abs(k + 0.5 - centre) / support);
      weights[i * widest + k - low] = weight;
      sum += weight;
    }
    for (let k = 0; k < high - low; k++) weights[i * widest + k] = weights[i * widest + k]! / sum;
    first[i] = low;
    count[i] = high - low;
  }
  return { first, count, weights, widest };
}

/** One past the last input pixel. */
function end({ first, count }: Taps): number {
  return first.at(-1)! + count.at(-1)!;
}

function filterBlock(
  region: RgbImage,
  left: number,
  top: number,
  across: Taps,
  down: Taps,
  out: Uint8Array,
  start: number,
  stride: number,
): void {
  const { first, count, weights, widest } = across;
  const { data, width, height } = region;
  const lineLength = first.length * 3;
  const lines = new Float32Array(height * lineLength);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width - left;
    for (let i = 0; i < first.length; i++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let at = (row + first[i]!) * 3;
      const end = i * widest + count[i]!;
      for (let k = i * widest; k < end; k++) {
        const weight = weights[k]!;
        red += weight * data[at]!;
        green += weight * data[at + 1]!;
        blue += weight * data[at + 2]!;
        at += 3;
      }
      lines[to++] = red;
      lines[to++] = green;
      lines[to++] = blue;
    }
  }
  const sums = new Float64Array(lineLength);
  for (let j = 0; j < down.first.length; j++) {
    sums.fill(0.5);
    for (let k = 0; k < down.count[j]!; k++) {
      const weight = down.weights[j * down.widest + k]!;
      const line = (down.first[j]! - top + k) * lineLength;
      for (let i = 0; i < lineLength; i++) sums[i] = sums[i]! + weight * lines[line + i]!;
    }
    const to = start + j * stride;
    // Truncation rounds, because of the half that the sums start with.
    for (let i = 0; i < lineLength; i++) out[to + i] = sums[i]!;
  }
}
