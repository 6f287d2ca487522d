/**
 * A run on disk:
 *
 *     run/config.json  data.json  environment.json  summary.json  predictions.csv  report.html
 *     run/<model>/<fold>/<gene group>/metrics.jsonl  checkpoint.safetensors  best.safetensors  predictions.safetensors
 *
 * A group that has `predictions.safetensors` is finished.
 */
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { parseJson } from '../data/checked-json.ts';
import { type AtomicWriteFs, writeError, writeFileAtomic } from '../data/node/atomic-write.ts';
import { parseSafetensors, serializeSafetensors } from '../data/safetensors.ts';
import { HistogradError } from '../errors.ts';
import { damaged, unlessDamaged } from './checkpoint.ts';
import type { GroupRecord, GroupResult } from './cross-validate.ts';
import { type DataFingerprint, dataChange } from './data-fingerprint.ts';
import { CONTENT, curvePoint, GROUP_FILES, parseRunFile, RUN_FILES, runFile } from './run-files.ts';

export interface RunFolder {
  readonly path: string;
  write(file: keyof typeof RUN_FILES, content: string | Iterable<string>): Promise<void>;
  group(model: string, fold: string, group: string): Promise<GroupRecord>;
}

/** How to open a run folder. */
interface RunFolderOptions {
  /** What the run is trained on; a resumed run must have the same. */
  readonly data?: DataFingerprint | undefined;
  /** The mark of the kernels' tuning, where it is not the pinned one: with another, results have other last bits. */
  readonly tuningMark?: string | undefined;
  /**
   * What a config comes to: a resumed run may have another that comes to the same. Throws for what is no config of such a run.
   * Default: the config itself, and another is of such a run if it has the same options.
   */
  readonly comesTo?: ((config: Readonly<Record<string, unknown>>) => unknown) | undefined;
  /** For tests: the file operations of atomic writes. */
  readonly fs?: AtomicWriteFs | undefined;
}

/**
 * Opens a folder for a run, and writes its `config.json`. A run that failed before anything was trained is replaced.
 *
 * @param config what decides the results; a resumed run must have the same (paths may be written differently,
 *   and checkpoints at other times)
 * @param resume null for results that are made in one go, so that there is nothing to resume
 * @throws HistogradError `run-exists` (the folder holds a run, and `resume` is not true), `out-not-empty` (something
 *   else), `run-mismatch` (a run of another config, or on other data), `bad-run` (its files are damaged), and those of reading and writing
 */
export async function openRunFolder(
  path: string,
  config: Readonly<Record<string, unknown>>,
  resume: boolean | null,
  { data, tuningMark, comesTo, fs }: RunFolderOptions = {},
): Promise<RunFolder> {
  const found = await readOptional(join(path, RUN_FILES.config));
  const saved = found && (await hasResults(path)) ? found : null;
  const text = configText(config);
  if (saved && !resume) {
    throw new HistogradError(
      'run-exists',
      `${path} already holds a run.`,
      resume === null
        ? 'Choose another --out, or remove that folder.'
        : 'Add --resume to go on with it, or choose another --out.',
    );
  }
  if (saved) {
    const before = parseRunFile('config', saved, path);
    requireSameConfig(before, JSON.parse(text), path, comesTo);
    if (data) requireSameData(await readOptional(join(path, RUN_FILES.data)), data, path);
    requireSameTuning(await readOptional(join(path, RUN_FILES.environment)), tuningMark, path);
  } else if (!found || !isOfRun(found.toString('utf8'), config, comesTo)) {
    await requireEmpty(path, 'run');
  }
  await makeFolder(path);
  const folder: RunFolder = {
    path,
    write: (file, content) => writeFileAtomic(join(path, RUN_FILES[file]), content, fs),
    async group(model, fold, group) {
      const place = join(path, fileName(model), fileName(fold), fileName(group));
      await makeFolder(place);
      return groupRecord(place, fs);
    },
  };
  if (!saved) {
    await folder.write('config', text);
    if (data) await folder.write('data', `${JSON.stringify(data, undefined, 2)}\n`);
  }
  return folder;
}

