import * as Plot from '@observablehq/plot';
import { PEARSON_THRESHOLD } from '../metrics/evaluate.ts';
import { formatFixed } from './format.ts';
import { type Html, html } from './html.ts';
import {
  FULL_WIDTH,
  GRID,
  GUIDE,
  labelWidth,
  type PlotDocument,
  renderPlot,
  shortLabels,
} from './plot.ts';
import type { ScoredModel } from './types.ts';

const defined = (values: Iterable<number>): number[] =>
  [...values].filter((value) => !Number.isNaN(value));

/** Mean Pearson of every model: a dot for the mean, a ring for each fold, a line at the reachable score. */
export function scoreFigure(
  document: PlotDocument,
  models: readonly ScoredModel[],
  reachable: number | undefined,
): Html {
  const labels = shortLabels(models.map(({ label }) => label));
  const rows = models.map((model, i) => ({ ...model, label: labels[i]! }));
  const means = rows.filter(({ evaluation }) => !Number.isNaN(evaluation.meanPearson));
  const folds = rows.flatMap(({ evaluation, label, colour }) =>
    evaluation.folds.length < 2
      ? []
      : defined(evaluation.folds.map((fold) => fold.meanPearson)).map((r) => ({
          r,
          label,
          colour,
        })),
  );
  const values = [
    0,
    ...means.map(({ evaluation }) => evaluation.meanPearson),
    ...folds.map(({ r }) => r),
    ...(reachable === undefined ? [] : [reachable]),
  ];
  return renderPlot(document, 'Mean Pearson correlation of each model', {
    width: FULL_WIDTH,
    height: 76 + 32 * rows.length,
    marginLeft: labelWidth(labels),
    marginRight: 20,
    marginTop: 28,
    marginBottom: 40,
    x: {
      domain: [Math.min(...values), Math.max(0.1, ...values) * 1.06],
      label: 'Pearson r, mean over genes',
      labelAnchor: 'center',
      labelArrow: 'none',
      nice: true,
    },
    y: {
      domain: rows.map(({ label }) => label),
      label: null,
      tickSize: 0,
      type: 'point',
      padding: 0.6,
    },
    marks: [
      Plot.gridX(GRID),
      Plot.ruleX([0], { strokeOpacity: 0.5 }),
      ...(reachable === undefined
        ? []
        : [
            Plot.ruleX([reachable], GUIDE),
            Plot.text([reachable], {
              x: (x: number) => x,
              frameAnchor: 'top',
              dy: -16,
              text: () => `reachable ${formatFixed(reachable, 2)}`,
              fill: 'currentColor',
            }),
          ]),
      Plot.dot(folds, { x: 'r', y: 'label', stroke: 'colour', r: 3, strokeOpacity: 0.75 }),
      Plot.dot(means, {
        x: ({ evaluation }: ScoredModel) => evaluation.meanPearson,
        y: 'label',
        fill: 'colour',
        r: 5.5,
      }),
      Plot.text(means, {
        x: ({ evaluation }: ScoredModel) => evaluation.meanPearson,
        y: 'label',
        text: ({ evaluation }: ScoredModel) => formatFixed(evaluation.meanPearson),
        dy: -13,
        fill: 'currentColor',
        stroke: 'var(--plot-background, white)',
        strokeWidth: 4,
      }),
    ],
  });
}

/** Below this many genes each is drawn as a line; above, they are counted in bins. */
const FEW_GENES = 30;

