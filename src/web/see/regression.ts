/** Least squares of y on x over the finite pairs; null where x is constant or there are fewer than two. */
export function regression(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
): { slope: number; intercept: number } | null {
  let n = 0;
  let first = 0;
  let varies = false;
  let meanX = 0;
  let meanY = 0;
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    if (n++ === 0) first = x[i]!;
    // On the values: the rounded sum of squares of a constant need not be 0.
    if (x[i] !== first) varies = true;
    meanX += (x[i]! - meanX) / n;
    meanY += (y[i]! - meanY) / n;
  }
  let xx = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    xx += (x[i]! - meanX) ** 2;
    xy += (x[i]! - meanX) * (y[i]! - meanY);
  }
  if (!varies || xx === 0) return null;
  return { slope: xy / xx, intercept: meanY - (xy / xx) * meanX };
}
