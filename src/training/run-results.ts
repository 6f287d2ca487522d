/** The results of a run as files: `summary.json` and `predictions.csv`, from which the report can be made again. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import Papa from 'papaparse';
import { readError, readText } from '../data/node/read-file.ts';
import { HistogradError } from '../errors.ts';
import { evaluatePredictions, type FoldPredictions } from '../metrics/evaluate.ts';
import type { ModelReport, ReportData } from '../report/types.ts';
import { OBSERVED } from './prediction-lines.ts';
import { badRun, parseRunFile, RUN_FILES } from './run-files.ts';

/** A model's scores; correlations that are undefined are null. */
interface Scores {
  meanPearson: number | null;
  pooledMeanPearson: number | null;
  genesAbove04: number;
  pam50MeanPearson: number | null;
  mse: number;
  mae: number;
  /** Folds whose correlation is undefined, left out of the mean. */
  foldsWithoutPearson: { name: string; slides: number }[];
}

type ModelSummary = Omit<ModelReport, 'folds'> & { folds: number; scores: Scores };

export interface RunSummary
  extends Pick<ReportData, 'title' | 'command' | 'simulated' | 'expressionUnit'> {
  genes: number;
  models: ModelSummary[];
}

/** What a run found, without the predictions. */
export function summarise({
  genes,
  models,
  title,
  command,
  simulated,
  expressionUnit,
}: ReportData): RunSummary {
  return {
    title,
    command,
    ...(simulated && { simulated }),
    ...(expressionUnit && { expressionUnit }),
    genes: genes.length,
    models: models.map(({ folds, ...model }) => ({
      ...model,
      folds: folds.length,
      scores: scoresOf(genes, folds),
    })),
  };
}

function scoresOf(genes: readonly string[], folds: readonly FoldPredictions[]): Scores {
  const { meanPearson, pooled, genesAbove, pam50, mse, mae, ...scored } = evaluatePredictions({
    genes,
    folds,
  });
  return {
    meanPearson: defined(meanPearson),
    pooledMeanPearson: defined(pooled.meanPearson),
    genesAbove04: genesAbove,
    pam50MeanPearson: defined(pam50.meanPearson),
    mse,
    mae,
    foldsWithoutPearson: scored.folds
      .filter((fold) => Number.isNaN(fold.meanPearson))
      .map(({ name, slides }) => ({ name, slides })),
  };
}

function defined(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/**
 * Reads a finished run back.
 *
 * @throws HistogradError `no-run` (not finished, or none), `bad-run` (files that do not belong together)
 */
export async function readRun(path: string): Promise<ReportData> {
  const summary = await required(path, 'summary');
  const environment = await required(path, 'environment');
  const config = await required(path, 'config');
  const { genes, byModel } = await readPredictions(join(path, RUN_FILES.predictions));
  const observed = byModel.get(OBSERVED);
  const models = summary.models.map((model): ModelReport => {
    const predicted = byModel.get(model.name);
    if (!observed || !predicted) throw badRun(path, `no predictions of ${model.name}`);
    const folds = [...observed].map(([fold, truth]): FoldPredictions => {
      const own = predicted.get(fold);
      if (own?.slides.join('\n') !== truth.slides.join('\n')) {
        throw badRun(path, `${model.name} has other slides than observed in ${fold}`);
      }
      const pack = (values: readonly Float32Array[]) => {
        const all = new Float32Array(values.length * genes.length);
        for (const [i, row] of values.entries()) all.set(row, i * genes.length);
        return all;
      };
      return {
        name: fold,
        slides: truth.slides,
        observed: pack(truth.rows),
        predicted: pack(own.rows),
      };
    });
    return { ...model, folds };
  });
  const { title, command, simulated, expressionUnit } = summary;
  return {
    title,
    command,
    environment,
    config,
    genes,
    models,
    ...(simulated && { simulated }),
    ...(expressionUnit && { expressionUnit }),
  };
}

type FoldRows = Map<string, { slides: string[]; rows: Float32Array[] }>;

async function readPredictions(path: string) {
  let genes: string[] | undefined;
  const byModel = new Map<string, FoldRows>();
  const parser = Papa.parse(Papa.NODE_STREAM_INPUT, { delimiter: ',', skipEmptyLines: true });
  const take = (row: unknown): void => {
    if (!Array.isArray(row)) return;
    const [model, fold, slide, ...cells]: string[] = row;
    if (!genes) {
      if (model !== 'model' || fold !== 'fold' || slide !== 'slide') {
        throw badRun(path, 'its header does not start with model,fold,slide');
      }
      genes = cells;
      return;
    }
    const values = Float32Array.from(cells, Number);
    const broken = cells.findIndex((cell, i) => cell === '' || !Number.isFinite(values[i]));
    if (cells.length !== genes.length || broken >= 0 || model === undefined || fold === undefined) {
      throw badRun(path, `the line of ${model}, ${fold}, ${slide} has a missing or wrong value`);
    }
    const folds = byModel.get(model) ?? new Map();
    byModel.set(model, folds);
    const rows = folds.get(fold) ?? { slides: [], rows: [] };
    folds.set(fold, rows);
    rows.slides.push(slide);
    rows.rows.push(values);
  };
  // A pipeline whose source has ended reports its own abort instead of the consumer's error.
  let problem: unknown;
  const consume = async (source: AsyncIterable<unknown>) => {
    try {
      for await (const row of source) take(row);
    } catch (error) {
      problem = error;
      throw error;
    }
  };
  try {
    await pipeline(createReadStream(path, 'utf8'), parser, consume);
  } catch (cause) {
    if (problem instanceof HistogradError) throw problem;
    throw readError(path, cause);
  }
  return { genes: genes ?? [], byModel };
}

async function required<K extends 'summary' | 'environment' | 'config'>(path: string, file: K) {
  const text = await readText(join(path, RUN_FILES[file])).catch((cause: unknown) => {
    if (!(cause instanceof HistogradError) || cause.code !== 'no-file') throw cause;
    throw new HistogradError(
      'no-run',
      `${path} holds no finished run: ${RUN_FILES[file]} is missing.`,
      'Pass the --out folder of a histograd train that has ended; go on with an unfinished one by --resume.',
    );
  });
  return parseRunFile(file, text, path);
}
