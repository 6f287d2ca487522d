import { sampleStandardDeviation } from 'simple-statistics';
import {
  formatBytes,
  formatCompact,
  formatDuration,
  formatFixed,
  formatInteger,
  formatProbability,
  formatSignificant,
} from './format.ts';
import { type Html, html } from './html.ts';
import type { ReportData, ScoredModel } from './types.ts';

/** False discovery rate at which a gene counts as significantly predicted. */
const FDR = 0.05;
const TOP_GENES = 10;

interface Column {
  heading: Html;
  cell: (scored: ScoredModel) => Html | string;
  /** Sort value for marking the best entry, and which end of it is good. */
  best?: { value: (scored: ScoredModel) => number; prefer: 'high' | 'low' };
}

/** A table with a row per model; the best of each scored column is bold when there is a choice. */
function modelTable(
  models: readonly ScoredModel[],
  rowName: (scored: ScoredModel) => string,
  columns: readonly Column[],
  foot?: Html,
): Html {
  const winners = columns.map(({ best }) => {
    if (!best || models.length < 2) return Number.NaN;
    const values = models.map(best.value).filter((value) => !Number.isNaN(value));
    return best.prefer === 'high' ? Math.max(...values) : Math.min(...values);
  });
  const row = (scored: ScoredModel): Html =>
    html`<tr><th scope="row">${rowName(scored)}</th>${columns.map(({ cell, best }, i) => {
      const content = cell(scored);
      return best && best.value(scored) === winners[i]
        ? html`<td><b>${content}</b></td>`
        : html`<td>${content}</td>`;
    })}</tr>`;
  return html`<div class="scroll"><table class="models">
<thead><tr><th scope="col">Model</th>${columns.map(({ heading }) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>${models.map(row)}</tbody>${foot}</table></div>`;
}

function meanWithSpread({ evaluation }: ScoredModel): Html {
  const folds = evaluation.folds.map((fold) => fold.meanPearson).filter((r) => !Number.isNaN(r));
  const spread =
    folds.length < 2
      ? undefined
      : html`<span class="spread"> ± ${formatFixed(sampleStandardDeviation(folds))}</span>`;
  return html`${formatFixed(evaluation.meanPearson)}${spread}`;
}

/** Table 1: scores of every model, and the reachable score of a simulated cohort as its last line. */
export function headlineTable(models: readonly ScoredModel[], reachable: number | undefined): Html {
  const columns: Column[] = [
    {
      heading: html`Mean&nbsp;<i>r</i>`,
      cell: meanWithSpread,
      best: { value: ({ evaluation }) => evaluation.meanPearson, prefer: 'high' },
    },
    ...(onlyPooled(models) ? [pooledColumn] : []),
    {
      heading: html`<span class="nowrap">Genes with</span> <span class="nowrap"><i>r</i> &gt; 0.4</span>`,
      cell: ({ evaluation }) =>
        formatInteger(evaluation.scoredGenes > 0 ? evaluation.genesAbove : Number.NaN),
      best: {
        value: ({ evaluation }) =>
          evaluation.scoredGenes > 0 ? evaluation.genesAbove : Number.NaN,
        prefer: 'high',
      },
    },
    {
      heading: html`<span class="nowrap">Genes with</span> <span class="nowrap"><i>q</i> &lt; ${String(FDR)}</span>`,
      cell: ({ evaluation }) => formatInteger(significantGenes(evaluation.pooled)),
      best: { value: ({ evaluation }) => significantGenes(evaluation.pooled), prefer: 'high' },
    },
    {
      heading: html`PAM50 mean&nbsp;<i>r</i>`,
      cell: ({ evaluation }) => formatFixed(evaluation.pam50.meanPearson),
      best: { value: ({ evaluation }) => evaluation.pam50.meanPearson, prefer: 'high' },
    },
    {
      heading: html`MSE`,
      cell: ({ evaluation }) => formatSignificant(evaluation.mse),
      best: { value: ({ evaluation }) => evaluation.mse, prefer: 'low' },
    },
    {
      heading: html`Parameters per model`,
      cell: ({ model }) => formatCompact(model.parameters),
    },
    // A model that came trained took no time here.
    ...(trainedHere(models) ? [trainingTime] : []),
  ];
  const empty = columns.slice(1).map(() => html`<td></td>`);
  const foot =
    reachable === undefined
      ? undefined
      : html`<tfoot><tr><th scope="row">Reachable score</th><td>${formatFixed(reachable)}</td>${empty}</tr></tfoot>`;
  return modelTable(models, ({ label }) => label, columns, foot);
}

/** True where no fold has enough slides for a score of its own, as in leave-one-slide-out. */
export function onlyPooled(models: readonly ScoredModel[]): boolean {
  return models.every(({ evaluation }) => evaluation.scoredGenes === 0);
}

const pooledColumn: Column = {
  heading: html`Pooled&nbsp;<i>r</i>`,
  cell: ({ evaluation }) => formatFixed(evaluation.pooled.meanPearson),
  best: { value: ({ evaluation }) => evaluation.pooled.meanPearson, prefer: 'high' },
};

/** Genes predicted better than chance: positive pooled correlation with a BH q-value below 0.05. */
function significantGenes({ pearson, q }: ScoredModel['evaluation']['pooled']): number {
  return q.reduce((count, value, g) => (value < FDR && pearson[g]! > 0 ? count + 1 : count), 0);
}

