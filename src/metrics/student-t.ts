import jstat from 'jstat';

/**
 * Two-sided tail probability of Student's t: P(|T| >= |t|) with `dof` degrees of freedom.
 *
 * Written as I_{dof / (dof + t²)}(dof / 2, 1 / 2), which keeps its relative precision far in the tail where
 * `1 - cdf(t)` is rounded to 0. NaN when `t` is NaN or `dof` is not positive.
 */
export function studentTwoSided(t: number, dof: number): number {
  if (Number.isNaN(t) || !(dof > 0)) return Number.NaN;
  if (!Number.isFinite(t)) return 0;
  if (t === 0) return 1;
  return Math.min(1, jstat.ibeta(dof / (dof + t * t), dof / 2, 0.5));
}
