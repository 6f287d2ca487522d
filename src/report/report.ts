import { parseHTML } from 'linkedom';
import { HistogradError } from '../errors.ts';
import { evaluatePredictions } from '../metrics/evaluate.ts';
import { costFigure } from './figure-cost.ts';
import { scatterFigure } from './figure-scatter.ts';
import { distributionFigure, exceedanceFigure, scoreFigure } from './figures-scores.ts';
import { lossFigure, validationFigure } from './figures-training.ts';
import { formatCount, formatFixed, formatInteger, formatSignificant } from './format.ts';
import { type Html, html, trusted } from './html.ts';
import { legend, type PlotDocument, seriesStyle } from './plot.ts';
import { STYLES } from './styles.ts';
import {
  costTable,
  flattenConfig,
  headlineTable,
  listTable,
  onlyPooled,
  pam50Table,
  topGenesTable,
  trainedHere,
} from './tables.ts';
import type { ReportData, ScoredModel } from './types.ts';

/**
 * Renders the report of a run: one self-contained HTML file (inline SVG and CSS, no script, nothing loaded from
 * elsewhere) with light, dark and print styles. Scores come from `evaluatePredictions`; parts without data are left
 * out and said to be missing. Throws `report-no-models`, and what `evaluatePredictions` throws.
 */