/** False where models were only evaluated. */
export function trainedHere(models: readonly ScoredModel[]): boolean {
  return models.some(({ model }) => model.modelsTrained > 0);
}

const trainingTime: Column = {
  heading: html`Training time`,
  cell: ({ model }) => formatDuration(model.seconds),
};

/** Cost of each model under its gene regime. */
export function costTable(models: readonly ScoredModel[], genes: number): Html {
  return modelTable(models, ({ model }) => model.name, [
    { heading: html`Genes per model`, cell: ({ model }) => model.regime },
    { heading: html`Models trained`, cell: ({ model }) => formatInteger(model.modelsTrained) },
    { heading: html`Parameters per model`, cell: ({ model }) => formatCompact(model.parameters) },
    trainingTime,
    {
      heading: html`<span class="nowrap">Training time</span> per gene`,
      cell: ({ model }) => formatDuration(model.seconds / genes),
    },
    ...(models.some(({ model }) => model.skippedSteps !== undefined)
      ? [
          {
            heading: html`Steps left out <span class="nowrap">(mixed precision)</span>`,
            cell: ({ model }: ScoredModel) =>
              model.skippedSteps === undefined ? '–' : formatInteger(model.skippedSteps),
          },
        ]
      : []),
    { heading: html`Peak GPU memory`, cell: ({ model }) => formatBytes(model.peakBytes) },
    {
      heading: html`Mean&nbsp;<i>r</i>`,
      cell: ({ evaluation }) => formatFixed(evaluation.meanPearson),
    },
  ]);
}

/** PAM50 gene x model correlations, shaded by value; `undefined` where the table has none of the genes. */
export function pam50Table(models: readonly ScoredModel[]): Html | undefined {
  const genes = models[0]!.evaluation.pam50.present;
  if (genes.length === 0) return undefined;
  const half = models.length <= 5 && genes.length > 12 ? Math.ceil(genes.length / 2) : genes.length;
  const block = (start: number): Html => html`<table class="pam50">
<thead><tr><th scope="col">Gene</th>${models.map(({ label }) => html`<th scope="col">${label}</th>`)}</tr></thead>
<tbody>${genes
    .slice(start, start + half)
    .map(
      ({ symbol }, i) =>
        html`<tr><th scope="row"><i>${symbol}</i></th>${models.map(({ evaluation }) =>
          shaded(evaluation.pam50.present[start + i]!.pearson),
        )}</tr>`,
    )}</tbody></table>`;
  return html`<div class="scroll blocks">${block(0)}${half < genes.length ? block(half) : undefined}</div>`;
}

function shaded(r: number): Html {
  if (Number.isNaN(r)) return html`<td>${formatFixed(r)}</td>`;
  const tone = r >= 0 ? 'positive' : 'negative';
  return html`<td class="${tone}" style="--r:${Math.abs(r).toFixed(2)}">${formatFixed(r, 2)}</td>`;
}

/** The genes that a model predicts best, with their significance. */
export function topGenesTable({ evaluation }: ScoredModel, genes: readonly string[]): Html {
  const top = [...evaluation.pearson.keys()]
    .filter((g) => !Number.isNaN(evaluation.pearson[g]!))
    .sort((a, b) => evaluation.pearson[b]! - evaluation.pearson[a]!)
    .slice(0, TOP_GENES);
  return html`<div class="scroll"><table>
<thead><tr><th scope="col">Gene</th><th scope="col">Mean <i>r</i></th><th scope="col">Lowest fold</th><th scope="col">Highest fold</th><th scope="col">Pooled <i>r</i></th><th scope="col"><i>p</i></th><th scope="col"><i>q</i></th></tr></thead>
<tbody>${top.map((g) => {
    const folds = evaluation.folds.map((fold) => fold.pearson[g]!).filter((r) => !Number.isNaN(r));
    const { pooled } = evaluation;
    const cells = [
      formatFixed(evaluation.pearson[g]!),
      formatFixed(Math.min(...folds)),
      formatFixed(Math.max(...folds)),
      formatFixed(pooled.pearson[g]!),
      formatProbability(pooled.p[g]!),
      formatProbability(pooled.q[g]!),
    ];
    return html`<tr><th scope="row"><i>${genes[g]}</i></th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  })}</tbody></table></div>`;
}

/** Two columns of names and values, for the environment and the configuration. */
export function listTable(entries: readonly (readonly [string, string])[]): Html {
  return html`<div class="scroll"><table class="list"><tbody>${entries.map(
    ([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`,
  )}</tbody></table></div>`;
}

/** Dotted path and value of every leaf: `optimiser.learningRate`, `0.0001`. */
export function flattenConfig(config: ReportData['config']): [string, string][] {
  return Object.entries(config).flatMap(([name, value]): [string, string][] => {
    if (value === undefined) return [];
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      const inner = flattenConfig(Object.fromEntries(Object.entries(value)));
      return inner.map(([path, leaf]) => [`${name}.${path}`, leaf]);
    }
    return [[name, leafText(value)]];
  });
}

function leafText(value: unknown): string {
  if (typeof value === 'string') return value;
  const scalars = Array.isArray(value) && value.every((item) => typeof item !== 'object');
  return scalars ? value.join(', ') : (JSON.stringify(value) ?? String(value));
}
