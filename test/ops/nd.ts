/** Float64 arrays and seeded random numbers, in which the proofs' references are written. */
import { type Shape, sizeOf } from '../../src/tensor/tensor.ts';

export interface Nd {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** An array whose element at flat index i is `value(i)`. */
export function nd(shape: Shape, value: (index: number) => number): Nd {
  return { shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => value(i)) };
}

/** [rows, last axis] of a shape. */
function rowsOf(shape: Shape): [number, number] {
  return [sizeOf(shape.slice(0, -1)), shape.at(-1)!];
}

/** `x` with each row of its last axis replaced by `map(row)`. */
export function mapRows(x: Nd, map: (row: Float64Array, index: number) => ArrayLike<number>): Nd {
  const [rows, n] = rowsOf(x.shape);
  const data = new Float64Array(x.data.length);
  for (let r = 0; r < rows; r++) data.set(map(x.data.subarray(r * n, (r + 1) * n), r), r * n);
  return { shape: x.shape, data };
}

/** Mean of −log softmax(logits)[label]. */
export function crossEntropyOf(x: Nd, labels: ArrayLike<number>): number {
  const [rows, n] = x.shape as [number, number];
  let total = 0;
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * n, (r + 1) * n);
    const most = row.reduce((m, v) => Math.max(m, v), -Infinity);
    total +=
      Math.log(row.reduce((sum, v) => sum + Math.exp(v - most), 0)) + most - row[labels[r]!]!;
  }
  return total / rows;
}

/** Σ a·b, in float64. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
}

export function norm(values: ArrayLike<number>): number {
  return Math.sqrt(dot(values, values));
}

/** Mulberry32: small, seeded, good enough to draw test inputs. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [low, high). */
  uniform(low = 0, high = 1): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return low + (high - low) * (((t ^ (t >>> 14)) >>> 0) / 2 ** 32);
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Either sign, at least `gap` from zero: for functions with a kink or a pole there. */
  awayFromZero(gap: number): number {
    const x = this.normal();
    return x + (x < 0 ? -gap : gap);
  }

  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** A permutation of 0 … count − 1. */
  permutation(count: number): number[] {
    const values = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [values[i], values[j]] = [values[j]!, values[i]!];
    }
    return values;
  }
}
