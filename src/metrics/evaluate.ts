import { HistogradError } from '../errors.ts';
import { benjaminiHochberg } from './fdr.ts';
import { findPam50 } from './pam50.ts';
import { pearsonColumns, pearsonPValue } from './pearson.ts';

/** Test-set expression of one cross-validation fold; `observed` and `predicted` are row-major `[n, G]`. */
export interface FoldPredictions {
  name: string;
  /** Names of the n test slides. */
  slides: readonly string[];
  observed: Float32Array;
  predicted: Float32Array;
}

interface FoldScores {
  name: string;
  slides: number;
  /** `[G]`; NaN where undefined (see {@link evaluatePredictions}). */
  pearson: Float64Array;
  /** Mean over the genes with a defined correlation; NaN if there are none. */
  meanPearson: number;
}

export interface Evaluation {
  folds: FoldScores[];
  /** `[G]`: mean over the folds where the gene's correlation is defined; NaN if there are none. */
  pearson: Float64Array;
  /**
   * `[G]` each: the correlation over the slides of all folds together, its p-value and BH q-value; and the mean of
   * that correlation over genes, the only score where folds have fewer than 3 slides (leave one slide out).
   */
  pooled: { pearson: Float64Array; p: Float64Array; q: Float64Array; meanPearson: number };
  /** Mean of `pearson` over the genes where it is defined; NaN if there are none. */
  meanPearson: number;
  /** Number of genes with a defined `pearson`. */
  scoredGenes: number;
  /** Number of genes with `pearson` > 0.4. */
  genesAbove: number;
  pam50: {
    /** Mean of `pearson` over the PAM50 genes present; NaN if there are none. */
    meanPearson: number;
    present: { symbol: string; column: number; pearson: number }[];
    missing: string[];
  };
  /** Over all slides and genes, in squared units of expression, and in units of expression. */
  mse: number;
  mae: number;
}

/** The correlation above which Gustafsson & Rantalainen count a gene as predicted. */
export const PEARSON_THRESHOLD = 0.4;
/** With two samples every correlation is -1 or 1, so a fold needs three to say anything. */
const MIN_SLIDES = 3;

function nanMean(values: Iterable<number>): number {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return sum / count;
}

/**
 * Scores predicted expression as Gustafsson & Rantalainen do (arXiv 2410.00945): Pearson's correlation per
 * gene over the test slides of a fold, averaged over the folds; then the mean over genes, the number of genes
 * above 0.4 and the mean over the PAM50 genes.
 *
 * Undefined correlations: a gene whose truth is constant in a fold, or a fold of fewer than 3 slides, gives NaN and
 * is left out of means, for no model could score there. A constant *prediction* scores 0: it says nothing about the
 * slides, and leaving it out would reward a model for collapsing. The pooled correlation (all folds
 * together, with its p and q) also sees differences between folds: read it as a test, not as the score.
 *
 * Throws `metrics-empty` (no genes, no folds or no slides), `metrics-shape`, `metrics-non-finite`.
 */
export function evaluatePredictions(input: {
  genes: readonly string[];
  folds: readonly FoldPredictions[];
}): Evaluation {
  const { genes, folds } = input;
  requireValid(genes, folds);
  const G = genes.length;

  const scored = folds.map((fold): FoldScores => {
    const r = scoreColumns(fold.observed, fold.predicted, fold.slides.length, G);
    return { name: fold.name, slides: fold.slides.length, pearson: r, meanPearson: nanMean(r) };
  });
  const mean = Float64Array.from(genes, (_, g) => nanMean(scored.map((fold) => fold.pearson[g]!)));

  const observed = concatenate(folds.map((fold) => fold.observed));
  const predicted = concatenate(folds.map((fold) => fold.predicted));
  const n = observed.length / G;
  const pooled = scoreColumns(observed, predicted, n, G);
  const p = pooled.map((r) => pearsonPValue(r, n));

  const pam50 = findPam50(genes);
  const present = pam50.present.map((gene) => ({ ...gene, pearson: mean[gene.column]! }));
  return {
    folds: scored,
    pearson: mean,
    pooled: {
      pearson: pooled,
      p,
      q: benjaminiHochberg(p),
      meanPearson: nanMean(pooled),
    },
    meanPearson: nanMean(mean),
    scoredGenes: mean.reduce((count, r) => (Number.isNaN(r) ? count : count + 1), 0),
    genesAbove: mean.reduce((count, r) => (r > PEARSON_THRESHOLD ? count + 1 : count), 0),
    pam50: {
      meanPearson: nanMean(present.map((gene) => gene.pearson)),
      present,
      missing: pam50.missing,
    },
    ...errors(observed, predicted),
  };
}

/** Per-gene correlation under the rules for undefined values given at {@link evaluatePredictions}. */
function scoreColumns(
  observed: Float32Array,
  predicted: Float32Array,
  n: number,
  G: number,
): Float64Array {
  if (n < MIN_SLIDES) return new Float64Array(G).fill(Number.NaN);
  const r = pearsonColumns(observed, predicted, G);
  for (let g = 0; g < G; g++) {
    if (Number.isNaN(r[g]!) && varies(observed, g, G)) r[g] = 0;
  }
  return r;
}

function varies(values: Float32Array, column: number, G: number): boolean {
  for (let i = column; i < values.length; i += G) if (values[i] !== values[column]) return true;
  return false;
}

function errors(observed: Float32Array, predicted: Float32Array): { mse: number; mae: number } {
  let squared = 0;
  let absolute = 0;
  for (let i = 0; i < observed.length; i++) {
    const error = predicted[i]! - observed[i]!;
    squared += error * error;
    absolute += Math.abs(error);
  }
  return { mse: squared / observed.length, mae: absolute / observed.length };
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const only = parts[0];
  if (only && parts.length === 1) return only;
  const all = new Float32Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

function requireValid(genes: readonly string[], folds: readonly FoldPredictions[]): void {
  if (genes.length === 0 || folds.every((fold) => fold.slides.length === 0)) {
    throw new HistogradError(
      'metrics-empty',
      `evaluatePredictions: nothing to score, found ${genes.length} genes and ${folds.length} folds ` +
        `with ${folds.reduce((n, fold) => n + fold.slides.length, 0)} slides.`,
      'Pass at least one gene and one fold with test slides.',
    );
  }
  for (const fold of folds) {
    const expected = fold.slides.length * genes.length;
    for (const [what, values] of [
      ['observed', fold.observed],
      ['predicted', fold.predicted],
    ] as const) {
      if (values.length !== expected) {
        throw new HistogradError(
          'metrics-shape',
          `Fold "${fold.name}": ${what} must hold ${fold.slides.length} slides x ${genes.length} genes = ` +
            `${expected} values, found ${values.length}.`,
          'Pass row-major matrices [slides, genes] in the order of the slide and gene names.',
        );
      }
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) {
        const slide = fold.slides[Math.floor(bad / genes.length)];
        throw new HistogradError(
          'metrics-non-finite',
          `Fold "${fold.name}": ${what} expression of gene "${genes[bad % genes.length]}" in slide ` +
            `"${slide}" is ${values[bad]}.`,
          what === 'observed'
            ? 'Remove or impute missing expression values before scoring.'
            : 'The model diverged: lower the learning rate, or evaluate an earlier checkpoint.',
        );
      }
    }
  }
}
