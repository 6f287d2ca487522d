/** Resampling as PIL does it, and PyTorch and timm with `antialias`: a filter that widens where images shrink. */

type Filter = 'bilinear' | 'bicubic';

const FILTERS: Record<Filter, { reach: number; at: (x: number) => number }> = {
  bilinear: { reach: 1, at: (x) => 1 - Math.abs(x) },
  bicubic: { reach: 2, at: keys },
};

/** Keys' cubic with a = −0.5, PIL's; PyTorch takes it here too, and −0.75 without antialiasing. */
function keys(x: number): number {
  const s = Math.abs(x);
  return s < 1 ? (1.5 * s - 2.5) * s * s + 1 : ((-0.5 * s + 2.5) * s - 4) * s + 2;
}

/** Which of n pixels each of m reads, with its weights, which add up to 1. */
export function antialiasTaps(
  filter: Filter,
  n: number,
  m: number,
): (output: number) => [index: number, weight: number][] {
  const { reach, at } = FILTERS[filter];
  const scale = n / m;
  const widening = Math.max(scale, 1);
  const support = reach * widening;
  return (output) => {
    const centre = scale * (output + 0.5);
    const first = Math.max(Math.floor(centre - support + 0.5), 0);
    const end = Math.min(Math.floor(centre + support + 0.5), n);
    const taps = Array.from({ length: end - first }, (_, i): [number, number] => {
      const distance = (first + i + 0.5 - centre) / widening;
      return [first + i, Math.abs(distance) < reach ? at(distance) : 0];
    });
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([index, weight]) => [index, weight / total]);
  };
}
