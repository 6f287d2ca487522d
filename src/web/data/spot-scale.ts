/** How large the crops around spots are: as wide as the distance of neighbours, at one scale for all sections. */
import type { Spot, SpotSection } from '../../data/spots.ts';
import { HistogradError } from '../../errors.ts';
import type { TileRules } from './tile-rules.ts';

/**
 * Sides of a crop in distances of neighbouring spots. Of 1, 1.5, 2 and 3, ridge regression on tile statistics liked 1 best on her2st
 * (one patient out: .144, .132, .116, .088) and 1 to 2 alike on mouse olfactory bulb (one animal out: .282, .286, .285, .256).
 */
const PITCHES = 1;
const SMALLEST_SIDE = 16;
/** Spots whose nearest neighbour is looked for. */
const SAMPLED = 400;

export interface SpotScale {
  /** Side of a crop in pixels. */
  readonly size: number;
  /** For the features' settings: micrometres per pixel of the crop, or where that is unknown distances of spots. */
  readonly tiling: { readonly size: number; readonly mpp?: number; readonly pitches?: number };
  /** Pixels of a section's image per pixel of a crop. */
  readonly zooms: readonly number[];
}

/**
 * @param mostPixels what the describer can use
 * @param rules of the model that shall predict
 * @throws HistogradError `slide-mpp` when a model asks for a scale that a section does not tell, `one-spot`
 */
export function spotScale(
  sections: readonly SpotSection[],
  mostPixels: number,
  rules: TileRules | undefined,
): SpotScale {
  const pitches = sections.map(spotPitch);
  const known = rules?.tiling;
  if (known?.mpp !== undefined) {
    const { mpp, size } = known;
    const zooms = sections.map((section) => mpp / requireMpp(section));
    return { size, tiling: { size, mpp }, zooms };
  }
  const wide = known?.pitches ?? PITCHES;
  const native = Math.round(Math.min(...pitches) * wide);
  const size = known?.size ?? Math.max(SMALLEST_SIDE, Math.min(native, mostPixels));
  const mpps = sections.map(({ mpp }) => mpp);
  if (!known && mpps.every((mpp) => mpp !== undefined)) {
    // Rounded, so that the next data set of the same kind has the same scale.
    const exact = (pitches[0]! * wide * mpps[0]!) / size;
    const mpp = Number(exact.toPrecision(2));
    return { size, tiling: { size, mpp }, zooms: mpps.map((own) => mpp / own) };
  }
  return {
    size,
    tiling: { size, pitches: wide },
    zooms: pitches.map((pitch) => (pitch * wide) / size),
  };
}

function requireMpp({ name, mpp }: SpotSection): number {
  if (mpp !== undefined) return mpp;
  throw new HistogradError(
    'slide-mpp',
    `Section ${name} does not say how large its pixels are, which the model needs to know.`,
    'Give the micrometres per pixel of the section image.',
  );
}

/** Median distance to the nearest other spot, in pixels. */
export function spotPitch({ name, spots }: SpotSection): number {
  const step = Math.max(1, Math.floor(spots.length / SAMPLED));
  const nearest: number[] = [];
  for (let i = 0; i < spots.length; i += step) {
    const distance = nearestDistance(spots, i);
    if (distance > 0 && Number.isFinite(distance)) nearest.push(distance);
  }
  nearest.sort((a, b) => a - b);
  const median = nearest[Math.floor(nearest.length / 2)];
  if (median !== undefined) return median;
  throw new HistogradError(
    'one-spot',
    `Section ${name} has ${spots.length} spots in one place: there is nothing to learn from.`,
    'Check the positions of its spots.',
  );
}

function nearestDistance(spots: readonly Spot[], index: number): number {
  const { x, y } = spots[index]!;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, spot] of spots.entries()) {
    if (i !== index) least = Math.min(least, Math.hypot(spot.x - x, spot.y - y));
  }
  return least;
}
