export interface Schedule {
  kind: 'constant' | 'cosine';
  /** Steps over which the rate rises linearly from 0. */
  warmupSteps: number;
  totalSteps: number;
  /** Fraction of the base rate at the end of the cosine. */
  floor: number;
}

/** The factor on the base learning rate at `step` (from 0): linear warm-up, then constant or a half cosine. */
export function scheduleFactor(
  { kind, warmupSteps, totalSteps, floor }: Schedule,
  step: number,
): number {
  if (step < warmupSteps) return (step + 1) / warmupSteps;
  if (kind === 'constant') return 1;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  return floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
}
