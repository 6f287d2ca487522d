/** The state of an unfinished training, and its file: resuming from it gives the bits of never having stopped. */
import { isRecord, jsonValue } from '../data/checked-json.ts';
import {
  parseSafetensors,
  type SafetensorInput,
  serializeSafetensors,
} from '../data/safetensors.ts';
import { parseSafetensorsHeader } from '../data/safetensors-header.ts';
import { HistogradError } from '../errors.ts';
import type { ExpressionModel } from '../models/model.ts';
import type { StateTensor } from '../nn/module.ts';
import type { AdamW } from '../optim/adamw.ts';
import type { GradScaler } from '../optim/grad-scaler.ts';
import type { CurvePoint } from '../report/types.ts';
import type { Generator } from '../tensor/random.ts';
import type { TrainTask } from './task.ts';
import { readScales, type Scales, scaleTensors, stateTensor } from './trained-model.ts';

/** How far a training has come. Plain data. */
export interface Progress {
  /** Epochs completed. */
  epoch: number;
  /** Steps taken in the epoch under way, and in all. */
  stepInEpoch: number;
  step: number;
  /** Sum of the losses of the epoch under way. */
  lossSum: number;
  /** Steps that mixed precision left out: in the epoch under way, and in all. */
  skippedInEpoch: number;
  skipped: number;
  /** Validation score and epoch (from 1) of the best parameters; null before the first validation. */
  bestScore: number | null;
  bestEpoch: number;
  validationsSinceBest: number;
  /** Early stopping has decided. */
  stopped: boolean;
  seconds: number;
  peakBytes: number;
  /** End of the metrics log, in bytes. */
  metricsPosition: number;
  points: CurvePoint[];
}

export interface TrainingState {
  /** From `taskIdentity`. */
  readonly identity: TaskIdentity;
  readonly model: ExpressionModel;
  readonly optimizer: AdamW;
  readonly generator: Generator;
  /** In mixed precision. */
  readonly scaler: GradScaler | null;
  scales: Scales;
  progress: Progress;
  best: ReadonlyMap<string, StateTensor> | null;
}

export function newProgress(): Progress {
  return {
    epoch: 0,
    stepInEpoch: 0,
    step: 0,
    lossSum: 0,
    skippedInEpoch: 0,
    skipped: 0,
    bestScore: null,
    bestEpoch: 0,
    validationsSinceBest: 0,
    stopped: false,
    seconds: 0,
    peakBytes: 0,
    metricsPosition: 0,
    points: [],
  };
}

const FORMAT = 'histograd-checkpoint';
const PREFIX = /^(best|optimizer|scale)\./;

/** Reads the state back from the GPU and packs it: parameters under their names, `optimizer.*`, `best.*`, `scale.*`. */
export async function serializeCheckpoint({
  identity,
  model,
  optimizer,
  generator,
  scaler,
  scales,
  progress,
  best,
}: TrainingState): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = new Map<string, SafetensorInput>(await model.stateDict());
  for (const [name, tensor] of await optimizer.stateDict())
    tensors.set(`optimizer.${name}`, tensor);
  for (const [name, tensor] of best ?? []) tensors.set(`best.${name}`, tensor);
  for (const [name, tensor] of scaleTensors(scales)) tensors.set(name, tensor);
  return serializeSafetensors(tensors, {
    format: FORMAT,
    task: JSON.stringify(identity),
    progress: JSON.stringify(progress),
    optimizerSteps: String(optimizer.steps),
    generatorOffset: String(generator.offset),
    ...(scaler && { scaler: JSON.stringify(await scaler.stateDict()) }),
  });
}

/**
 * Puts a checkpoint's content into `state`.
 *
 * @param name where it comes from, for error messages
 * @throws HistogradError `bad-safetensors`, `bad-checkpoint`; `checkpoint-mismatch` when it belongs to another model, other options, genes,
 *   targets, training or validation slides, or another feature width. The features themselves are not compared, nor are
 *   the test slides: a run folder does that (`data-fingerprint.ts`).
 */
