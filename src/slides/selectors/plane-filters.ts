/**
 * Image filters in float64 for the tile selectors; borders repeat the edge pixel. Kernels are those
 * of `scipy.ndimage` (cut at four sigma, sums normalised), which the tests compare with.
 *
 * Beside `tile-filters.ts`, whose float32 results are part of a versioned feature extractor.
 */
import type { RgbImage } from '../slide.ts';

/** One channel of an image, row-major. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/** ITU-R BT.601 luma, 0..1. */
export function greyPlane({ width, height, data }: RgbImage): Plane {
  const grey = new Float64Array(width * height);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (0.299 * data[3 * i]! + 0.587 * data[3 * i + 1]! + 0.114 * data[3 * i + 2]!) / 255;
  }
  return { width, height, data: grey };
}

/** Gaussian of standard deviation `sigma` pixels, or its second derivative. */
function gaussianKernel(sigma: number, derivative: 0 | 2): Float64Array {
  const radius = Math.floor(4 * sigma + 0.5);
  const kernel = new Float64Array(2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) {
    kernel[i + radius] = Math.exp((-i * i) / (2 * sigma * sigma));
    sum += kernel[i + radius]!;
  }
  for (let i = -radius; i <= radius; i++) {
    const slope = derivative === 0 ? 1 : (i * i) / sigma ** 4 - 1 / sigma ** 2;
    kernel[i + radius] = (kernel[i + radius]! / sum) * slope;
  }
  return kernel;
}

export function gaussian(plane: Plane, sigma: number): Plane {
  const kernel = gaussianKernel(sigma, 0);
  return alongColumns(alongRows(plane, kernel), kernel);
}

/** Laplacian of the Gaussian: the sum of the second derivatives in x and y. */
export function laplacianOfGaussian(plane: Plane, sigma: number): Plane {
  const smooth = gaussianKernel(sigma, 0);
  const curve = gaussianKernel(sigma, 2);
  const across = alongColumns(alongRows(plane, curve), smooth).data;
  const down = alongColumns(alongRows(plane, smooth), curve).data;
  return { ...plane, data: across.map((value, i) => value + down[i]!) };
}

/** Sobel derivatives, kernel [1 2 1] x [-1 0 1], not normalised. */
export function sobel(plane: Plane): { gx: Float64Array; gy: Float64Array } {
  const smooth = Float64Array.of(1, 2, 1);
  const slope = Float64Array.of(-1, 0, 1);
  return {
    gx: alongColumns(alongRows(plane, slope), smooth).data,
    gy: alongColumns(alongRows(plane, smooth), slope).data,
  };
}

/** Correlates every row with `kernel`, whose length is odd. */
function alongRows(plane: Plane, kernel: Float64Array): Plane {
  const { width, height, data } = plane;
  const radius = kernel.length >> 1;
  const out = new Float64Array(data.length);
  const padded = new Float64Array(width + 2 * radius);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    padded.fill(data[row]!, 0, radius);
    padded.set(data.subarray(row, row + width), radius);
    padded.fill(data[row + width - 1]!, radius + width);
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k]! * padded[x + k]!;
      out[row + x] = sum;
    }
  }
  return { width, height, data: out };
}

function alongColumns(plane: Plane, kernel: Float64Array): Plane {
  const { width, height, data } = plane;
  const radius = kernel.length >> 1;
  const out = new Float64Array(data.length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let k = 0; k < kernel.length; k++) {
      const from = Math.min(Math.max(y + k - radius, 0), height - 1) * width;
      const weight = kernel[k]!;
      for (let x = 0; x < width; x++) out[row + x] = out[row + x]! + weight * data[from + x]!;
    }
  }
  return { width, height, data: out };
}
