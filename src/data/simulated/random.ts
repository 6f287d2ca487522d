/** Seeded random numbers and smooth noise for the simulated cohort. */
import { randomUint32 } from '../shuffle.ts';

export interface Random {
  /** Uniform in [low, high). */
  uniform(low?: number, high?: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
}

/** A generator that is a pure function of its integer keys (seed, patient, slide, ...). */
export function seededRandom(...keys: number[]): Random {
  const next = randomUint32(...keys);
  const uniform = (low = 0, high = 1) => low + ((high - low) * next()) / 2 ** 32;
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

const LATTICE = 16;

/**
 * Smooth random field over the plane with values in [-1, 1]: random numbers on integer points,
 * blended in between (value noise, Perlin's fade curve). Repeats after 16 units.
 */
export function smoothNoise(random: Random): (x: number, y: number) => number {
  const lattice = Float64Array.from({ length: LATTICE * LATTICE }, () => random.uniform(-1, 1));
  const at = (x: number, y: number) =>
    lattice[(y & (LATTICE - 1)) * LATTICE + (x & (LATTICE - 1))]!;
  return (x, y) => {
    const x0 = Math.floor(x);
    const y0 = Math.floor(y);
    const u = fade(x - x0);
    const v = fade(y - y0);
    const top = at(x0, y0) * (1 - u) + at(x0 + 1, y0) * u;
    const bottom = at(x0, y0 + 1) * (1 - u) + at(x0 + 1, y0 + 1) * u;
    return top * (1 - v) + bottom * v;
  };
}

function fade(t: number): number {
  return t * t * t * (t * (6 * t - 15) + 10);
}
