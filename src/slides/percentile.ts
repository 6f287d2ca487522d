/** Linear interpolation between the sorted values, as numpy's default. */
export function percentile(sorted: Float64Array, percent: number): number {
  const at = (percent / 100) * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}
