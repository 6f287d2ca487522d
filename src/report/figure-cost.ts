import * as Plot from '@observablehq/plot';
import { mean } from 'simple-statistics';
import type { Html } from './html.ts';
import {
  FULL_WIDTH,
  GRID,
  type PlotDocument,
  REACHABLE_MARGIN,
  reachableMarks,
  renderPlot,
} from './plot.ts';
import type { ScoredModel } from './types.ts';

/** Training time against score, one dot per model and gene regime; `undefined` for fewer than two dots. */
export function costFigure(
  document: PlotDocument,
  models: readonly ScoredModel[],
  reachable: number | undefined,
): { content: Html; models: ScoredModel[] } | undefined {
  const drawn = models.filter(
    ({ model, evaluation }) => model.seconds > 0 && !Number.isNaN(evaluation.meanPearson),
  );
  if (drawn.length < 2) return undefined;
  const seconds = drawn.map(({ model }) => model.seconds);
  const domain = [Math.min(...seconds) / 1.6, Math.max(...seconds) * 1.6];
  const centre = mean(drawn.map(({ evaluation }) => evaluation.meanPearson));
  const content = renderPlot(document, 'Training time and score of each model', {
    width: FULL_WIDTH,
    height: 280,
    marginLeft: 56,
    marginBottom: 40,
    marginRight: reachable === undefined ? 20 : REACHABLE_MARGIN,
    x: {
      type: 'log',
      domain,
      label: 'Training time, all folds (log scale)',
      labelAnchor: 'center',
      labelArrow: 'none',
    },
    y: {
      label: 'Pearson r, mean over genes',
      labelAnchor: 'center',
      labelArrow: 'none',
      nice: true,
      ticks: 5,
    },
    marks: [
      Plot.gridY({ ...GRID, ticks: 5 }),
      // As text, because a log scale would drop the labels of ticks that are not near powers of ten.
      Plot.axisX(timeTicks(domain), { text: tickLabel, labelAnchor: 'center', labelArrow: 'none' }),
      // Keeps the scale open where all scores are equal.
      Plot.ruleY([Math.min(0, centre), centre + 0.05], { stroke: 'none' }),
      ...(reachable === undefined ? [] : reachableMarks(reachable)),
      Plot.dot(drawn, {
        x: ({ model }: ScoredModel) => model.seconds,
        y: ({ evaluation }: ScoredModel) => evaluation.meanPearson,
        fill: 'colour',
        r: 6,
      }),
    ],
  });
  return { content, models: drawn };
}

/** Durations that read well, at most nine of them inside the domain. */
function timeTicks([low, high]: number[]): number[] {
  const minute = 60;
  const hour = 3600;
  const round = [
    1e-3,
    1e-2,
    0.1,
    0.3,
    1,
    3,
    10,
    30,
    minute,
    3 * minute,
    10 * minute,
    30 * minute,
    hour,
    3 * hour,
    10 * hour,
    30 * hour,
    100 * hour,
    300 * hour,
    1000 * hour,
  ];
  const inside = round.filter((tick) => tick >= low! && tick <= high!);
  const every = Math.ceil(inside.length / 9);
  return inside.filter((_, i) => i % every === 0);
}

function tickLabel(seconds: number): string {
  if (seconds >= 3600) return `${seconds / 3600} h`;
  if (seconds >= 60) return `${seconds / 60} min`;
  return seconds >= 0.1 ? `${seconds} s` : `${seconds * 1000} ms`;
}
