/** What halves are, found in another way than by the source: a table, and the nearest entry. */

/** The value of every half by its bits, from IEEE 754's definition. */
export function halfTable(): Float32Array {
  return Float32Array.from({ length: 65_536 }, (_, bits) => {
    const sign = bits < 0x8000 ? 1 : -1;
    const [exponent, fraction] = [Math.floor(bits / 1024) % 32, bits % 1024];
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return exponent === 0
      ? sign * (fraction / 1024) * 2 ** -14
      : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

/** Finite magnitudes in order, and then 2^16, which is where infinity stands for rounding. */
const MAGNITUDES = [...halfTable().slice(0, 0x7c00), 65_536];

/** The nearest half; of two that are equally near the one with an even number. */
export function roundedToHalf(value: number): number {
  if (Number.isNaN(value)) return NaN;
  const magnitude = Math.abs(value);
  let [low, high] = [0, MAGNITUDES.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (MAGNITUDES[middle]! <= magnitude) low = middle;
    else high = middle - 1;
  }
  const above = MAGNITUDES[low + 1];
  const [below, gap] = [magnitude - MAGNITUDES[low]!, (above ?? Infinity) - magnitude];
  const nearest = below < gap || (below === gap && low % 2 === 0) ? low : low + 1;
  const rounded = nearest >= 0x7c00 ? Infinity : MAGNITUDES[nearest]!;
  return value < 0 || Object.is(value, -0) ? -rounded : rounded;
}

/**
 * float32 values at which rounding is decided: every half, what lies just below, on and just above the middle between it
 * and the next, both signs, float32's own subnormals, infinities, NaN, and random bits.
 */
export function awkward(): Float32Array {
  const next = (value: number, by: number) => {
    const word = new Uint32Array(Float32Array.of(value).buffer);
    word[0] = word[0]! + by;
    return new Float32Array(word.buffer)[0]!;
  };
  const values: number[] = [0, -0, Infinity, -Infinity, NaN, 1e-45, -1e-40, 3.4e38, 65_519.996];
  for (let i = 0; i + 1 < MAGNITUDES.length; i++) {
    const middle = (MAGNITUDES[i]! + MAGNITUDES[i + 1]!) / 2;
    for (const value of [MAGNITUDES[i]!, next(middle, -1), middle, next(middle, 1)]) {
      values.push(i % 3 === 0 ? -value : value);
    }
  }
  let state = 12_345;
  const words = Uint32Array.from({ length: 20_000 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  });
  return Float32Array.from([...values, ...new Float32Array(words.buffer)]);
}
