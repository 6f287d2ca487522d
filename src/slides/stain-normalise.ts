/**
 * Stain normalisation after Macenko et al., "A method for normalizing histology slides for
 * quantitative analysis" (ISBI 2009): finds the two stains of an image, and repaints it with those of
 * a reference.
 *
 * Constants, reference and steps are those of the authors' MATLAB code as M. Veta published it
 * (staining-normalization), which the Python ports follow: optical density `-ln((value + 1) / 240)`,
 * pixels below 0.15 in any channel left out, extremes at the 1st and 99th percentile of the angle.
 */
import { percentile } from './percentile.ts';
import type { RgbImage } from './slide.ts';

/** Light without tissue. */
const WHITE = 240;
const LEAST_DENSITY = 0.15;
const EXTREME_PERCENT = 1;
const MAXIMUM_PERCENT = 99;
/** Fewer stained pixels than this say nothing about stains: at least 50, and 1 % of the image. */
const LEAST_PIXELS = 50;
const LEAST_FRACTION = 0.01;
/** Stains nearer to each other are one stain and its noise; H and E are about 22 degrees apart. */
const LEAST_ANGLE = (5 * Math.PI) / 180;
/** A stain whose strongest pixels have less than this is not there. */
const LEAST_AMOUNT = 0.05;

type Vector = readonly [number, number, number];

/** The two stains of an image. */
export interface Stains {
  /** Optical density in red, green and blue of one unit of stain; unit vectors. */
  readonly haematoxylin: Vector;
  readonly eosin: Vector;
  /** Amounts of each at the 99th percentile of the pixels. */
  readonly maxima: readonly [haematoxylin: number, eosin: number];
}

/** The reference of the published implementations. */
export const MACENKO_REFERENCE: Stains = {
  haematoxylin: [0.5626, 0.7201, 0.4062],
  eosin: [0.2159, 0.8012, 0.5581],
  maxima: [1.9705, 1.0308],
};

/** Why an image has no two stains to find: hardly any stained pixels, or only one stain. */
export type NoStains = 'blank' | 'one-stain';

const DENSITY = Float64Array.from({ length: 256 }, (_, value) => -Math.log((value + 1) / WHITE));

/** Finds the stains of an image; a reason when it has no two. Deterministic. */
export function estimateStains({ data }: RgbImage): Stains | NoStains {
  const pixels = data.length / 3;
  const stained = new Float64Array(pixels * 3);
  let count = 0;
  for (let i = 0; i < data.length; i += 3) {
    const r = DENSITY[data[i]!]!;
    const g = DENSITY[data[i + 1]!]!;
    const b = DENSITY[data[i + 2]!]!;
    if (r < LEAST_DENSITY || g < LEAST_DENSITY || b < LEAST_DENSITY) continue;
    stained[count++] = r;
    stained[count++] = g;
    stained[count++] = b;
  }
  if (count / 3 < Math.max(LEAST_PIXELS, LEAST_FRACTION * pixels)) return 'blank';
  const [first, second] = extremes(stained.subarray(0, count));
  const cosine = dot(first, second) / (Math.hypot(...first) * Math.hypot(...second));
  if (!(Math.acos(Math.min(1, cosine)) > LEAST_ANGLE)) return 'one-stain';
  // Haematoxylin takes more red light than eosin.
  const [haematoxylin, eosin] = first[0] > second[0] ? [first, second] : [second, first];
  const amounts = stainAmounts(data, haematoxylin, eosin);
  const maxima = amounts.map((plane) => percentile(plane.sort(), MAXIMUM_PERCENT));
  const [h, e] = [maxima[0]!, maxima[1]!];
  if (!(h > LEAST_AMOUNT && e > LEAST_AMOUNT)) return 'one-stain';
  return { haematoxylin, eosin, maxima: [h, e] };
}

/** Repaints an image whose stains are `from` with the stains `to`. */
export function applyStains(
  image: RgbImage,
  from: Stains,
  to: Stains = MACENKO_REFERENCE,
): RgbImage {
  const { width, height, data } = image;
  const [h, e] = stainAmounts(data, from.haematoxylin, from.eosin);
  const scaleH = to.maxima[0] / from.maxima[0];
  const scaleE = to.maxima[1] / from.maxima[1];
  const out = new Uint8Array(data.length);
  for (let i = 0; i < h.length; i++) {
    const amountH = h[i]! * scaleH;
    const amountE = e[i]! * scaleE;
    for (let channel = 0; channel < 3; channel++) {
      const density = to.haematoxylin[channel]! * amountH + to.eosin[channel]! * amountE;
      out[3 * i + channel] = Math.min(255, Math.round(WHITE * Math.exp(-density)));
    }
  }
  return { width, height, data: out };
}

