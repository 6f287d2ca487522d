import { HistogradError } from '../errors.ts';
import { pearsonColumns } from './pearson.ts';

export interface SectionScores {
  /** Mean over all genes of `perGene`, genes without a score left out. */
  readonly mean: number;
  /** Pearson's r within a section, averaged over the sections where it exists; NaN where it exists in none. */
  readonly perGene: Float64Array;
  /** Mean over genes of each section. */
  readonly perSection: Float64Array;
}

/**
 * How well expression is predicted from spot to spot: Pearson's r of every gene over the spots of one section, never over
 * spots of several. Differences between sections (staining, library size), which say nothing about a prediction within a
 * tissue, can so neither help nor hurt.
 *
 * @param predicted [spots, genes] row-major, section after section
 * @param measured the same spots and genes
 * @param spots number of spots of each section
 * @throws HistogradError `metrics-shape` when the values do not fill the sections
 */
export function withinSections(
  predicted: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> },
  measured: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> },
  genes: number,
  spots: readonly number[],
): SectionScores {
  const expected = spots.reduce((sum, count) => sum + count, 0) * genes;
  if (predicted.length !== expected || measured.length !== expected || expected === 0) {
    throw new HistogradError(
      'metrics-shape',
      `withinSections: expected ${expected} values for sections of ${spots.join(' + ')} spots and ${genes} genes, found ${predicted.length} and ${measured.length}.`,
      'Pass both matrices [spots, genes], all sections one after another.',
    );
  }
  let from = 0;
  const scores = spots.map((count) => {
    const to = from + count * genes;
    const r = pearsonColumns(predicted.subarray(from, to), measured.subarray(from, to), genes);
    from = to;
    return r;
  });
  const perGene = Float64Array.from({ length: genes }, (_, g) => meanOf(scores.map((r) => r[g]!)));
  return {
    mean: meanOf(perGene),
    perGene,
    perSection: Float64Array.from(scores, (r) => meanOf(r)),
  };
}

/** Of the values that are numbers; NaN where there are none. */
function meanOf(values: Iterable<number>): number {
  const known = [...values].filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
