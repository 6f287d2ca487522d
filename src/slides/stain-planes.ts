/**
 * Colour deconvolution of haematoxylin and eosin: from RGB to the amount of each stain.
 *
 * Beer-Lambert: the optical density of a pixel, `-log10((value + 1) / 256)` per channel, is a sum
 * of stain vectors weighted by stain amounts. The vectors are the ones published by Ruifrok and
 * Johnston, "Quantification of histochemical staining by color deconvolution" (2001); the third is
 * their cross product and takes what neither stain explains.
 */

/** Float planes of one tile, row-major `[height * width]`. */
export interface StainPlanes {
  height: number;
  width: number;
  /** ITU-R BT.601 luma, 0..1. */
  grey: Float32Array;
  /** Stain amounts in optical density; can be slightly negative. */
  haematoxylin: Float32Array;
  eosin: Float32Array;
  residual: Float32Array;
}

type Vector = readonly [number, number, number];

/** Ruifrok & Johnston's optical densities in red, green and blue for a full stain. */
const HAEMATOXYLIN: Vector = unit([0.65, 0.704, 0.286]);
const EOSIN: Vector = unit([0.072, 0.99, 0.105]);
const RESIDUAL: Vector = unit(cross(HAEMATOXYLIN, EOSIN));

/** Columns: how much of each channel's density goes to each stain (inverse of the stain matrix). */
const UNMIX = invert(HAEMATOXYLIN, EOSIN, RESIDUAL);

const DENSITY = Float32Array.from({ length: 256 }, (_, value) => -Math.log10((value + 1) / 256));

/** Splits `rgb`, uint8 `[height][width][3]`, into stain planes. */
export function stainPlanes(rgb: Uint8Array, height: number, width: number): StainPlanes {
  const size = height * width;
  const grey = new Float32Array(size);
  const haematoxylin = new Float32Array(size);
  const eosin = new Float32Array(size);
  const residual = new Float32Array(size);
  const [toH, toE, toR] = UNMIX;
  for (let i = 0; i < size; i++) {
    const r = rgb[3 * i]!;
    const g = rgb[3 * i + 1]!;
    const b = rgb[3 * i + 2]!;
    grey[i] = (0.299 * r + 0.587 * g + 0.114 * b) / 255;
    const dr = DENSITY[r]!;
    const dg = DENSITY[g]!;
    const db = DENSITY[b]!;
    haematoxylin[i] = dr * toH[0] + dg * toH[1] + db * toH[2];
    eosin[i] = dr * toE[0] + dg * toE[1] + db * toE[2];
    residual[i] = dr * toR[0] + dg * toR[1] + db * toR[2];
  }
  return { height, width, grey, haematoxylin, eosin, residual };
}

function unit(v: Vector): Vector {
  const length = Math.hypot(...v);
  return [v[0] / length, v[1] / length, v[2] / length];
}

function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** Rows of the inverse transpose: `amount_k = density . result[k]`. */
function invert(a: Vector, b: Vector, c: Vector): readonly [Vector, Vector, Vector] {
  const determinant = dot(a, cross(b, c));
  const scaled = (v: Vector): Vector => [
    v[0] / determinant,
    v[1] / determinant,
    v[2] / determinant,
  ];
  return [scaled(cross(b, c)), scaled(cross(c, a)), scaled(cross(a, b))];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