export function renderReport(data: ReportData): string {
  if (data.models.length === 0) {
    throw new HistogradError(
      'report-no-models',
      'A report needs at least one model, found none.',
      'Train or evaluate a model first.',
    );
  }
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const models = scoreModels(data);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${data.title}</title>
<style>${trusted(STYLES)}</style>
</head>
<body>
<main>
${header(data, models)}
${body(document, data, models)}
</main>
</body>
</html>
`;
  return page.html;
}

/** Evaluates each model and gives it a label: its name, with the gene regime where that tells models apart. */
function scoreModels({ models, genes }: ReportData): ScoredModel[] {
  const severalRegimes = new Set(models.map((model) => model.regime)).size > 1;
  const used = new Map<string, number>();
  return models.map((model, i) => {
    const repeated = models.some((other) => other !== model && other.name === model.name);
    const label = severalRegimes && repeated ? `${model.name}, ${model.regime}` : model.name;
    const times = (used.get(label) ?? 0) + 1;
    used.set(label, times);
    return {
      model,
      label: times > 1 ? `${label} (${times})` : label,
      ...seriesStyle(i),
      evaluation: evaluatePredictions({ genes, folds: model.folds }),
    };
  });
}

function header(data: ReportData, models: readonly ScoredModel[]): Html {
  const { simulated } = data;
  const folds = models[0]!.evaluation.folds;
  const slides = folds.reduce((n, fold) => n + fold.slides, 0);
  const banner =
    simulated &&
    html`<aside class="banner"><b>Simulated data.</b> The scores below say that the software works; they say nothing about
real tissue.<p>${simulated.note} Reachable mean Pearson: ${formatFixed(simulated.reachableMeanPearson)}.</p></aside>`;
  return html`<header><h1>${data.title}</h1>
<p class="lead">${formatCount(models.length, 'model')}, ${formatCount(data.genes.length, 'gene')}, ${formatCount(slides, 'test slide')} in ${formatCount(folds.length, 'fold')}.</p></header>
${banner}`;
}

/** Numbers figures and tables in the order in which they appear. */
function numbering() {
  let figures = 0;
  let tables = 0;
  return {
    figure: (content: Html, caption: Html): Html => {
      figures++;
      return html`<figure>${content}<figcaption><b>Figure ${String(figures)}.</b> ${caption}</figcaption></figure>`;
    },
    table: (content: Html, caption: Html, note?: Html): Html => {
      tables++;
      return html`<figure class="table"><figcaption><b>Table ${String(tables)}.</b> ${caption}</figcaption>${content}${
        note && html`<p class="note">${note}</p>`
      }</figure>`;
    },
  };
}

function body(document: PlotDocument, data: ReportData, models: readonly ScoredModel[]): Html {
  const { figure, table } = numbering();
  const reachable = data.simulated?.reachableMeanPearson;
  const leader = models.reduce((best, next) =>
    next.evaluation.meanPearson > best.evaluation.meanPearson ||
    Number.isNaN(best.evaluation.meanPearson)
      ? next
      : best,
  );
  const severalFolds = models.some(
    ({ evaluation }) =>
      evaluation.folds.filter((fold) => !Number.isNaN(fold.meanPearson)).length > 1,
  );
  const dashed =
    reachable === undefined
      ? undefined
      : html` Dashed line: the score that the simulation makes reachable.`;

  const scores = html`<h2>Scores</h2>
${table(
  headlineTable(models, reachable),
  html`Test scores by model${severalFolds ? ' (mean ± standard deviation over folds)' : ''}.`,
  scoreNote(models, data.genes.length),
)}
${
  onlyPooled(models)
    ? undefined
    : figure(
        scoreFigure(document, models, reachable),
        html`Mean Pearson correlation over genes${severalFolds ? ': dots, mean over folds; rings, single folds' : ''}.${dashed}`,
      )
}`;

  return html`${scores}
${training(document, models, reachable, figure)}
${genes(document, data, models, leader, { figure, table })}
${cost(document, data, models, reachable, { figure, table })}
<h2>Reproduce</h2>
<pre><code>${data.command}</code></pre>
${table(listTable(Object.entries(data.environment)), html`Environment.`)}
${table(listTable(flattenConfig(data.config)), html`Configuration.`)}
${methods()}`;
}

type Numbering = ReturnType<typeof numbering>;

function scoreNote(models: readonly ScoredModel[], genes: number): Html {
  const { evaluation, model } = models[0]!;
  const without = evaluation.folds.filter((fold) => Number.isNaN(fold.meanPearson));
  const dropped =
    without.length > 0 && !onlyPooled(models)
      ? html` <i>r</i> over ${String(evaluation.folds.length - without.length)} of ${formatCount(evaluation.folds.length, 'fold')}: ${without
          .map(({ name, slides }) => `${name} has ${formatCount(slides, 'slide')}`)
          .join(', ')}.`
      : undefined;
  const baseline =
    model.baselineMse === undefined
      ? undefined
      : html` Predicting the training mean has an MSE of ${formatSignificant(model.baselineMse)}.`;
  const unscored = genes - evaluation.scoredGenes;
  const present = evaluation.pam50.present.length;
  const pooled = onlyPooled(models)
    ? html` No fold has three test slides with varying expression, so there is no score per fold: pooled <i>r</i> is the mean over genes of the correlation over the test slides of all folds together.`
    : undefined;
  return html`${models.length > 1 ? 'Best of each column in bold. ' : undefined}<i>q</i>: Benjamini–Hochberg, pooled test slides, positive correlations only. PAM50: ${
    present === 0 ? 'none of its genes is in the table' : `${present} of 50 genes in the table`
  }.${pooled}${dropped}${baseline}${
    unscored > 0 && unscored < genes
      ? ` ${formatCount(unscored, 'gene')} of ${formatInteger(genes)} without a defined correlation ${unscored === 1 ? 'is' : 'are'} left out of means.`
      : undefined
  }`;
}

function training(
  document: PlotDocument,
  models: readonly ScoredModel[],
  reachable: number | undefined,
  figure: Numbering['figure'],
): Html {
  const loss = lossFigure(document, models);
  if (!loss) {
    return html`<h2>Training</h2><p class="missing">No training curves were recorded.</p>`;
  }
  const validation = validationFigure(document, models, reachable);
  return html`<h2>Training</h2>
${figure(
  loss.content,
  html`Loss during training: grey, training slides; colour, validation slides${
    loss.hasValidation ? undefined : ' (none recorded)'
  }.${loss.severalFolds ? ' Thin lines: single folds; thick line: their mean.' : undefined}${
    loss.without.length > 0 ? ` Not trained by steps: ${loss.without.join(', ')}.` : undefined
  }`,
)}
${
  validation &&
  figure(
    html`${seriesLegend(validation.models, 'line')}${validation.content}`,
    html`Mean Pearson correlation on validation slides during training.${
      loss.severalFolds ? ' Thin lines: single folds; thick line: their mean.' : undefined
    }`,
  )
}`;
}

function genes(
  document: PlotDocument,
  data: ReportData,
  models: readonly ScoredModel[],
  leader: ScoredModel,
  { figure, table }: Numbering,
): Html {
  const exceedance = exceedanceFigure(document, models);
  const scatter = scatterFigure(document, leader, data);
  const pam50 = pam50Table(models);
  const missing = leader.evaluation.pam50.missing;
  return html`<h2>Genes</h2>
${figure(
  distributionFigure(document, models),
  html`Per-gene Pearson correlation by model. Solid line: mean; dashed line: <i>r</i> = 0.4.`,
)}
${
  exceedance &&
  figure(
    html`${seriesLegend(models, 'line')}${exceedance}`,
    html`Number of genes predicted above a correlation. Dashed line: <i>r</i> = 0.4, the count given in Table 1.`,
  )
}
${
  scatter &&
  figure(
    scatter.content,
    html`Observed and predicted expression by ${leader.label}, one dot per test slide, coloured by fold${
      scatter.drawn < scatter.slides
        ? ` (${formatInteger(scatter.drawn)} of ${formatInteger(scatter.slides)} slides drawn)`
        : undefined
    }. Dashed line: prediction equal to observation.`,
  )
}
${
  scatter &&
  table(
    topGenesTable(leader, data.genes),
    html`The best predicted genes of ${leader.label}.`,
    html`Mean, lowest and highest <i>r</i> over folds; pooled <i>r</i>, <i>p</i> and <i>q</i> over the test slides of all folds together.`,
  )
}
${
  pam50
    ? table(
        pam50,
        html`Pearson correlation of the PAM50 genes, mean over folds.`,
        missing.length > 0 ? html`Not in the expression table: ${missing.join(', ')}.` : undefined,
      )
    : html`<p class="missing">None of the PAM50 genes is in the expression table, so there is no PAM50 score.</p>`
}`;
}

function cost(
  document: PlotDocument,
  data: ReportData,
  models: readonly ScoredModel[],
  reachable: number | undefined,
  { figure, table }: Numbering,
): Html | undefined {
  if (!trainedHere(models)) return undefined;
  const drawn = costFigure(document, models, reachable);
  return html`<h2>Cost</h2>
${table(
  costTable(models, data.genes.length),
  html`Cost of each model and way of splitting genes over models.`,
  html`Models trained counts every fold and gene chunk; training time is their sum, with validation, without predicting the test slides.`,
)}
${
  drawn &&
  figure(
    html`${seriesLegend(drawn.models, 'dot')}${drawn.content}`,
    html`Training time and score.${reachable === undefined ? undefined : ' Dashed line: the reachable score.'}`,
  )
}`;
}

function seriesLegend(models: readonly ScoredModel[], mark: 'line' | 'dot'): Html {
  return legend(models.map(({ label, colour, dash }) => ({ label, colour, dash, mark })));
}

function methods(): Html {
  return html`<footer>Pearson’s correlation is computed per gene over the test slides of a fold and averaged over folds, then over
genes. A gene that does not vary in a fold, and a fold of fewer than three slides, are left out; a prediction that does not vary
scores 0. <i>p</i>: two-sided, Student’s <i>t</i>. MSE: over all test slides and genes. Made with histograd.</footer>`;
}

export type { CurvePoint, ModelReport, ReportData } from './types.ts';
