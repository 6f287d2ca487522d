/** Cross-validation: a model per fold and gene group; test predictions merged into one table per fold. */
import { type ExpressionTransform, fitZScore } from '../data/expression-transform.ts';
import type { Split } from '../data/splits.ts';
import type { Device } from '../gpu/device.ts';
import { type ModelKind, type ModelOptions, modelTitle } from '../models/registry.ts';
import type { CurvePoint, ModelReport } from '../report/types.ts';
import type { BagSource } from './bag-source.ts';
import {
  type GeneGroup,
  type GeneRegime,
  geneGroups,
  putColumns,
  regimeTitle,
  takeColumns,
} from './gene-groups.ts';
import { predictSlides } from './predict.ts';
import { stoppable } from './stoppable.ts';
import type { TrainingRecord, TrainOptions, TrainProgress } from './task.ts';
import { type TrainResult, train } from './train.ts';
import { type Provenance, serializeModel } from './trained-model.ts';

/** What is left of one trained model: enough for the report, without its parameters. */
export interface GroupResult {
  /** Test predictions [test slides, genes of the group]. */
  readonly predicted: Float32Array;
  readonly points: readonly CurvePoint[];
  readonly parameters: number;
  readonly seconds: number;
  readonly peakBytes: number;
  /** In mixed precision: steps left out. */
  readonly skippedSteps?: number;
}

/** Where one fold's and group's training is kept. */
export interface GroupRecord extends TrainingRecord {
  /** The result, if it was finished before. */
  loadResult(slides: readonly string[], genes: readonly string[]): Promise<GroupResult | null>;
  saveModel(bytes: Uint8Array): Promise<void>;
  /** Marks the group as finished. */
  saveResult(
    result: GroupResult,
    slides: readonly string[],
    genes: readonly string[],
  ): Promise<void>;
}

export interface CrossValidation {
  readonly device: Device;
  readonly source: BagSource;
  readonly genes: readonly string[];
  /** [slides, genes], row-major. */
  readonly targets: Float32Array;
  readonly splits: readonly Split[];
  readonly kind: ModelKind;
  readonly modelOptions: ModelOptions;
  readonly options: TrainOptions;
  readonly regime: GeneRegime;
  /** What was done to the expression, for the model files; default `none`. */
  readonly transform?: ExpressionTransform | undefined;
  /** Finished groups are taken from here, unfinished ones go on. */
  readonly record?: ((fold: string, group: string) => Promise<GroupRecord>) | undefined;
  readonly signal?: Pick<AbortSignal, 'aborted'> | undefined;
  readonly onWarning?: ((text: string) => void) | undefined;
  readonly onProgress?:
    | ((progress: TrainProgress & { fold: string; group: string }) => void)
    | undefined;
  /** Called when a group is finished; `before`: by an earlier run, from whose record it was taken. */
  readonly onGroup?:
    | ((fold: string, group: string, result: GroupResult, before: boolean) => void)
    | undefined;
}

/**
 * Trains and tests every fold and gene group.
 *
 * @returns what the report needs: test predictions by fold with all genes in order, curves, cost
 * @throws as `train`; `interrupted` between groups, and while they are tested, too
 */
export async function crossValidate(job: CrossValidation): Promise<ModelReport> {
  const { genes, targets, splits, source, kind, regime } = job;
  const groups = geneGroups(genes, regime);
  const report: ModelReport = {
    name: modelTitle(kind),
    regime: regimeTitle(regime),
    loss: kind === 'contrastive' ? 'InfoNCE' : 'MSE',
    parameters: 0,
    seconds: 0,
    modelsTrained: splits.length * groups.length,
    peakBytes: 0,
    baselineMse: baselineMse(job),
    curves: [],
    folds: [],
  };
  for (const split of splits) {
    const slides = split.test.map((slide) => source.slides[slide]!.id);
    const observed = new Float32Array(split.test.length * genes.length);
    for (const [i, slide] of split.test.entries()) {
      observed.set(
        targets.subarray(slide * genes.length, (slide + 1) * genes.length),
        i * genes.length,
      );
    }
    const predicted = new Float32Array(observed.length);
    const curves: (readonly CurvePoint[])[] = [];
    for (const group of groups) {
      const result = await trainGroup(job, split, group, slides);
      putColumns(predicted, genes.length, group, result.predicted);
      curves.push(result.points);
      report.parameters = Math.max(report.parameters, result.parameters);
      report.seconds += result.seconds;
      if (result.skippedSteps !== undefined) {
        report.skippedSteps = (report.skippedSteps ?? 0) + result.skippedSteps;
      }
      report.peakBytes = Math.max(report.peakBytes ?? 0, result.peakBytes);
    }
    report.folds.push({ name: split.name, slides, observed, predicted });
    const points = meanCurve(curves);
    if (points.length > 0) report.curves.push({ fold: split.name, points });
  }
  return report;
}

