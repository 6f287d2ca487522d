/** The files of a run: their names, and what is read from them, checked. */
import { sep } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../data/checked-json.ts';
import { HistogradError } from '../errors.ts';
import type { CurvePoint, ModelReport } from '../report/types.ts';
import type { DataFingerprint } from './data-fingerprint.ts';

/** The run folder's own files by what they hold. */
export const RUN_FILES = {
  config: 'config.json',
  data: 'data.json',
  environment: 'environment.json',
  summary: 'summary.json',
  predictions: 'predictions.csv',
  report: 'report.html',
} as const;

/** Those of one fold and gene group, in `<model>/<fold>/<gene group>/`. */
export const GROUP_FILES = {
  metrics: 'metrics.jsonl',
  checkpoint: 'checkpoint.safetensors',
  model: 'best.safetensors',
  predictions: 'predictions.safetensors',
} as const;

/** Which of a run's files a path inside its folder is; null for any other. */
export function runFile(path: string): { readonly name: string; readonly model?: string } | null {
  const parts = path.split(sep);
  const name = parts.at(-1)!;
  if (parts.length === 1) return Object.values<string>(RUN_FILES).includes(name) ? { name } : null;
  const isGroup = parts.length === 4 && Object.values<string>(GROUP_FILES).includes(name);
  return isGroup ? { name, model: parts[0]! } : null;
}

/** JSON has null for what is no number. */
const figure = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

export const curvePoint = z.object({
  step: z.number(),
  epoch: z.number(),
  trainLoss: figure.optional(),
  validationLoss: figure.optional(),
  validationPearson: figure.optional(),
} satisfies Record<keyof CurvePoint, z.ZodType>);

/** What a summary says of a model, but for its scores, which are computed anew. */
const model = z.object({
  name: z.string(),
  regime: z.string(),
  loss: z.string().optional(),
  parameters: z.number(),
  seconds: z.number(),
  modelsTrained: z.number(),
  peakBytes: z.number().optional(),
  baselineMse: figure.optional(),
  curves: z.array(z.object({ fold: z.string(), points: z.array(curvePoint) })),
  skippedSteps: z.number().optional(),
} satisfies Record<keyof Omit<ModelReport, 'folds'>, z.ZodType>);

const summary = z.object({
  title: z.string(),
  command: z.string(),
  simulated: z.object({ reachableMeanPearson: z.number(), note: z.string() }).optional(),
  expressionUnit: z.string().optional(),
  models: z.array(model),
});

interface Content {
  config: Record<string, unknown>;
  data: DataFingerprint;
  environment: Record<string, string>;
  summary: z.infer<typeof summary>;
}

/** What each JSON file must hold. */
export const CONTENT: { readonly [K in keyof Content]: z.ZodType<Content[K]> } = {
  config: z.record(z.string(), z.unknown()),
  data: z.object({
    genes: z.string(),
    expression: z.string(),
    splits: z.string(),
    slides: z.record(z.string(), z.string()),
  }),
  environment: z.record(z.string(), z.string()),
  summary,
};

/** @throws HistogradError `bad-run` */
export function parseRunFile<K extends keyof Content>(
  file: K,
  content: Uint8Array | string,
  path: string,
): Content[K] {
  const text = typeof content === 'string' ? content : new TextDecoder().decode(content);
  return parseJson(text, CONTENT[file], (what) => badRun(path, `${RUN_FILES[file]}: ${what}`));
}

export function badRun(path: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-run',
    `The run ${path} cannot be read: ${problem}.`,
    'Its files were changed, are damaged, or come from different runs: bring them back, or train again into a new folder.',
  );
}
