/**
 * The image filters behind the tile statistics: Gaussian blur, gradients, local maxima and
 * connected regions, on float planes `[height * width]`, row-major. Borders repeat the edge pixel.
 */

/** Gaussian blur with standard deviation `sigma` in pixels; kernel cut at three sigma. */
export function blur(
  plane: Float32Array,
  height: number,
  width: number,
  sigma: number,
): Float32Array {
  const radius = Math.ceil(3 * sigma);
  const kernel = new Float32Array(2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) {
    const weight = Math.exp(-(i * i) / (2 * sigma * sigma));
    kernel[i + radius] = weight;
    sum += weight;
  }
  for (let i = 0; i < kernel.length; i++) kernel[i] = kernel[i]! / sum;
  const rows = new Float32Array(plane.length);
  blurLines(plane, rows, kernel, radius, { lines: height, length: width, line: width, step: 1 });
  const out = new Float32Array(plane.length);
  blurLines(rows, out, kernel, radius, { lines: width, length: height, line: 1, step: width });
  return out;
}

/** How to walk a plane: `lines` lines of `length` pixels, `line` apart, with `step` between pixels. */
interface Walk {
  lines: number;
  length: number;
  line: number;
  step: number;
}

function blurLines(
  from: Float32Array,
  to: Float32Array,
  kernel: Float32Array,
  radius: number,
  { lines, length, line, step }: Walk,
): void {
  // The line with its repeated edges is copied out first, so that the inner loop has no border test.
  const padded = new Float32Array(length + 2 * radius);
  for (let l = 0; l < lines; l++) {
    const start = l * line;
    padded.fill(from[start]!, 0, radius);
    for (let i = 0; i < length; i++) padded[radius + i] = from[start + i * step]!;
    padded.fill(from[start + (length - 1) * step]!, radius + length);
    let i = 0;
    // Four pixels at a time: their sums do not wait for each other. Each is added up in the same order as alone.
    for (; i + 3 < length; i += 4) {
      let first = 0;
      let second = 0;
      let third = 0;
      let fourth = 0;
      for (let k = 0; k < kernel.length; k++) {
        const weight = kernel[k]!;
        first += weight * padded[i + k]!;
        second += weight * padded[i + k + 1]!;
        third += weight * padded[i + k + 2]!;
        fourth += weight * padded[i + k + 3]!;
      }
      to[start + i * step] = first;
      to[start + (i + 1) * step] = second;
      to[start + (i + 2) * step] = third;
      to[start + (i + 3) * step] = fourth;
    }
    for (; i < length; i++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k]! * padded[i + k]!;
      to[start + i * step] = sum;
    }
  }
}

/** Mean and standard deviation of the gradient magnitude (central differences). */
export function gradientStatistics(
  plane: Float32Array,
  height: number,
  width: number,
): { mean: number; std: number } {
  let sum = 0;
  let squares = 0;
  for (let y = 0; y < height; y++) {
    const above = Math.max(y - 1, 0) * width;
    const below = Math.min(y + 1, height - 1) * width;
    for (let x = 0; x < width; x++) {
      const row = y * width;
      const gx = (plane[row + Math.min(x + 1, width - 1)]! - plane[row + Math.max(x - 1, 0)]!) / 2;
      const gy = (plane[below + x]! - plane[above + x]!) / 2;
      const energy = gx * gx + gy * gy;
      sum += Math.sqrt(energy);
      squares += energy;
    }
  }
  const size = height * width;
  const mean = sum / size;
  return {
    mean,
    std: Math.sqrt(Math.max(squares / size - mean * mean, 0)),
  };
}

/** The eight neighbours of a pixel, as (dy, dx). */
const NEIGHBOURS = [
  [0, 1],
  [-1, 1],
  [-1, 0],
  [-1, -1],
  [0, -1],
  [1, -1],
  [1, 0],
  [1, 1],
] as const;

/** Strict local maxima (3 x 3) of at least `threshold`: how many, and their mean height. */
export function localMaxima(
  plane: Float32Array,
  height: number,
  width: number,
  threshold: number,
): { count: number; mean: number } {
  let count = 0;
  let sum = 0;
  const offsets = NEIGHBOURS.map(([dy, dx]) => dy * width + dx);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      const value = plane[i]!;
      if (value < threshold) continue;
      let isMaximum = true;
      for (let k = 0; k < 8 && isMaximum; k++) isMaximum = plane[i + offsets[k]!]! < value;
      if (isMaximum) {
        count++;
        sum += value;
      }
    }
  }
  return { count, mean: count > 0 ? sum / count : 0 };
}

/** Areas in pixels of the 4-connected regions of pixels above `threshold`, in scan order. */
export function regionAreas(plane: Float32Array, width: number, threshold: number): number[] {
  const open = new Uint8Array(plane.length);
  for (let i = 0; i < open.length; i++) open[i] = plane[i]! > threshold ? 1 : 0;
  const stack = new Int32Array(plane.length);
  const areas: number[] = [];
  for (let start = 0; start < open.length; start++) {
    if (!open[start]) continue;
    let depth = 0;
    let area = 0;
    // Pixels close when they are stacked, so that none is stacked twice.
    const push = (i: number) => {
      if (!open[i]) return;
      open[i] = 0;
      stack[depth++] = i;
    };
    push(start);
    while (depth > 0) {
      const i = stack[--depth]!;
      const x = i % width;
      area++;
      if (x > 0) push(i - 1);
      if (x < width - 1) push(i + 1);
      if (i >= width) push(i - width);
      if (i < open.length - width) push(i + width);
    }
    areas.push(area);
  }
  return areas;
}
