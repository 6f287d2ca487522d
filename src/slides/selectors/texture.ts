/**
 * The image-filter scores that the ISG paper compares its Shannon selection with (Table 2). Each is
 * a number per tile that grows with texture, on BT.601 grey of 0..1. The paper gives no
 * parameters; these are the customary ones.
 */
import type { RgbImage } from '../slide.ts';
import { gaussian, greyPlane, laplacianOfGaussian, type Plane, sobel } from './plane-filters.ts';

const CANNY_SIGMA = 1.4;
const CANNY_WEAK = 0.1;
const CANNY_STRONG = 0.2;

/** `ig`: mean magnitude of the Sobel gradient. */
export function gradientScore(tile: RgbImage): number {
  const { gx, gy } = sobel(greyPlane(tile));
  let sum = 0;
  for (let i = 0; i < gx.length; i++) sum += Math.hypot(gx[i]!, gy[i]!);
  return sum / gx.length;
}

/** `dog`: mean absolute difference of Gaussians of 1.0 and 1.6 pixels. */
export function dogScore(tile: RgbImage): number {
  const grey = greyPlane(tile);
  const fine = gaussian(grey, 1).data;
  const coarse = gaussian(grey, 1.6).data;
  let sum = 0;
  for (let i = 0; i < fine.length; i++) sum += Math.abs(fine[i]! - coarse[i]!);
  return sum / fine.length;
}

/** `log`: mean absolute Laplacian of the Gaussian of 1.4 pixels. */
export function logScore(tile: RgbImage): number {
  const { data } = laplacianOfGaussian(greyPlane(tile), 1.4);
  return data.reduce((sum, value) => sum + Math.abs(value), 0) / data.length;
}

/** `canny`: fraction of the pixels (0..1) that Canny's detector marks as edges. */
export function cannyScore(tile: RgbImage): number {
  const edges = cannyEdges(greyPlane(tile));
  return edges.reduce((sum, value) => sum + value, 0) / edges.length;
}

/**
 * Canny (1986): Gaussian of 1.4 pixels, Sobel, non-maximum suppression between the interpolated
 * neighbours along the gradient, then the weak edges (> 0.1) that touch strong ones (> 0.2) through
 * eight neighbours. The outermost pixels have no neighbours to compare with and are no edges.
 */
export function cannyEdges(grey: Plane): Uint8Array {
  const { width, height } = grey;
  const { gx, gy } = sobel(gaussian(grey, CANNY_SIGMA));
  const size = Float64Array.from(gx, (value, i) => Math.sqrt(value * value + gy[i]! * gy[i]!));
  const thin = new Uint8Array(size.length);
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      if (size[i]! > CANNY_WEAK && isRidge(size, i, gx[i]!, gy[i]!, width)) thin[i] = 1;
    }
  }
  return connected(thin, size, width);
}

/** Whether the magnitude at `i` is at least that of one step to either side along the gradient. */
function isRidge(size: Float64Array, i: number, gx: number, gy: number, width: number): boolean {
  const across = Math.abs(gx) >= Math.abs(gy);
  const straight = across ? Math.sign(gx) : Math.sign(gy) * width;
  const diagonal = straight + (across ? Math.sign(gy) * width : Math.sign(gx));
  const weight = across ? Math.abs(gy / gx) : Math.abs(gx / gy);
  const ahead = size[i + straight]! * (1 - weight) + size[i + diagonal]! * weight;
  const behind = size[i - straight]! * (1 - weight) + size[i - diagonal]! * weight;
  return size[i]! >= ahead && size[i]! >= behind;
}

/** Keeps the thin edges that reach a strong one. They never touch the border, so neighbours exist. */
function connected(thin: Uint8Array, size: Float64Array, width: number): Uint8Array {
  const edges = new Uint8Array(thin.length);
  const stack: number[] = [];
  const mark = (i: number) => {
    if (!thin[i] || edges[i]) return;
    edges[i] = 1;
    stack.push(i);
  };
  for (let i = 0; i < thin.length; i++) if (size[i]! > CANNY_STRONG) mark(i);
  for (let i = stack.pop(); i !== undefined; i = stack.pop()) {
    for (const row of [-width, 0, width]) for (const step of [-1, 0, 1]) mark(i + row + step);
  }
  return edges;
}
