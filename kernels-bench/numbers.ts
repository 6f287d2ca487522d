/**
 * Input for the peers, the same for all, so that their results can be held against ours: uniform, of mean 0 and
 * variance 1, from a hash of the position (MurmurHash3's finaliser).
 */
export function numbers(shape: readonly number[], seed: number): Float32Array {
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  const start = Math.imul(seed, 0x9e3779b1);
  for (let i = 0; i < data.length; i++) {
    let h = (start + i) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    data[i] = (h / 2 ** 32) * Math.sqrt(12);
  }
  return data;
}

/** What tells two results apart, whatever the order of their axes: size, sum, sum of squares, first and last number. */
export function summary(data: ArrayLike<number>): number[] {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    sum += data[i]!;
    squares += data[i]! ** 2;
  }
  return [data.length, sum, squares, data[0] ?? 0, data[data.length - 1] ?? 0];
}