export function restoreCheckpoint(state: TrainingState, bytes: Uint8Array, name: string): void {
  const { tensors, metadata } = unlessDamaged(() => parseSafetensors(bytes, name));
  if (metadata.format !== FORMAT) {
    throw mismatch(name, `its format is ${metadata.format ?? 'missing'}, expected ${FORMAT}`);
  }
  requireSameTask(entry(metadata, 'task', name), state.identity, name);
  const group = (prefix: string) => {
    const found = new Map<string, StateTensor>();
    for (const [key, tensor] of tensors) {
      if (!key.startsWith(prefix)) continue;
      found.set(key.slice(prefix.length), stateTensor(tensor, key, name));
    }
    return found;
  };
  const own = [...group('')].filter(([key]) => !PREFIX.test(key));
  state.model.loadStateDict(new Map(own));
  state.optimizer.loadStateDict(group('optimizer.'), Number(metadata.optimizerSteps));
  state.generator.seek(Number(metadata.generatorOffset));
  if (state.scaler) state.scaler.loadStateDict(entry(metadata, 'scaler', name));
  const best = group('best.');
  state.best = best.size > 0 ? best : null;
  state.scales = readScales(tensors);
  state.progress = progressOf(metadata, name);
}

/** How far the training of a checkpoint had come; errors as `parseSafetensors`. */
export function checkpointProgress(bytes: Uint8Array, name: string): Progress {
  const { metadata } = unlessDamaged(() => parseSafetensorsHeader(bytes, bytes.length, name));
  return progressOf(metadata, name);
}

function progressOf(metadata: Readonly<Record<string, string>>, name: string): Progress {
  const saved = entry(metadata, 'progress', name);
  const fresh = newProgress();
  const isSound = Object.entries(fresh).every(([key, value]) => {
    // Earlier versions knew less.
    const found = saved[key] ?? value;
    if (key === 'bestScore') return found === null || typeof found === 'number';
    return typeof found === typeof value && Array.isArray(found) === Array.isArray(value);
  });
  if (!isSound) throw damaged(name, 'its progress is not what a checkpoint holds there');
  return { ...fresh, ...saved };
}

/** An entry of the metadata that is a JSON object. */
function entry(
  metadata: Readonly<Record<string, string>>,
  key: string,
  name: string,
): Record<string, unknown> {
  const value = jsonValue(metadata[key] ?? '', (what) => damaged(name, `${key}: ${what}`));
  if (isRecord(value)) return value;
  throw damaged(name, `its ${key} is not a JSON object`);
}

/** What `read` returns; of a file of a run that is no safetensors file, says what helps. */
export function unlessDamaged<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof HistogradError) || cause.code !== 'bad-safetensors') throw cause;
    throw new HistogradError(cause.code, cause.problem, START_ANEW, { cause });
  }
}

const START_ANEW = 'Delete that file and resume: what it held is computed anew.';

export function damaged(name: string, problem: string): HistogradError {
  return new HistogradError('bad-checkpoint', `${name} is damaged: ${problem}.`, START_ANEW);
}

export type TaskIdentity = Readonly<Record<string, unknown>>;

/**
 * All that decides the result, but for the values of the features; what only decides when to write or what to show is
 * left out. Goes through all targets: once per training.
 */
export function taskIdentity(task: TrainTask): TaskIdentity {
  const { device, kind, modelOptions, options, genes, source, split, targets } = task;
  const { checkpointSeconds: _, checkpointSteps: __, ...rest } = options;
  const ids = (part: readonly number[]) => part.map((slide) => source.slides[slide]!.id);
  return {
    model: kind,
    'model options': modelOptions,
    'training options': rest,
    'feature width': source.width,
    genes,
    'training slides': ids(split.train),
    'validation slides': ids(split.validation),
    targets: checksum(targets),
    // Undefined for the pinned one, so that a run may still move to another adapter.
    'tuning of the kernels': device.chosenTuning.mark,
  };
}

/** FNV-1a over the bytes: notices a changed expression table or transform. */
function checksum(values: Float32Array): number {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function requireSameTask(saved: TaskIdentity, wanted: TaskIdentity, name: string): void {
  for (const [key, value] of Object.entries(wanted)) {
    const [found, expected] = [canonical(saved[key]), canonical(value)];
    if (found === expected) continue;
    throw mismatch(name, `${key}: expected ${shorten(expected)}, found ${shorten(found)}`);
  }
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? 'nothing'
  );
}

function shorten(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function mismatch(name: string, problem: string): HistogradError {
  return new HistogradError(
    'checkpoint-mismatch',
    `${name} is a checkpoint of another training: ${problem}.`,
    'Resume with the same model, data and options, or train into a new folder.',
  );
}
