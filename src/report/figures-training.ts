import * as Plot from '@observablehq/plot';
import { type Html, html } from './html.ts';
import {
  FULL_WIDTH,
  GRID,
  type PlotDocument,
  REACHABLE_MARGIN,
  reachableMarks,
  renderPlot,
  shorten,
} from './plot.ts';
import type { CurvePoint, ModelReport, ScoredModel } from './types.ts';

interface XY {
  x: number;
  y: number;
}

/** More points than pixels only cost bytes. */
const MAX_POINTS = 200;

type Quantity = 'trainLoss' | 'validationLoss' | 'validationPearson';

/** Epochs are the natural axis; a run of one or two epochs shows its steps instead. */
function timeAxis(models: readonly ModelReport[]): 'epoch' | 'step' {
  const epochs = models.flatMap((model) =>
    model.curves.map((curve) => new Set(curve.points.map((point) => point.epoch)).size),
  );
  return Math.max(0, ...epochs) >= 3 ? 'epoch' : 'step';
}

/** Means of `quantity` at each value of the axis, at most MAX_POINTS of them. */
function series(points: readonly CurvePoint[], axis: 'epoch' | 'step', quantity: Quantity): XY[] {
  const groups = new Map<number, number[]>();
  for (const point of points) {
    const y = point[quantity];
    if (y === undefined || !Number.isFinite(y)) continue;
    const group = groups.get(point[axis]);
    if (group) group.push(y);
    else groups.set(point[axis], [y]);
  }
  const all = [...groups].map(([x, ys]) => ({ x, y: mean(ys) })).sort((a, b) => a.x - b.x);
  const size = Math.ceil(all.length / MAX_POINTS);
  if (size <= 1) return all;
  const binned: XY[] = [];
  for (let i = 0; i < all.length; i += size) {
    const bin = all.slice(i, i + size);
    binned.push({ x: bin.at(-1)!.x, y: mean(bin.map((point) => point.y)) });
  }
  return binned;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

interface Curves {
  folds: XY[][];
  /** Mean over folds where all of them have a value, so that a fold that stops early makes no jump. */
  mean: XY[];
}

function curvesOf(model: ModelReport, axis: 'epoch' | 'step', quantity: Quantity): Curves {
  const folds = model.curves
    .map((curve) => series(curve.points, axis, quantity))
    .filter((curve) => curve.length > 0);
  const at = new Map<number, number[]>();
  for (const point of folds.flat()) {
    const ys = at.get(point.x);
    if (ys) ys.push(point.y);
    else at.set(point.x, [point.y]);
  }
  const common = [...at]
    .filter(([, ys]) => ys.length === folds.length)
    .map(([x, ys]) => ({ x, y: mean(ys) }))
    .sort((a, b) => a.x - b.x);
  return { folds, mean: common };
}

/** Thin lines for the folds and a thick one for their mean; a dot where there is a single record. */
function curveMarks(curves: Curves, stroke: string, options: { opacity?: number; dash?: string }) {
  const { opacity = 1, dash = 'none' } = options;
  const showMean = curves.folds.length > 1 && curves.mean.length > 1;
  const foldLine = showMean
    ? { strokeWidth: 0.9, strokeOpacity: 0.4 * opacity }
    : { strokeWidth: 1.8, strokeOpacity: opacity };
  return [
    ...curves.folds.map((curve) =>
      curve.length === 1
        ? Plot.dot(curve, { x: 'x', y: 'y', fill: stroke, r: 2.5 })
        : Plot.line(curve, { x: 'x', y: 'y', stroke, ...foldLine }),
    ),
    ...(showMean
      ? [
          Plot.line(curves.mean, {
            x: 'x',
            y: 'y',
            stroke,
            strokeWidth: 2,
            strokeOpacity: opacity,
            strokeDasharray: dash,
          }),
        ]
      : []),
  ];
}

const axisLabel = { epoch: 'Epoch', step: 'Optimiser step' } as const;

interface TrainingFigure {
  content: Html;
  /** Labels of the models that have no curve. */
  without: string[];
  hasValidation: boolean;
  severalFolds: boolean;
}

/** Training and validation loss against epochs, one panel per model; `undefined` if no model has a curve. */
export function lossFigure(
  document: PlotDocument,
  models: readonly ScoredModel[],
): TrainingFigure | undefined {
  const axis = timeAxis(models.map(({ model }) => model));
  const panels: Html[] = [];
  const without: string[] = [];
  let hasValidation = false;
  let severalFolds = false;
  for (const { model, label, colour } of models) {
    const train = curvesOf(model, axis, 'trainLoss');
    const validation = curvesOf(model, axis, 'validationLoss');
    const all = [...train.folds, ...validation.folds].flat();
    if (all.length === 0) {
      without.push(label);
      continue;
    }
    hasValidation ||= validation.folds.length > 0;
    severalFolds ||= model.curves.length > 1;
    const ys = all.map((point) => point.y);
    const smallest = Math.min(...ys);
    const log = smallest > 0 && Math.max(...ys) / smallest > 30;
    const plot = renderPlot(document, `Loss of ${label}`, {
      width: 270,
      height: 200,
      marginLeft: 52,
      marginBottom: 38,
      marginTop: 12,
      marginRight: 12,
      x: {
        label: axisLabel[axis],
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: 5,
        nice: true,
      },
      y: {
        label: model.loss ? `Loss (${shorten(model.loss)})` : 'Loss',
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: 4,
        nice: true,
        ...(log ? { type: 'log' as const } : {}),
      },
      marks: [
        Plot.gridY({ ...GRID, ticks: 4 }),
        Plot.ruleX([0], { stroke: 'none' }),
        ...curveMarks(train, 'currentColor', { opacity: 0.65 }),
        ...curveMarks(validation, colour, {}),
      ],
    });
    panels.push(html`<div class="panel"><h4>${label}</h4>${plot}</div>`);
  }
  if (panels.length === 0) return undefined;
  return {
    content: html`<div class="panels small">${panels}</div>`,
    without,
    hasValidation,
    severalFolds,
  };
}

/** Mean validation Pearson against epochs, one line per model; `undefined` if none was recorded. */
export function validationFigure(
  document: PlotDocument,
  models: readonly ScoredModel[],
  reachable: number | undefined,
): { content: Html; models: ScoredModel[] } | undefined {
  const axis = timeAxis(models.map(({ model }) => model));
  const drawn = models
    .map((scored) => ({ scored, curves: curvesOf(scored.model, axis, 'validationPearson') }))
    .filter(({ curves }) => curves.folds.length > 0);
  if (drawn.length === 0) return undefined;
  const content = renderPlot(document, 'Validation correlation during training', {
    width: FULL_WIDTH,
    height: 280,
    marginLeft: 52,
    marginBottom: 40,
    marginRight: reachable === undefined ? 16 : REACHABLE_MARGIN,
    x: { label: axisLabel[axis], labelAnchor: 'center', labelArrow: 'none', nice: true },
    y: {
      label: 'Mean Pearson r, validation',
      labelAnchor: 'center',
      labelArrow: 'none',
      ticks: 5,
      nice: true,
    },
    marks: [
      Plot.gridY({ ...GRID, ticks: 5 }),
      Plot.ruleX([0], { stroke: 'none' }),
      ...(reachable === undefined ? [] : reachableMarks(reachable)),
      ...drawn.flatMap(({ scored, curves }) =>
        curveMarks(curves, scored.colour, { dash: scored.dash }),
      ),
    ],
  });
  return { content, models: drawn.map(({ scored }) => scored) };
}
