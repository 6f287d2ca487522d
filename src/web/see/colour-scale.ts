/** From a value to a colour: the range that a map shows, and the bin of every place. */
import { type ColourMap, STEPS } from './colour-maps.ts';

export interface Range {
  readonly low: number;
  readonly high: number;
  /** Whether values lie beyond the ends; those take the colour of the end. */
  readonly below: boolean;
  readonly above: boolean;
}

export interface ColourScale extends Range {
  readonly map: ColourMap;
}

export type RangeKind = 'robust' | 'full';

/** `robust` leaves 2 % of the values beyond each end, so that one outlier does not take all contrast. */
const TAIL = 0.02;

/**
 * The range of the finite values of all arrays together. Equal values get a range around them; without any value it is
 * 0 to 1.
 */
export function rangeOf(arrays: readonly Float32Array[], kind: RangeKind): Range {
  const sorted = sortedFinite(arrays);
  if (sorted.length === 0) return { low: 0, high: 1, below: false, above: false };
  const tail = kind === 'robust' ? TAIL : 0;
  return widened(quantile(sorted, tail), quantile(sorted, 1 - tail), sorted);
}

/** Around zero, so that the middle of a diverging map is no difference. */
export function rangeAroundZero(values: Float32Array, kind: RangeKind): Range {
  const sorted = sortedFinite([values.map(Math.abs)]);
  if (sorted.length === 0) return { low: -1, high: 1, below: false, above: false };
  const reach = quantile(sorted, kind === 'robust' ? 1 - TAIL : 1) || 1;
  return {
    low: -reach,
    high: reach,
    below: values.some((value) => value < -reach),
    above: values.some((value) => value > reach),
  };
}

function sortedFinite(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((n, values) => n + values.length, 0));
  let n = 0;
  for (const values of arrays) {
    for (const value of values) if (Number.isFinite(value)) all[n++] = value;
  }
  return all.subarray(0, n).sort();
}

/** Linear between the neighbours, as NumPy's default. */
function quantile(sorted: Float32Array, share: number): number {
  const place = share * (sorted.length - 1);
  const index = Math.floor(place);
  const low = sorted[index]!;
  const high = sorted[Math.min(index + 1, sorted.length - 1)]!;
  return low + (high - low) * (place - index);
}

function widened(low: number, high: number, sorted: Float32Array): Range {
  const smallest = sorted[0]!;
  const largest = sorted[sorted.length - 1]!;
  // Most values equal (a gene that few places express): the tails are all there is to see.
  if (low === high) [low, high] = [smallest, largest];
  if (low === high) {
    const margin = Math.abs(low) * 0.1 || 0.5;
    return { low: low - margin, high: high + margin, below: false, above: false };
  }
  return { low, high, below: smallest < low, above: largest > high };
}

/** Index into `colourTable`. */
export function binOf(value: number, scale: Range): number {
  if (!Number.isFinite(value)) return STEPS;
  const share = (value - scale.low) / (scale.high - scale.low);
  return Math.min(STEPS - 1, Math.max(0, Math.floor(share * STEPS)));
}

/** Round numbers within [low, high]: about `count`, steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  // The geometric means between 1, 2, 5 and 10 are where one becomes nearer than the other.
  const size = raw / power;
  const factor =
    size >= Math.sqrt(50) ? 10 : size >= Math.sqrt(10) ? 5 : size >= Math.SQRT2 ? 2 : 1;
  const step = factor * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** The ticks as text, with as many decimals as their distance needs. */
export function tickLabels(values: readonly number[]): string[] {
  const step = values.length > 1 ? values[1]! - values[0]! : Math.abs(values[0] ?? 1) || 1;
  const decimals = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  if (decimals > 4 || Math.max(...values.map(Math.abs)) >= 1e5) {
    return values.map((value) => value.toExponential(1).replace('-', '−'));
  }
  return values.map((value) => (value + 0).toFixed(decimals).replace('-', '−'));
}
