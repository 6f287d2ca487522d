/** Spots into bags: windows over a section's array, bulk counts, and splits by section or patient. */
import { shuffle } from './shuffle.ts';

/** A window over the array of spots. */
export interface StWindow<Spot> {
  /** Its lowest array coordinates. */
  readonly x: number;
  readonly y: number;
  readonly spots: Spot[];
}

/**
 * Cuts windows of `window` x `window` array units, starting at the section's lowest coordinates, every
 * `stride` units. A window covers `[x, x + window)`. Arrays on a full grid give up to `window^2` spots;
 * staggered arrays, whose neighbours are 2 units apart, about half of that.
 *
 * @returns windows with at least one spot, by y, then x; their spots in the order given
 */
export function cutWindows<Spot extends { readonly arrayX: number; readonly arrayY: number }>(
  spots: readonly Spot[],
  window: number,
  stride: number,
): StWindow<Spot>[] {
  const x0 = Math.floor(Math.min(...spots.map((spot) => spot.arrayX)));
  const y0 = Math.floor(Math.min(...spots.map((spot) => spot.arrayY)));
  const windows = new Map<string, StWindow<Spot>>();
  for (const spot of spots) {
    for (const x of startsOver(spot.arrayX - x0, window, stride)) {
      for (const y of startsOver(spot.arrayY - y0, window, stride)) {
        const key = `${x},${y}`;
        const known = windows.get(key) ?? { x: x0 + x, y: y0 + y, spots: [] };
        known.spots.push(spot);
        windows.set(key, known);
      }
    }
  }
  return [...windows.values()].sort((a, b) => a.y - b.y || a.x - b.x);
}

/** Multiples of `stride` s >= 0 with `s <= at < s + window`. */
function startsOver(at: number, window: number, stride: number): number[] {
  const starts: number[] = [];
  for (let s = Math.floor(at / stride) * stride; s >= 0 && s > at - window; s -= stride) {
    starts.push(s);
  }
  return starts;
}

/** Counts per 10,000 of the library: `counts * 1e4 / total`. */
export function perTenThousand(counts: Float64Array, total: number): Float32Array {
  return Float32Array.from(counts, (count) => (count * 1e4) / total);
}

type SplitPart = 'train' | 'validation' | 'test';
/** One line of a split: a slide's part in a fold. */
export interface SplitRow {
  readonly fold: number;
  readonly slide: string;
  readonly part: SplitPart;
}

/**
 * Leave-one-group-out: fold f tests the f-th group (in order of first appearance) and trains on the
 * others. With `validation`, one whole other group, drawn by `seed`, is kept for validation, if at
 * least one more is left to train on.
 *
 * @returns no rows when there are fewer than two groups
 */
export function leaveOneGroupOut(
  slides: readonly { readonly slide: string; readonly group: string }[],
  seed: number,
  validation: boolean,
): SplitRow[] {
  const groups = [...new Set(slides.map(({ group }) => group))];
  if (groups.length < 2) return [];
  return groups.flatMap((tested, fold) => {
    const others = groups.filter((group) => group !== tested);
    const kept =
      validation && others.length > 1 ? others[shuffle(others.length, seed, fold)[0]!] : undefined;
    return slides.map(({ slide, group }): SplitRow => {
      const part = group === tested ? 'test' : group === kept ? 'validation' : 'train';
      return { fold, slide, part };
    });
  });
}
