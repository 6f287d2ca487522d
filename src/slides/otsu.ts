/**
 * Otsu's threshold (1979): the value that splits a histogram into the two classes with the largest
 * variance between them. Same binning and ties as scikit-image's `threshold_otsu`, which the
 * published pipelines call.
 */

/** Bins of a float histogram. */
const BINS = 256;

/**
 * @param counts how many values fall into each bin
 * @param centres the value each bin stands for, ascending
 * @returns the centre of the last bin of the lower class; foreground is what lies above it. Values
 *   that all fall into one bin give that bin's centre, so that nothing lies above.
 */
function otsuSplit(counts: Float64Array, centres: (bin: number) => number): number {
  let total = 0;
  let sum = 0;
  let only = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    total += counts[bin]!;
    sum += counts[bin]! * centres(bin);
    if (counts[bin]! > 0) only = bin;
  }
  let best = -1;
  let split = only;
  let below = 0;
  let sumBelow = 0;
  for (let bin = 0; bin < counts.length - 1; bin++) {
    below += counts[bin]!;
    sumBelow += counts[bin]! * centres(bin);
    const above = total - below;
    if (below === 0 || above === 0) continue;
    const distance = sumBelow / below - (sum - sumBelow) / above;
    const variance = below * above * distance * distance;
    if (variance > best) {
      best = variance;
      split = bin;
    }
  }
  return centres(split);
}

/** Otsu's threshold of bytes, `counts[value]` being how often a value occurs. */
export function otsuBytes(counts: Float64Array): number {
  return otsuSplit(counts, (value) => value);
}

/** Otsu's threshold of finite numbers, over 256 bins from the smallest to the largest. */
export function otsuFloats(values: Float32Array | Float64Array): number {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high > low)) return values.length > 0 ? low : 0;
  const counts = new Float64Array(BINS);
  const scale = BINS / (high - low);
  for (const value of values) {
    const bin = Math.min(Math.floor((value - low) * scale), BINS - 1);
    counts[bin] = counts[bin]! + 1;
  }
  return otsuSplit(counts, (bin) => low + (bin + 0.5) / scale);
}
