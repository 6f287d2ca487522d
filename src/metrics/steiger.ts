import { HistogradError } from '../errors.ts';
import { studentTwoSided } from './student-t.ts';

/** Correlations of three variables measured on the same `n` samples, `x` being the shared one. */
interface DependentCorrelations {
  /** corr(x, y), e.g. truth and prediction. */
  xy: number;
  /** corr(x, z), e.g. truth and the prediction of an untrained model. */
  xz: number;
  /** corr(y, z), the two predictions. */
  yz: number;
  n: number;
}

/**
 * Does x correlate better with y than with z? Williams' t, the form recommended by Steiger (Psychological
 * Bulletin 87, 1980, equation 7) and used by SEQUOIA and PRALINE:
 *
 *   t = (xy - xz) sqrt( (n-1)(1+yz) / ( 2 (n-1)/(n-3) |R| + ((xy+xz)/2)² (1-yz)³ ) ),
 *   |R| = 1 - xy² - xz² - yz² + 2 xy xz yz, with n - 3 degrees of freedom.
 *
 * Returns `t`, positive when xy > xz, and `p`, the one-tailed P(T >= |t|): like the published code it does
 * not look at the sign, so ask for `t > 0` as well. p = 0.5 where xy = xz; NaN where a correlation is NaN.
 * Throws `metrics-steiger` for n < 4 or a correlation outside [-1, 1].
 */
export function steigerTest({ xy, xz, yz, n }: DependentCorrelations): { t: number; p: number } {
  if (!Number.isInteger(n) || n < 4) {
    throw new HistogradError(
      'metrics-steiger',
      `steigerTest: at least 4 samples are needed (n - 3 degrees of freedom), found n = ${n}.`,
      'Pool the test slides of all folds, or leave the test out.',
    );
  }
  for (const [name, r] of Object.entries({ xy, xz, yz })) {
    if (Math.abs(r) > 1) {
      throw new HistogradError(
        'metrics-steiger',
        `steigerTest: ${name} must be a correlation in [-1, 1], found ${r}.`,
        'Pass Pearson correlations.',
      );
    }
  }
  const difference = xy - xz;
  // Also covers y = z, where numerator and denominator both vanish.
  if (difference === 0 && !Number.isNaN(yz)) return { t: 0, p: 0.5 };
  const determinant = 1 - xy * xy - xz * xz - yz * yz + 2 * xy * xz * yz;
  const average = (xy + xz) / 2;
  const denominator = ((2 * (n - 1)) / (n - 3)) * determinant + average * average * (1 - yz) ** 3;
  const t = difference * Math.sqrt(((n - 1) * (1 + yz)) / denominator);
  return { t, p: studentTwoSided(t, n - 3) / 2 };
}
