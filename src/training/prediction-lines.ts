/** Predictions as text: `predictions.csv`. */
import Papa from 'papaparse';
import type { ReportData } from '../report/types.ts';

/** The name of the truth among the models. */
export const OBSERVED = 'observed';

/** Lines of `predictions.csv`: model, fold, slide, then a column per gene; the model `observed` is the truth. */
export function* predictionLines({
  genes,
  models,
}: Pick<ReportData, 'genes' | 'models'>): Generator<string> {
  yield csvLine(['model', 'fold', 'slide', ...genes]);
  const truth = models[0]?.folds ?? [];
  for (const { name, slides, observed } of truth) yield* rows(OBSERVED, name, slides, observed);
  for (const model of models) {
    for (const { name, slides, predicted } of model.folds)
      yield* rows(model.name, name, slides, predicted);
  }
}

function* rows(
  model: string,
  fold: string,
  slides: readonly string[],
  values: Float32Array,
): Generator<string> {
  const genes = values.length / slides.length;
  for (const [i, slide] of slides.entries()) {
    // Nine digits give every float32 back exactly.
    const numbers = Array.from(
      values.subarray(i * genes, (i + 1) * genes),
      (v) => +v.toPrecision(9),
    );
    yield csvLine([model, fold, slide, ...numbers]);
  }
}

/** Cells of a CSV line, quoted where they must be. */
export function csvLine(cells: readonly (string | number)[]): string {
  return `${Papa.unparse([cells.map(String)])}\n`;
}
