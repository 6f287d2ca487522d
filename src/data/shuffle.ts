/**
 * Seeded integer randomness for host-side choices: data order, splits, patch sub-sampling.
 *
 * Stateless from the outside: every result is a pure function of its arguments, so a resumed run repeats them.
 */

/**
 * A generator of uint32 values from a list of integer keys (seed, epoch, slide, …), each taken modulo 2^32.
 * SplitMix32: a Weyl sequence through a 32-bit finaliser (Steele, Lea & Flood 2014; constants of `lowbias32`,
 * https://nullprogram.com/blog/2018/07/31/). Good enough for shuffling, not for cryptography.
 */
export function randomUint32(...keys: number[]): () => number {
  let state = 0x9e3779b9;
  for (const key of keys) state = mix((state ^ (key >>> 0)) + 0x9e3779b9);
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix(state);
  };
}

function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** An unbiased integer in [0, n), 1 <= n <= 2^32: values beyond the last multiple of n are drawn again. */
export function randomBelow(next: () => number, n: number): number {
  const limit = 2 ** 32 - (2 ** 32 % n);
  let value = next();
  while (value >= limit) value = next();
  return value % n;
}

/**
 * The numbers 0 … n-1 in random order (Fisher-Yates), a pure function of (n, seed, epoch): the training loop's data
 * order and the splits' patient order.
 */
export function shuffle(n: number, seed: number, epoch = 0): number[] {
  const next = randomUint32(seed, epoch);
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = randomBelow(next, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * `count` of the numbers 0 … n-1 without replacement, in ascending order, a pure function of its arguments. All of
 * them when `count >= n`. Memory O(count): Floyd's algorithm (Bentley & Floyd 1987).
 */
export function sampleSorted(n: number, count: number, ...keys: number[]): Uint32Array {
  if (count >= n) return Uint32Array.from({ length: n }, (_, i) => i);
  const next = randomUint32(...keys);
  const chosen = new Set<number>();
  for (let j = n - count; j < n; j++) {
    const candidate = randomBelow(next, j + 1);
    chosen.add(chosen.has(candidate) ? j : candidate);
  }
  return Uint32Array.from(chosen).sort();
}