/**
 * Normalises one image by its own stains. An image without two stains comes back as it is, with the
 * reason in `unchanged`. To treat the tiles of a slide alike, estimate once on its overview or on a
 * sample, and use `applyStains`.
 */
export function normaliseStains(
  image: RgbImage,
  to: Stains = MACENKO_REFERENCE,
): { image: RgbImage; unchanged: NoStains | null } {
  const from = estimateStains(image);
  return typeof from === 'string'
    ? { image, unchanged: from }
    : { image: applyStains(image, from, to), unchanged: null };
}

/** The directions at the 1st and 99th percentile of the angle in the plane of the largest variance. */
function extremes(densities: Float64Array): [Vector, Vector] {
  const [middle, largest] = principalPlane(densities);
  const angles = new Float64Array(densities.length / 3);
  for (let i = 0; i < angles.length; i++) {
    const v: Vector = [densities[3 * i]!, densities[3 * i + 1]!, densities[3 * i + 2]!];
    angles[i] = Math.atan2(dot(v, largest), dot(v, middle));
  }
  angles.sort();
  const at = (percent: number): Vector => {
    const angle = percentile(angles, percent);
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    return [
      c * middle[0] + s * largest[0],
      c * middle[1] + s * largest[1],
      c * middle[2] + s * largest[2],
    ];
  };
  return [at(EXTREME_PERCENT), at(100 - EXTREME_PERCENT)];
}

/** Eigenvectors of the covariance for its second largest and its largest eigenvalue. */
function principalPlane(densities: Float64Array): [Vector, Vector] {
  const count = densities.length / 3;
  const mean = [0, 0, 0];
  for (let i = 0; i < densities.length; i++) mean[i % 3] = mean[i % 3]! + densities[i]! / count;
  const covariance = [new Float64Array(3), new Float64Array(3), new Float64Array(3)];
  for (let i = 0; i < densities.length; i += 3) {
    for (let a = 0; a < 3; a++) {
      for (let b = 0; b < 3; b++) {
        const product = (densities[i + a]! - mean[a]!) * (densities[i + b]! - mean[b]!);
        covariance[a]![b] = covariance[a]![b]! + product / (count - 1);
      }
    }
  }
  const { values, vectors } = eigenSymmetric(covariance);
  const order = [0, 1, 2].sort((a, b) => values[a]! - values[b]!);
  const column = (k: number): Vector => {
    const v: Vector = [vectors[0]![k]!, vectors[1]![k]!, vectors[2]![k]!];
    // Either sign is an eigenvector; this one keeps densities on the side of positive angles.
    return v[0] + v[1] + v[2] < 0 ? [-v[0], -v[1], -v[2]] : v;
  };
  return [column(order[1]!), column(order[2]!)];
}

/** Jacobi's rotations; `matrix` is 3 x 3, symmetric, and becomes diagonal. Vectors are columns. */
function eigenSymmetric(matrix: Float64Array[]): { values: number[]; vectors: Float64Array[] } {
  const vectors = [0, 1, 2].map((i) => Float64Array.from([0, 1, 2], (j) => (i === j ? 1 : 0)));
  const pairs = [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const;
  // Three by three converges in a handful of sweeps.
  for (let sweep = 0; sweep < 30; sweep++) {
    for (const [p, q] of pairs) {
      const off = matrix[p]![q]!;
      if (off === 0) continue;
      const angle = 0.5 * Math.atan2(2 * off, matrix[q]![q]! - matrix[p]![p]!);
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      for (const row of [...matrix, ...vectors]) {
        const [a, b] = [row[p]!, row[q]!];
        row[p] = c * a - s * b;
        row[q] = s * a + c * b;
      }
      for (let k = 0; k < 3; k++) {
        const [a, b] = [matrix[p]![k]!, matrix[q]![k]!];
        matrix[p]![k] = c * a - s * b;
        matrix[q]![k] = s * a + c * b;
      }
    }
  }
  return { values: [0, 1, 2].map((i) => matrix[i]![i]!), vectors };
}

/** Least squares amounts of two stains in every pixel. */
function stainAmounts(data: Uint8Array, h: Vector, e: Vector): [Float64Array, Float64Array] {
  const [hh, he, ee] = [dot(h, h), dot(h, e), dot(e, e)];
  const determinant = hh * ee - he * he;
  const amountH = new Float64Array(data.length / 3);
  const amountE = new Float64Array(data.length / 3);
  for (let i = 0; i < amountH.length; i++) {
    const v: Vector = [
      DENSITY[data[3 * i]!]!,
      DENSITY[data[3 * i + 1]!]!,
      DENSITY[data[3 * i + 2]!]!,
    ];
    const [vh, ve] = [dot(v, h), dot(v, e)];
    amountH[i] = (ee * vh - he * ve) / determinant;
    amountE[i] = (hh * ve - he * vh) / determinant;
  }
  return [amountH, amountE];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
