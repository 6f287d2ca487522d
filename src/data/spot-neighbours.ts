/** Neighbours on the array of spots: which spots lie around each, and their features or values. */
import { HistogradError } from '../errors.ts';
import type { Spot } from './spots.ts';

/** The spots around each spot on the array. */
export interface GridNeighbours {
  /** Cells per spot: (2 radius + 1)^2. */
  readonly cells: number;
  /** [spots, cells], row by row, the spot itself in the middle; -1 where there is no spot. */
  readonly index: Int32Array;
}

/**
 * The square of array cells around every spot. On staggered arrays (Visium: columns of a row are 2 apart, every other row is
 * shifted by 1) rows are taken as rows of bricks, so that no cell between two spots counts as empty.
 *
 * @param radius cells to each side: 2 gives the 5 x 5 view, 1 the 3 x 3 that TRIPLEX smooths over
 * @throws HistogradError `option` for a radius that is not 0 to 50; `no-array` when array positions are unknown, `duplicate-position` when two spots share one
 */
export function gridNeighbours(spots: readonly Spot[], radius: number): GridNeighbours {
  if (!(Number.isInteger(radius) && radius >= 0 && radius <= 50)) {
    throw new HistogradError(
      'option',
      `gridNeighbours: radius is ${radius}, expected a whole number of cells from 0 to 50.`,
      'Use 1 or 2.',
    );
  }
  const staggered = isStaggered(spots);
  const cellOf = ({ row, column }: Spot) =>
    [row, staggered ? Math.floor(column / 2) : column] as const;
  const at = new Map<string, number>();
  for (const [i, spot] of spots.entries()) {
    if (!Number.isInteger(spot.row) || !Number.isInteger(spot.column)) {
      throw new HistogradError(
        'no-array',
        `Spot ${spot.id} has no whole position on the array (row ${spot.row}, column ${spot.column}).`,
        'Use spots with array rows and columns (obs/array_row and array_col in .h5ad).',
      );
    }
    const key = cellOf(spot).join();
    const known = at.get(key);
    if (known !== undefined) {
      throw new HistogradError(
        'duplicate-position',
        `Spots ${spots[known]!.id} and ${spot.id} are both at row ${spot.row}, column ${spot.column} of the array.`,
        'Use the spots of one section at a time.',
      );
    }
    at.set(key, i);
  }
  const side = 2 * radius + 1;
  const cells = side * side;
  const index = new Int32Array(spots.length * cells);
  for (const [i, spot] of spots.entries()) {
    const [row, column] = cellOf(spot);
    for (let c = 0; c < cells; c++) {
      const key = `${row + Math.floor(c / side) - radius},${column + (c % side) - radius}`;
      index[i * cells + c] = at.get(key) ?? -1;
    }
  }
  return { cells, index };
}

/** Row and column have the same parity everywhere, or differ everywhere: no two spots touch in a row. */
function isStaggered(spots: readonly Spot[]): boolean {
  const parity = (spot: Spot) => Math.abs(spot.row + spot.column) % 2;
  const [first] = spots;
  return first !== undefined && spots.length > 1 && spots.every((s) => parity(s) === parity(first));
}

/**
 * Each spot's neighbours' features.
 *
 * @param features [spots, width]
 * @returns `features` [spots, cells, width], zeros where there is no spot, and `mask` [spots, cells], 1 where there is one
 */
export function neighbourFeatures(
  features: Float32Array,
  width: number,
  { cells, index }: GridNeighbours,
): { features: Float32Array<ArrayBuffer>; mask: Uint8Array<ArrayBuffer> } {
  if (features.length * cells !== index.length * width) {
    throw new HistogradError(
      'bad-feature-shape',
      `${features.length} values are no features of width ${width} for ${index.length / cells} spots.`,
      'Pass one row of features per spot.',
    );
  }
  const out = new Float32Array(index.length * width);
  const mask = new Uint8Array(index.length);
  for (const [i, spot] of index.entries()) {
    if (spot < 0) continue;
    mask[i] = 1;
    out.set(features.subarray(spot * width, (spot + 1) * width), i * width);
  }
  return { features: out, mask };
}

/** Mean over the neighbours that exist, itself among them: TRIPLEX's smoothing of targets with radius 1. */
export function neighbourMeans(
  values: Float32Array,
  width: number,
  neighbours: GridNeighbours,
): Float32Array<ArrayBuffer> {
  const { cells, index } = neighbours;
  const out = new Float32Array(values.length);
  const sums = new Float64Array(width);
  for (let s = 0; s * cells < index.length; s++) {
    sums.fill(0);
    let count = 0;
    for (let c = 0; c < cells; c++) {
      const spot = index[s * cells + c]!;
      if (spot < 0) continue;
      count++;
      for (let k = 0; k < width; k++) sums[k] = sums[k]! + values[spot * width + k]!;
    }
    for (let k = 0; k < width; k++) out[s * width + k] = sums[k]! / count;
  }
  return out;
}