/** Whether anything was trained or finished there. */
async function hasResults(path: string): Promise<boolean> {
  const results = new Set<string>([
    GROUP_FILES.checkpoint,
    GROUP_FILES.predictions,
    RUN_FILES.summary,
  ]);
  const found = await readdir(path, { recursive: true });
  return found.some((name) => results.has(runFile(name)?.name ?? ''));
}

/**
 * Whether a config.json beside no results was written by a run, which then failed: it may be replaced. Many programs call
 * a file of theirs so.
 */
function isOfRun(
  text: string,
  config: Readonly<Record<string, unknown>>,
  comesTo: RunFolderOptions['comesTo'],
): boolean {
  try {
    const saved = CONTENT.config.parse(JSON.parse(text));
    const keys = (of: object) => Object.keys(JSON.parse(JSON.stringify(of))).sort();
    if (!comesTo) return isDeepStrictEqual(keys(saved), keys(config));
    comesTo(saved);
    // A user's own file of options is written otherwise.
    return configText(saved) === text;
  } catch {
    return false;
  }
}

function configText(config: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/**
 * Removes what a run of these models wrote, and nothing else. Its `config.json` stays, for which `openRunFolder` takes the
 * folder for that of a failed run.
 */
export async function clearRun(path: string, models: readonly string[]): Promise<void> {
  for (const file of await readdir(path, { recursive: true })) {
    const known = runFile(file);
    if (!known || known.name === RUN_FILES.config) continue;
    if (known.model === undefined || models.includes(known.model)) await rm(join(path, file));
  }
}

function groupRecord(place: string, fs?: AtomicWriteFs): GroupRecord {
  const checkpoint = join(place, GROUP_FILES.checkpoint);
  const predictions = join(place, GROUP_FILES.predictions);
  return {
    place: checkpoint,
    loadCheckpoint: () => readOptional(checkpoint),
    saveCheckpoint: (bytes) => writeFileAtomic(checkpoint, bytes, fs),
    saveModel: (bytes) => writeFileAtomic(join(place, GROUP_FILES.model), bytes, fs),
    writeMetrics: (position, lines) => writeAt(join(place, GROUP_FILES.metrics), position, lines),
    async loadResult(slides, genes) {
      const bytes = await readOptional(predictions);
      return bytes && parseResult(bytes, predictions, slides, genes);
    },
    saveResult: ({ predicted, ...rest }, slides, genes) =>
      writeFileAtomic(
        predictions,
        serializeSafetensors(
          { predicted: { shape: [slides.length, genes.length], data: predicted } },
          {
            slides: JSON.stringify(slides),
            genes: JSON.stringify(genes),
            training: JSON.stringify(rest),
          },
        ),
        fs,
      ),
  };
}

function parseResult(
  bytes: Uint8Array,
  name: string,
  slides: readonly string[],
  genes: readonly string[],
): GroupResult {
  const { tensors, metadata } = unlessDamaged(() => parseSafetensors(bytes, name));
  const predicted = tensors.get('predicted')?.data;
  const same =
    metadata.slides === JSON.stringify(slides) && metadata.genes === JSON.stringify(genes);
  if (!(predicted instanceof Float32Array) || !same) {
    throw new HistogradError(
      'run-mismatch',
      `${name} holds predictions of other slides or genes.`,
      'The cohort changed since that run: train into a new folder.',
    );
  }
  const training = parseJson(metadata.training ?? '', TRAINING, (what) => damaged(name, what));
  return { ...training, predicted };
}

const TRAINING = z.object({
  points: z.array(curvePoint),
  parameters: z.number(),
  seconds: z.number(),
  peakBytes: z.number(),
  skippedSteps: z.number().optional(),
} satisfies Record<keyof Omit<GroupResult, 'predicted'>, z.ZodType>);

/** Cuts the file off at `position`, writes `text` there, and returns the new end. */
async function writeAt(path: string, position: number, text: string): Promise<number> {
  const bytes = Buffer.from(text, 'utf8');
  try {
    const file = await open(path, position === 0 ? 'w' : 'r+');
    try {
      await file.truncate(position);
      await file.write(bytes, 0, bytes.length, position);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw writeError(path, cause);
  }
  return position + bytes.length;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: unknown) => {
    throw writeError(join(path, '.'), cause);
  });
}