async function trainGroup(
  job: CrossValidation,
  split: Split,
  group: GeneGroup,
  slides: readonly string[],
): Promise<GroupResult> {
  const genes = job.genes.slice(group.start, group.end);
  const record = await job.record?.(split.name, group.name);
  let result = (await record?.loadResult(slides, genes)) ?? null;
  const before = result !== null;
  if (!result) {
    const trained = await train({
      ...job,
      genes,
      targets: takeColumns(job.targets, job.genes.length, group),
      split,
      record,
      onProgress: (progress) =>
        job.onProgress?.({ ...progress, fold: split.name, group: group.name }),
    });
    try {
      await record?.saveModel(
        await serializeModel({ ...trained, provenance: provenance(job, split) }),
      );
      const source = stoppable({ ...job, record });
      result = await testGroup({ ...job, source }, trained, split.test);
      await record?.saveResult(result, slides, genes);
    } finally {
      trained.model.dispose();
    }
  }
  job.onGroup?.(split.name, group.name, result, before);
  return result;
}

/** What a model has seen. Validation slides count: they chose the epoch. */
export function provenance(
  { source, transform = 'none' }: Pick<CrossValidation, 'source' | 'transform'>,
  split: Split,
): Provenance {
  const seen = [...split.train, ...split.validation].sort((a, b) => a - b);
  const slides = seen.map((slide) => source.slides[slide]!);
  const patients = new Set(slides.map(({ id, patient }) => patient ?? id));
  return {
    transform,
    slides: slides.map(({ id }) => id),
    patients: [...patients],
    ...(source.settings && { features: source.settings }),
  };
}

/** The test error of predicting each gene's mean over the training slides. */
export function baselineMse({
  genes,
  targets,
  splits,
}: Pick<CrossValidation, 'genes' | 'targets' | 'splits'>): number {
  let total = 0;
  let count = 0;
  for (const { train, test } of splits) {
    const { mean } = fitZScore(targets, train, genes.length);
    for (const slide of test) {
      for (const [g, value] of mean.entries()) {
        total += (targets[slide * genes.length + g]! - value) ** 2;
      }
    }
    count += test.length * genes.length;
  }
  return total / count;
}

async function testGroup(
  { device, source, options }: CrossValidation,
  trained: TrainResult,
  test: readonly number[],
): Promise<GroupResult> {
  const { points, parameters, seconds, peakBytes, skippedSteps } = trained;
  const predicted = new Float32Array(test.length * trained.genes.length);
  let at = 0;
  for await (const { expression } of predictSlides(
    device,
    trained,
    source,
    test,
    options.evaluationPatches,
    options.streamAbove,
  )) {
    predicted.set(expression, at);
    at += expression.length;
  }
  return {
    ...{ predicted, points, parameters, seconds, peakBytes },
    ...(skippedSteps !== undefined && { skippedSteps }),
  };
}

/** The curves of a fold's gene groups as one: each epoch's mean over the groups that got that far. */
function meanCurve(curves: readonly (readonly CurvePoint[])[]): CurvePoint[] {
  const longest = curves.reduce((a, b) => (b.length > a.length ? b : a), curves[0] ?? []);
  return longest.map(({ step, epoch }, i) => {
    const point: CurvePoint = { step, epoch };
    for (const key of ['trainLoss', 'validationLoss', 'validationPearson'] as const) {
      const values = curves.flatMap((curve) => curve[i]?.[key] ?? []);
      if (values.length > 0) point[key] = values.reduce((sum, v) => sum + v, 0) / values.length;
    }
    return point;
  });
}
