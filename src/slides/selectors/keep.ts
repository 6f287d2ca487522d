/** Which tiles to keep, given a score each. */
import { HistogradError } from '../../errors.ts';

/** One of: */
export type KeepRule =
  /** Scores of at least this (for Shannon selection: bits; the paper's best is 1.6e6). */
  | { readonly above: number }
  /** Scores of at least this many units per pixel of a tile (for Shannon selection: bits per pixel). */
  | { readonly abovePerPixel: number }
  /** Scores of at least the mean plus this many standard deviations; 1 is the paper's `mu + sigma`. */
  | { readonly sigmas: number }
  /** The highest scores: this fraction (0..1) of the tiles, rounded, at least one. Ties go to the earlier tile. */
  | { readonly fraction: number };

/**
 * Applies a rule to the scores of a slide's tiles.
 *
 * @param pixels pixels per tile
 * @returns `kept`, the positions of the tiles kept, ascending, and the lowest score that is kept
 *   (the threshold; infinite when there are no tiles)
 * @throws HistogradError `keep-rule` when the rule is out of range, `scores` when a score is not finite
 */
export function keepTiles(
  scores: Float64Array,
  rule: KeepRule,
  pixels: number,
): { kept: number[]; threshold: number } {
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad >= 0) {
    throw new HistogradError(
      'scores',
      `keepTiles: the score of tile ${bad} is ${scores[bad]}, expected a finite number.`,
      'Check the tile that this score was computed from.',
    );
  }
  checkKeepRule(rule);
  if ('fraction' in rule) return keepFraction(scores, rule.fraction);
  const threshold = thresholdOf(scores, rule, pixels);
  const kept = [...scores.keys()].filter((i) => scores[i]! >= threshold);
  return { kept, threshold };
}

/** @throws HistogradError `keep-rule` when the rule is out of range */
export function checkKeepRule(rule: KeepRule): void {
  for (const [name, value] of Object.entries(rule)) {
    const share = name === 'fraction';
    if (share ? value > 0 && value <= 1 : Number.isFinite(value)) continue;
    throw ruleError(name, value, share ? 'above 0, at most 1' : 'a finite number');
  }
}

function thresholdOf(
  scores: Float64Array,
  rule: Exclude<KeepRule, { fraction: number }>,
  pixels: number,
): number {
  if ('above' in rule) return rule.above;
  if ('abovePerPixel' in rule) return rule.abovePerPixel * pixels;
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const squares = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
  return scores.length > 0 ? mean + rule.sigmas * Math.sqrt(squares) : Number.POSITIVE_INFINITY;
}

function keepFraction(scores: Float64Array, fraction: number) {
  if (scores.length === 0) return { kept: [], threshold: Number.POSITIVE_INFINITY };
  const count = Math.max(1, Math.round(fraction * scores.length));
  const best = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
  const threshold = scores[best.at(-1)!]!;
  return { kept: best.sort((a, b) => a - b), threshold };
}

function ruleError(name: string, found: unknown, expected: string): HistogradError {
  return new HistogradError(
    'keep-rule',
    `Rule for keeping tiles: ${name} is ${String(found)}, expected ${expected}.`,
    'Give one of above, abovePerPixel, sigmas or fraction.',
  );
}
