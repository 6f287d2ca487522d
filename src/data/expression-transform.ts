/** What is done to expression values before a model sees them, and undone after. */
import { HistogradError } from '../errors.ts';
import type { ExpressionTable } from './expression-table.ts';

/** `log2`: log2(1 + x); `log10`: log10(1 + x); `none`: as they are. */
export type ExpressionTransform = (typeof TRANSFORMS)[number];

export const TRANSFORMS = ['log2', 'log10', 'none'] as const;

/**
 * The table with its values transformed.
 *
 * @param name the file's name, for error messages
 * @throws HistogradError `negative-expression` for a negative value under a logarithm: the table is transformed already
 */
export function transformExpression(
  table: ExpressionTable,
  transform: ExpressionTransform,
  name: string,
): ExpressionTable {
  if (transform === 'none') return table;
  const { samples, genes, values } = table;
  const at = values.findIndex((value) => value < 0);
  if (at >= 0) {
    const sample = samples[Math.floor(at / genes.length)];
    throw new HistogradError(
      'negative-expression',
      `${name}: sample ${sample}, gene ${genes[at % genes.length]} is ${values[at]}; ${transform}(1 + x) needs counts, x >= 0.`,
      "The table is probably transformed already: use the transform 'none'.",
    );
  }
  const scale = transform === 'log2' ? Math.LN2 : Math.LN10;
  return { samples, genes, values: values.map((value) => Math.log1p(value) / scale) };
}

/** Each gene's mean and standard deviation over the training rows. */
export interface ZScore {
  /** [genes] */
  readonly mean: Float32Array<ArrayBuffer>;
  /** [genes]; the population's (divisor n), 1 where the gene is constant. */
  readonly std: Float32Array<ArrayBuffer>;
}

/**
 * Fits a z-score on some rows of a [·, genes] matrix: the training rows only, or the test rows leak into the model.
 *
 * @throws HistogradError `no-rows` when `rows` is empty
 */
export function fitZScore(values: Float32Array, rows: readonly number[], genes: number): ZScore {
  if (rows.length === 0) {
    throw new HistogradError(
      'no-rows',
      'A z-score cannot be fitted on no rows.',
      'Give the split at least one training slide.',
    );
  }
  const mean = new Float32Array(genes);
  const std = new Float32Array(genes);
  for (let gene = 0; gene < genes; gene++) {
    const first = values[rows[0]! * genes + gene]!;
    let sum = 0;
    let constant = true;
    for (const row of rows) {
      const value = values[row * genes + gene]!;
      sum += value;
      constant &&= value === first;
    }
    // Twice through the data, in float64: the one-pass formula cancels for large means.
    const center = sum / rows.length;
    let squares = 0;
    for (const row of rows) squares += (values[row * genes + gene]! - center) ** 2;
    mean[gene] = center;
    const deviation = Math.fround(Math.sqrt(squares / rows.length));
    std[gene] = constant || deviation === 0 ? 1 : deviation;
  }
  return { mean, std };
}

/** (x - mean) / std for every value of a [·, genes] matrix. */
export function applyZScore(
  values: Float32Array,
  { mean, std }: ZScore,
): Float32Array<ArrayBuffer> {
  return mapColumns(values, mean.length, (value, gene) => (value - mean[gene]!) / std[gene]!);
}

/** Undoes `applyZScore`: x · std + mean. */
export function invertZScore(
  values: Float32Array,
  { mean, std }: ZScore,
): Float32Array<ArrayBuffer> {
  return mapColumns(values, mean.length, (value, gene) => value * std[gene]! + mean[gene]!);
}

function mapColumns(
  values: Float32Array,
  columns: number,
  change: (value: number, column: number) => number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = change(values[i]!, i % columns);
  return out;
}
