/** The scores of a run for a terminal. */
import type { ExpressionTransform } from '../data/expression-transform.ts';
import { formatCount, formatDuration, formatSignificant } from '../report/format.ts';
import type { RunSummary } from '../training/run-results.ts';
import { table } from './progress.ts';

/** The unit of transformed expression, in words. */
export function unitOf(transform: ExpressionTransform): string {
  return transform === 'none' ? 'expression' : `${transform}(1 + expression)`;
}

/** The scores as a table, with the reachable one where it is known. */
export function scoreTable({ models, genes, simulated }: RunSummary): string {
  const number = (value: number | null) => (value === null ? '-' : value.toFixed(3));
  const pam50 = models.some(({ scores }) => scores.pam50MeanPearson !== null);
  // A model that came trained took no time here.
  const trained = models.some(({ modelsTrained }) => modelsTrained > 0);
  const pooled = models.every(({ scores }) => scores.meanPearson === null);
  const rows = models.map(({ name, scores, seconds }) => [
    name,
    number(pooled ? scores.pooledMeanPearson : scores.meanPearson),
    `${scores.genesAbove04} of ${genes}`,
    ...(pam50 ? [number(scores.pam50MeanPearson)] : []),
    formatSignificant(scores.mse),
    ...(trained ? [formatDuration(seconds)] : []),
  ]);
  if (simulated) {
    const first = ['Reachable (simulated)', number(simulated.reachableMeanPearson)];
    rows.push([...first, ...(rows[0] ?? []).slice(2).map(() => '')]);
  }
  const head = [
    'Model',
    pooled ? 'Pooled Pearson' : 'Mean Pearson',
    'r > 0.4',
    ...(pam50 ? ['PAM50'] : []),
    'MSE',
    ...(trained ? ['Training time'] : []),
  ];
  return table([head, ...rows]);
}

/** What has to be said of the scores, a line each. */
export function scoreNotes({ models }: RunSummary): string[] {
  const lines: string[] = [];
  const [first] = models;
  const without = first?.scores.foldsWithoutPearson ?? [];
  const folds = first?.folds ?? 0;
  if (without.length > 0 && without.length < folds) {
    const named = without
      .slice(0, 5)
      .map(({ name, slides }) => `${name} has ${formatCount(slides, 'slide')}`);
    lines.push(
      `r over ${folds - without.length} of ${folds} folds: ${named.join(', ')}${without.length > 5 ? ', …' : ''}`,
    );
  }
  const baseline = first?.baselineMse;
  if (baseline !== undefined) {
    const worse = models.filter(({ scores }) => scores.mse > baseline).map(({ name }) => name);
    lines.push(
      `Predicting the training mean: MSE ${formatSignificant(baseline)}${worse.length > 0 ? `; worse than that: ${worse.join(', ')}` : ''}`,
    );
  }
  return lines;
}
