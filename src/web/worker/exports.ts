/** Files to save: the same ones that the command line writes. */

import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { modelTitle } from '../../models/registry.ts';
import type { ModelReport, ReportData } from '../../report/types.ts';
import { baselineMse } from '../../training/cross-validate.ts';
import { environmentOf } from '../../training/environment.ts';
import { predictSlides } from '../../training/predict.ts';
import { csvLine, predictionLines } from '../../training/prediction-lines.ts';
import type { TrainedModel } from '../../training/trained-model.ts';
import type { GeneMap, Places, RunState } from '../protocol.ts';
import type { Dataset } from './dataset.ts';
import type { ScoredSamples } from './results.ts';
import { pickColumns, rowsPerBatch } from './settings.ts';

export interface Finished {
  readonly run: RunState;
  readonly dataset: Dataset;
  readonly trained: Pick<TrainedModel, 'kind' | 'options' | 'model'>;
  readonly scored: ScoredSamples;
  /** Samples that the model learnt from; none where that is not known. */
  readonly train: readonly number[];
}

/** Truth and predictions of the scored samples, as `histograd train` writes them. */
export function predictionsFile(finished: Finished): Blob {
  const genes = knownGenes(finished.scored);
  return csv(predictionLines({ genes, models: [modelReport(finished)] }));
}

/** Predictions of data without truth, as `histograd predict` writes them. */
export async function unscoredPredictionsFile(
  device: Device,
  dataset: Dataset,
  trained: TrainedModel,
): Promise<Blob> {
  const { source } = dataset;
  const lines = [csvLine(['slide', ...trained.genes])];
  const samples = source.slides.map((_, i) => i);
  const rows = rowsPerBatch(dataset, trained.genes.length);
  for await (const { slide, expression } of predictSlides(device, trained, source, samples, rows))
    lines.push(csvLine([source.slides[slide]!.id, ...Array.from(expression, short)]));
  return csv(lines);
}

/** A line per place; cells are empty where nothing is predicted or known. */
export function mapFile({ x, y, names }: Places, { predicted, observed }: GeneMap): Blob {
  const lines = [csvLine(['place', 'x', 'y', 'predicted', 'observed'])];
  const cell = (values: Float32Array | null, i: number) => (values ? short(values[i]!) : '');
  for (const [i, name] of names.entries())
    lines.push(csvLine([name, short(x[i]!), short(y[i]!), cell(predicted, i), cell(observed, i)]));
  return csv(lines);
}

/** @throws HistogradError `no-truth` where there is nothing to score */
export async function reportFile(device: Device, finished: Finished): Promise<Blob> {
  const { run, dataset, scored } = finished;
  if (scored.samples.length === 0 || scored.known.length === 0) {
    throw new HistogradError(
      'no-truth',
      'There are no test samples with known expression, so that a report would have nothing to say.',
      'Open data with expression, and keep a part of it for the test.',
    );
  }
  const { summary } = dataset;
  const reachable = dataset.reachable(scored.samples);
  const { split, settings, notes } = run;
  // Names of all genes would fill pages.
  const { genes, ...rest } = settings;
  const data: ReportData = {
    title: run.title,
    ...(summary.simulated && {
      simulated: {
        reachableMeanPearson: reachable ?? Number.NaN,
        note: 'Tiles were drawn by a program and expression computed from the drawings, with noise.',
      },
    }),
    command: 'Computed in the browser app; the exported model works with: histograd predict',
    environment: { ...(await environmentOf(device)), seed: String(settings.seed) },
    config: {
      data: summary.title,
      features: `${summary.features.name} (${summary.features.width})`,
      ...rest,
      genes: genes?.length ?? summary.genes.length,
      ...(split && { split: withoutNull(split) }),
      ...(notes.length > 0 && { notes: notes.join(' ') }),
    },
    genes: knownGenes(scored),
    expressionUnit: summary.unit,
    models: [modelReport(finished)],
  };
  // Plot and the document it draws into are large.
  const { renderReport } = await import('../../report/report.ts');
  return new Blob([renderReport(data)], { type: 'text/html' });
}

function modelReport({ run, dataset, trained, scored, train }: Finished): ModelReport {
  const { part, samples, names, genes, predicted, known, observed } = scored;
  const fold = part === 'test' ? 'test' : 'all samples';
  const { points, seconds, peakBytes } = run;
  return {
    name: modelTitle(trained.kind),
    regime: 'all genes',
    loss: trained.kind === 'contrastive' ? 'InfoNCE' : 'MSE',
    parameters: trained.model.parameterCount(),
    seconds,
    modelsTrained: 1,
    ...(peakBytes > 0 && { peakBytes }),
    ...(train.length > 0 && { baselineMse: baseline(dataset, scored, train, samples) }),
    curves: points.length > 0 ? [{ fold, points: [...points] }] : [],
    folds: [
      {
        name: fold,
        slides: names,
        observed,
        predicted: pickColumns(predicted, genes.length, known),
      },
    ],
  };
}

function baseline(
  { targets, summary }: Dataset,
  scored: ScoredSamples,
  train: readonly number[],
  test: readonly number[],
): number {
  const genes = knownGenes(scored);
  const columnOf = new Map(summary.genes.map((name, column) => [name, column]));
  const columns = genes.map((name) => columnOf.get(name)!);
  return baselineMse({
    genes,
    targets: pickColumns(targets ?? new Float32Array(), summary.genes.length, columns),
    splits: [{ name: 'test', train: [...train], validation: [], test: [...test] }],
  });
}

function withoutNull(record: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
}

function knownGenes({ genes, known }: ScoredSamples): string[] {
  return known.map((g) => genes[g]!);
}

function csv(lines: Iterable<string>): Blob {
  return new Blob([...lines], { type: 'text/csv' });
}

/** Nine digits give every float32 back exactly. */
function short(value: number): number {
  return +value.toPrecision(9);
}
