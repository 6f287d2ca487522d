import { describe, expect, it } from 'vitest';
import { multiplyInto, type Product } from '../../src/ops/matmul-kernels.ts';
import { matrixTile } from '../../src/ops/matrix-kernels.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { roundedToHalf } from '../halves.ts';
import { Random } from '../ops/nd.ts';
import { UNITS, unitDevice } from './units.ts';

const plain = { batch: 1, transposeA: false, transposeB: false };
const crossed = { batch: 1, transposeA: true, transposeB: true };

/** The shape of most GPUs, and its tile of 128 x 128, have their proofs with the operations (ops/prove.ts). */
const CASES: readonly (Product & { tile?: readonly [number, number] })[] = [
  { ...plain, m: 65, n: 33, k: 47 },
  { ...crossed, m: 65, n: 33, k: 47 },
  { ...crossed, batch: 2, m: 9, n: 136, k: 40 },
];
/** So many that they take the large tile of a 16 x 16 unit. */
const MANY: readonly (Product & { tile?: readonly [number, number] })[] = [
  { ...plain, batch: 128, m: 20, n: 72, k: 12, tile: [128, 128] },
  { ...crossed, m: 127 * 128, n: 9, k: 3, tile: [64, 64] },
];

const halves = (count: number, random: Random) =>
  Float32Array.from({ length: count }, () => roundedToHalf(random.normal()));

/** The largest error of op(a) op(b) + bias (+ what was there before) against float64. */
async function worstError(product: Product, device: Parameters<typeof Tensor.half>[0]) {
  const { batch, m, n, k, transposeA, transposeB, accumulate } = product;
  const random = new Random(m + n + k);
  const [a, b] = [halves(batch * m * k, random), halves(batch * k * n, random)];
  const [bias, before] = [n, batch * m * n].map((count) =>
    Float32Array.from({ length: count }, () => random.normal()),
  ) as [Float32Array, Float32Array];
  const out = scope(() => {
    const result = Tensor.from(device, before);
    const [x, y] = [Tensor.half(device, a), Tensor.half(device, b)];
    multiplyInto(x, y, Tensor.from(device, bias), result, product);
    return result;
  });
  const found = await out.floats();
  out.dispose();
  let worst = 0;
  for (let i = 0; i < batch * m * n; i++) {
    const [z, r, c] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
    let sum = bias[c]! + (accumulate ? before[i]! : 0);
    for (let j = 0; j < k; j++) {
      const left = a[z * m * k + (transposeA ? j * m + r : r * k + j)]!;
      sum += left * b[z * k * n + (transposeB ? c * k + j : j * n + c)]!;
    }
    worst = Math.max(worst, Math.abs(found[i]! - sum));
  }
  return worst;
}

describe.each(UNITS)('matmul on a matrix unit, %s', (_, unit) => {
  const cases = unit?.shape === 'm16n16k16' ? [...CASES, ...MANY] : CASES;
  it.for(cases)('%o', { timeout: 120_000 }, async (product, { skip }) => {
    const device = await unitDevice(unit);
    if (!device) return skip('no such matrix unit here');
    const plan = matrixTile(device, 'matmul', product);
    expect(plan).not.toBeNull();
    if (product.tile) expect(plan?.tile).toEqual(product.tile);
    expect(await worstError(product, device)).toBeLessThan(3e-5);
    expect(await worstError({ ...product, accumulate: true }, device)).toBeLessThan(3e-5);
  });
});
