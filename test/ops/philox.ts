/** Philox4x32-10 (Salmon et al., SC 2011) in TypeScript: the reference for what the kernels draw. */

function mulWide(a: number, b: number): [high: number, low: number] {
  const product = BigInt(a) * BigInt(b);
  return [Number(product >> 32n), Number(product & 0xffffffffn)];
}

/** The four words of block `block` of the stream (seed, offset). */
function philoxBlock(seed: readonly number[], offset: number, block: number): number[] {
  let [k0, k1] = [seed[0]!, seed[1]!];
  let c = [block, 0, offset, 0];
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = mulWide(0xd2511f53, c[0]!);
    const [high1, low1] = mulWide(0xcd9e8d57, c[2]!);
    c = [(high1 ^ c[1]! ^ k0) >>> 0, low1, (high0 ^ c[3]! ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return c;
}

/** The first `count` uniform numbers of the stream, in [0, 1). */
export function philoxUniform(
  seed: readonly number[],
  offset: number,
  count: number,
): Float64Array {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i += 4) {
    const words = philoxBlock(seed, offset, i / 4);
    for (let j = 0; j < 4 && i + j < count; j++) out[i + j] = (words[j]! >>> 8) * 2 ** -24;
  }
  return out;
}