/** Distribution of the per-gene Pearson correlation, one row per model, with its mean and the 0.4 threshold. */
export function distributionFigure(document: PlotDocument, models: readonly ScoredModel[]): Html {
  const labels = shortLabels(models.map(({ label }) => label));
  const scores = models.map(({ colour, evaluation }, i) => ({
    label: labels[i]!,
    colour,
    mean: evaluation.meanPearson,
    values: defined(evaluation.pearson),
  }));
  const count = Math.max(...scores.map(({ values }) => values.length));
  if (count === 0) {
    return html`<p class="missing">No gene has a defined correlation: every fold has fewer than three test slides,
or expression that does not vary.</p>`;
  }
  const few = count <= FEW_GENES;
  const width = count > 2000 ? 0.02 : count > 200 ? 0.04 : 0.1;
  const bins = few
    ? []
    : scores.flatMap(({ label, colour, values }) =>
        binned(values, width).map((bin) => ({ ...bin, label, colour })),
      );
  const all = scores.flatMap(({ values }) => values);
  const low = Math.floor((all.reduce((a, b) => Math.min(a, b)) - 0.02) * 10) / 10;
  const high = Math.ceil((all.reduce((a, b) => Math.max(a, b)) + 0.02) * 10) / 10;
  const means = scores.filter(({ mean }) => !Number.isNaN(mean));
  return renderPlot(document, 'Distribution of the per-gene Pearson correlation', {
    width: FULL_WIDTH,
    height: 70 + (few ? 58 : 92) * scores.length,
    marginLeft: few ? 20 : 58,
    marginRight: 20,
    marginTop: 18,
    marginBottom: 40,
    x: {
      domain: [Math.max(-1, low), Math.min(1, Math.max(high, PEARSON_THRESHOLD + 0.1))],
      label: 'Pearson r of a gene, mean over folds',
      labelAnchor: 'center',
      labelArrow: 'none',
    },
    y: few
      ? { axis: null }
      : { label: 'Genes', labelAnchor: 'center', labelArrow: 'none', ticks: 3, nice: true },
    fy: { domain: scores.map(({ label }) => label), axis: null, padding: few ? 0.45 : 0.22 },
    marks: [
      ...(few ? [] : [Plot.gridY({ ...GRID, ticks: 3 })]),
      ...(few
        ? scores.map(({ label, colour, values }) =>
            Plot.ruleX(values, {
              x: (x: number) => x,
              fy: () => label,
              stroke: colour,
              strokeWidth: 1.6,
            }),
          )
        : [
            Plot.rect(bins, {
              x1: 'x1',
              x2: 'x2',
              y1: 0,
              y2: 'count',
              fy: 'label',
              fill: 'colour',
              fillOpacity: 0.8,
              insetLeft: 0.5,
              insetRight: 0.5,
            }),
            Plot.ruleY([0], { strokeOpacity: 0.5 }),
          ]),
      Plot.ruleX([PEARSON_THRESHOLD], GUIDE),
      Plot.ruleX(means, { x: 'mean', fy: 'label', stroke: 'currentColor', strokeWidth: 2 }),
      Plot.text(scores, {
        fy: 'label',
        frameAnchor: 'top-left',
        dx: 6,
        dy: few ? -12 : -2,
        text: 'label',
        fontWeight: 600,
        fill: 'currentColor',
        stroke: 'var(--plot-background, white)',
        strokeWidth: 4,
      }),
    ],
  });
}

/** Counts in bins whose edges are multiples of `width`; empty bins are left out. */
function binned(
  values: readonly number[],
  width: number,
): { x1: number; x2: number; count: number }[] {
  const counts = new Map<number, number>();
  for (const value of values) {
    // A correlation of exactly 1 belongs to the last bin.
    const bin = Math.min(Math.floor(value / width), Math.round(1 / width) - 1);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  return [...counts].map(([bin, count]) => ({ x1: bin * width, x2: (bin + 1) * width, count }));
}

/** How many genes exceed each correlation, one line per model; `undefined` below ten scored genes. */
export function exceedanceFigure(
  document: PlotDocument,
  models: readonly ScoredModel[],
): Html | undefined {
  const lines = models.map((scored) => ({
    scored,
    points: exceedance(defined(scored.evaluation.pearson)),
  }));
  if (Math.max(...models.map(({ evaluation }) => evaluation.scoredGenes)) < 10) return undefined;
  const highest = Math.max(
    PEARSON_THRESHOLD + 0.1,
    ...lines.map(({ points }) => points.at(-1)?.x ?? 0),
  );
  return renderPlot(document, 'Number of genes above a correlation threshold', {
    width: FULL_WIDTH,
    height: 300,
    marginLeft: 62,
    marginBottom: 40,
    marginRight: 20,
    marginTop: 22,
    x: {
      domain: [0, Math.min(1, Math.ceil(highest * 10) / 10)],
      label: 'Threshold on Pearson r',
      labelAnchor: 'center',
      labelArrow: 'none',
    },
    y: {
      label: 'Genes above the threshold',
      labelAnchor: 'center',
      labelArrow: 'none',
      nice: true,
      ticks: 5,
    },
    marks: [
      Plot.gridY({ ...GRID, ticks: 5 }),
      Plot.ruleY([0], { strokeOpacity: 0.5 }),
      Plot.ruleX([PEARSON_THRESHOLD], GUIDE),
      Plot.text([PEARSON_THRESHOLD], {
        x: (x: number) => x,
        frameAnchor: 'top',
        dy: -14,
        text: () => `r = ${PEARSON_THRESHOLD}`,
        fill: 'currentColor',
      }),
      ...lines.map(({ scored, points }) =>
        Plot.line(points, {
          x: 'x',
          y: 'y',
          stroke: scored.colour,
          strokeWidth: 2,
          strokeDasharray: scored.dash,
        }),
      ),
    ],
  });
}

function exceedance(values: readonly number[]): { x: number; y: number }[] {
  const sorted = Float64Array.from(values).sort();
  const top = sorted.at(-1);
  if (top === undefined) return [];
  const points: { x: number; y: number }[] = [];
  let below = 0;
  for (let x = 0; ; x += 0.01) {
    while (below < sorted.length && sorted[below]! <= x) below++;
    points.push({ x, y: sorted.length - below });
    if (below === sorted.length) return points;
  }
}