async function readOptional(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new HistogradError(
      'not-readable',
      `Cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Check the path and its permissions.',
      { cause },
    );
  }
}

/**
 * @param what for which the folder would be replaced
 * @throws HistogradError `out-not-empty`
 */
export async function requireEmpty(path: string, what: string): Promise<void> {
  const found = await readdir(path).catch(() => []);
  const others = found.filter((name) => !name.startsWith('.'));
  if (others.length === 0) return;
  throw new HistogradError(
    'out-not-empty',
    `${path} is not empty and holds no ${what}: ${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}.`,
    'Choose a new folder with --out.',
  );
}

function requireSameData(saved: Buffer | null, now: DataFingerprint, path: string): void {
  const change = saved ? dataChange(parseRunFile('data', saved, path), now) : 'it has no data.json';
  if (change === null) return;
  throw new HistogradError(
    'run-mismatch',
    `${path} holds a run on other data: ${change}.`,
    'Bring back the data of that run, or train into a new folder with --out.',
  );
}

function requireSameTuning(saved: Buffer | null, now: string | undefined, path: string): void {
  const before = saved ? parseRunFile('environment', saved, path).tuningMark : undefined;
  if (before === now) return;
  throw new HistogradError(
    'run-mismatch',
    `${path} holds a run with another tuning of the kernels: ${before ?? 'the pinned one'} there, ${now ?? 'the pinned one'} now.`,
    'Resume with the same HISTOGRAD_TUNING, or train into a new folder with --out.',
  );
}

/** Options that are compared as paths. */
const PATHS: ReadonlySet<string> = new Set(['features', 'expression', 'patients', 'splits']);
/** Options that only decide when to write. */
const TIMES: ReadonlySet<string> = new Set(['checkpointSeconds', 'checkpointSteps']);

function requireSameConfig(
  saved: Record<string, unknown>,
  wanted: Record<string, unknown>,
  path: string,
  comesTo: RunFolderOptions['comesTo'] = (config) => config,
): void {
  const text = (key: string, value: unknown) =>
    JSON.stringify(PATHS.has(key) && typeof value === 'string' ? resolve(value) : value);
  const others = [...new Set([...Object.keys(saved), ...Object.keys(wanted)])].filter(
    (key) => !TIMES.has(key) && text(key, saved[key]) !== text(key, wanted[key]),
  );
  const harmless = (keys: readonly string[]) => {
    const changed = Object.fromEntries(keys.map((key) => [key, wanted[key]]));
    return isDeepStrictEqual(comesTo(saved), comesTo({ ...saved, ...changed }));
  };
  if (others.length === 0 || harmless(others)) return;
  const key = others.find((each) => !harmless([each])) ?? others[0]!;
  throw new HistogradError(
    'run-mismatch',
    `${path} holds a run with another ${key}: ${text(key, saved[key]) ?? 'not set'} there, ${text(key, wanted[key]) ?? 'not set'} now.`,
    'Resume with the same options (they are in config.json), or choose another --out.',
  );
}

/** Fold names come from users' tables: they must not leave the folder, nor collide. */
function fileName(name: string): string {
  const safe = name.replace(/[^\w.-]/g, (c) => `%${c.codePointAt(0)!.toString(16)}`);
  return /^\.+$/.test(safe) ? `%${safe}` : safe;
}
