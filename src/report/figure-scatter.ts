import * as Plot from '@observablehq/plot';
import { formatFixed } from './format.ts';
import { type Html, html } from './html.ts';
import {
  GRID,
  GUIDE,
  legend,
  type PlotDocument,
  renderPlot,
  seriesStyle,
  shorten,
} from './plot.ts';
import type { ReportData, ScoredModel } from './types.ts';

/** More dots than this hide each other and only make the file larger. */
const MAX_DOTS = 1500;
/** Up to this many dots each carries the name of its slide, shown by browsers on hover. */
const MAX_NAMED_DOTS = 400;
const MAX_FOLDS_IN_LEGEND = 12;

interface Dot {
  slide: string;
  fold: string;
  observed: number;
  predicted: number;
}

interface ScatterFigure {
  content: Html;
  slides: number;
  drawn: number;
}

/** Columns of the best and of the (lower) median gene by Pearson; one if they are the same; none if all are NaN. */
function bestAndMedian(pearson: Float64Array): { what: string; column: number }[] {
  const columns = [...pearson.keys()]
    .filter((column) => !Number.isNaN(pearson[column]!))
    .sort((a, b) => pearson[a]! - pearson[b]!);
  const best = columns.at(-1);
  const median = columns[Math.floor((columns.length - 1) / 2)];
  if (best === undefined || median === undefined) return [];
  return best === median
    ? [{ what: 'Only gene', column: best }]
    : [
        { what: 'Best gene', column: best },
        { what: 'Median gene', column: median },
      ];
}

function dotsOf({ model }: ScoredModel, column: number, genes: number): Dot[] {
  return model.folds.flatMap((fold) =>
    fold.slides.map((slide, i) => ({
      slide,
      fold: fold.name,
      observed: fold.observed[i * genes + column]!,
      predicted: fold.predicted[i * genes + column]!,
    })),
  );
}

/** Observed against predicted expression of the best and the median gene of one model, a dot per slide. */
export function scatterFigure(
  document: PlotDocument,
  scored: ScoredModel,
  { genes, expressionUnit }: Pick<ReportData, 'genes' | 'expressionUnit'>,
): ScatterFigure | undefined {
  const chosen = bestAndMedian(scored.evaluation.pearson);
  if (chosen.length === 0) return undefined;
  const folds = scored.model.folds.map((fold) => fold.name);
  const colours = folds.map((_, i) => seriesStyle(i).colour);
  const unit = shorten(expressionUnit ?? 'expression');
  // `expression` and `log2(1 + expression)` say already what they are.
  const axis = unit.includes('expression') ? unit : `expression, ${unit}`;
  const slides = scored.evaluation.folds.reduce((n, fold) => n + fold.slides, 0);
  const every = Math.ceil(slides / MAX_DOTS);
  let drawn = 0;
  const panels = chosen.map(({ what, column }) => {
    const dots = dotsOf(scored, column, genes.length).filter((_, i) => i % every === 0);
    drawn = dots.length;
    const observed = extent(dots.map((dot) => dot.observed));
    const r = formatFixed(scored.evaluation.pearson[column]!, 2);
    const plot = renderPlot(document, `${what} ${genes[column]}: observed and predicted`, {
      width: 400,
      height: 340,
      marginLeft: 52,
      marginBottom: 42,
      marginTop: 10,
      marginRight: 14,
      x: {
        label: `Observed ${axis}`,
        labelAnchor: 'center',
        labelArrow: 'none',
        nice: true,
        ticks: 5,
      },
      y: {
        label: `Predicted ${axis}`,
        labelAnchor: 'center',
        labelArrow: 'none',
        nice: true,
        ticks: 5,
      },
      color: { domain: folds, range: colours },
      marks: [
        Plot.gridY({ ...GRID, ticks: 5 }),
        Plot.gridX({ ...GRID, ticks: 5 }),
        Plot.line(identityWithin(observed, extent(dots.map((dot) => dot.predicted))), {
          x: 'v',
          y: 'v',
          ...GUIDE,
        }),
        Plot.dot(dots, {
          x: 'observed',
          y: 'predicted',
          fill: 'fold',
          fillOpacity: dots.length > 300 ? 0.45 : 0.75,
          r: dots.length > 300 ? 2.2 : 3.4,
          ...(dots.length <= MAX_NAMED_DOTS ? { title: 'slide' } : {}),
        }),
      ],
    });
    return html`<div class="panel"><h4>${what}: <i>${genes[column]}</i>, <i>r</i> = ${r}</h4>${plot}</div>`;
  });
  const key =
    folds.length > 1 && folds.length <= MAX_FOLDS_IN_LEGEND
      ? legend(folds.map((fold, i) => ({ label: fold, colour: colours[i]!, mark: 'dot' })))
      : undefined;
  return { content: html`${key}<div class="panels">${panels}</div>`, slides, drawn };
}

function extent(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** The part of the line "predicted = observed" that both axes show; empty where they do not overlap. */
function identityWithin(x: [number, number], y: [number, number]): { v: number }[] {
  const low = Math.max(x[0], y[0]);
  const high = Math.min(x[1], y[1]);
  return low < high ? [{ v: low }, { v: high }] : [];
}
