/**
 * A run on disk:
 *
 *     run/config.json  data.json  environment.json  summary.json  predictions.csv  report.html
 *     run/<model>/<fold>/<gene group>/metrics.jsonl  checkpoint.safetensors  best.safetensors  predictions.safetensors
 *
 * A group that has `predictions.safetensors` is finished.
 */
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type AtomicWriteFs, writeError, writeFileAtomic } from '../data/node/atomic-write.ts';
import { parseSafetensors, serializeSafetensors } from '../data/safetensors.ts';
import { HistogradError } from '../errors.ts';
import type { GroupRecord, GroupResult } from './cross-validate.ts';
import { type DataFingerprint, dataChange } from './data-fingerprint.ts';

/** The run folder's files by what they hold. */
export const RUN_FILES = {
  config: 'config.json',
  data: 'data.json',
  environment: 'environment.json',
  summary: 'summary.json',
  predictions: 'predictions.csv',
  report: 'report.html',
} as const;

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
 *   else), `run-mismatch` (a run of another config, or on other data), and those of reading and writing
 */
export async function openRunFolder(
  path: string,
  config: Readonly<Record<string, unknown>>,
  resume: boolean | null,
  { data, tuningMark, fs }: RunFolderOptions = {},
): Promise<RunFolder> {
  const found = await readOptional(join(path, RUN_FILES.config));
  const saved = found && (await hasResults(path)) ? found : null;
  const text = `${JSON.stringify(config, undefined, 2)}\n`;
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
    requireSameConfig(JSON.parse(saved.toString('utf8')), JSON.parse(text), path);
    if (data) requireSameData(await readOptional(join(path, RUN_FILES.data)), data, path);
    requireSameTuning(await readOptional(join(path, RUN_FILES.environment)), tuningMark, path);
  } else if (!found) await requireEmpty(path);
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
  const results = new Set<string>([CHECKPOINT, PREDICTIONS, RUN_FILES.summary]);
  const found = await readdir(path, { recursive: true });
  return found.some((name) => results.has(basename(name)));
}

const CHECKPOINT = 'checkpoint.safetensors';
const PREDICTIONS = 'predictions.safetensors';

function groupRecord(place: string, fs?: AtomicWriteFs): GroupRecord {
  const checkpoint = join(place, CHECKPOINT);
  const predictions = join(place, PREDICTIONS);
  return {
    place: checkpoint,
    loadCheckpoint: () => readOptional(checkpoint),
    saveCheckpoint: (bytes) => writeFileAtomic(checkpoint, bytes, fs),
    saveModel: (bytes) => writeFileAtomic(join(place, 'best.safetensors'), bytes, fs),
    writeMetrics: (position, lines) => writeAt(join(place, 'metrics.jsonl'), position, lines),
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
  const { tensors, metadata } = parseSafetensors(bytes, name);
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
  const training: Omit<GroupResult, 'predicted'> = JSON.parse(metadata.training ?? '{}');
  return { ...training, predicted };
}

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

async function requireEmpty(path: string): Promise<void> {
  const found = await readdir(path).catch(() => []);
  const others = found.filter((name) => !name.startsWith('.'));
  if (others.length === 0) return;
  throw new HistogradError(
    'out-not-empty',
    `${path} is not empty and holds no run: ${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}.`,
    'Choose a new folder with --out.',
  );
}

function requireSameData(saved: Buffer | null, now: DataFingerprint, path: string): void {
  const change = saved
    ? dataChange(JSON.parse(saved.toString('utf8')), now)
    : 'it has no data.json';
  if (change === null) return;
  throw new HistogradError(
    'run-mismatch',
    `${path} holds a run on other data: ${change}.`,
    'Bring back the data of that run, or train into a new folder with --out.',
  );
}

function requireSameTuning(saved: Buffer | null, now: string | undefined, path: string): void {
  const before: unknown = saved ? JSON.parse(saved.toString('utf8')).tuningMark : undefined;
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
): void {
  const text = (key: string, value: unknown) =>
    JSON.stringify(PATHS.has(key) && typeof value === 'string' ? resolve(value) : value);
  for (const key of new Set([...Object.keys(saved), ...Object.keys(wanted)])) {
    const [before, now] = [text(key, saved[key]), text(key, wanted[key])];
    if (before === now || TIMES.has(key)) continue;
    throw new HistogradError(
      'run-mismatch',
      `${path} holds a run with another ${key}: ${before ?? 'not set'} there, ${now ?? 'not set'} now.`,
      'Resume with the same options (they are in config.json), or choose another --out.',
    );
  }
}

/** Fold names come from users' tables: they must not leave the folder, nor collide. */
function fileName(name: string): string {
  const safe = name.replace(/[^\w.-]/g, (c) => `%${c.codePointAt(0)!.toString(16)}`);
  return /^\.+$/.test(safe) ? `%${safe}` : safe;
}
