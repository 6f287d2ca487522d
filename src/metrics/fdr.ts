/**
 * Benjamini-Hochberg adjusted p-values (J. R. Statist. Soc. B 57, 1995): q_(i) = min_{j >= i} p_(j) m / j,
 * clipped to 1, in the order of the input. NaN p-values stay NaN and do not count as tests (m excludes them).
 */
export function benjaminiHochberg(p: ArrayLike<number>): Float64Array {
  const q = new Float64Array(p.length).fill(Number.NaN);
  const order: number[] = [];
  for (let i = 0; i < p.length; i++) if (!Number.isNaN(p[i]!)) order.push(i);
  order.sort((a, b) => p[a]! - p[b]!);
  let smallest = 1;
  for (let rank = order.length; rank >= 1; rank--) {
    const i = order[rank - 1]!;
    smallest = Math.min(smallest, (p[i]! * order.length) / rank);
    q[i] = smallest;
  }
  return q;
}
