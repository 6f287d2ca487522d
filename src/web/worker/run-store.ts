/**
 * The runs kept in the browser's storage, a folder each:
 *
 *     runs/<id>/run.json  checkpoint.safetensors (unfinished)  model.safetensors (finished)  data/…
 *
 * `run.json` comes last and is replaced at every checkpoint: a folder without it is what is left of a tab that was
 * closed too early. A tab holds a lock on the run it works on.
 */
import type { Split as SampleSplit } from '../../data/splits.ts';
import { HistogradError } from '../../errors.ts';
import type { CurvePoint } from '../../report/types.ts';
import type { Split, StoredRun, TrainSettings } from '../protocol.ts';
import { type Folder, MemoryFolder, openStorage } from './folder.ts';

/** What `run.json` holds. */
export interface RunRecord {
  readonly version: 1;
  readonly id: string;
  readonly title: string;
  readonly settings: TrainSettings;
  readonly split: Split;
  readonly samples: SampleSplit;
  readonly notes: readonly string[];
  readonly phase: 'unfinished' | 'finished';
  /** Epochs done. */
  readonly epoch: number;
  readonly step: number;
  readonly totalSteps: number;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly points: readonly CurvePoint[];
  /** Milliseconds since 1970. */
  readonly changed: number;
}

const RECORD = 'run.json';
export const CHECKPOINT = 'checkpoint.safetensors';
export const MODEL = 'model.safetensors';
export const DATA = 'data';

/** Milliseconds to wait for a tab that is being closed or reloaded. */
const LOCK_PATIENCE = 2000;

/** A run that this tab works on. */
export interface OpenFolder {
  readonly folder: Folder;
  /** Lets other tabs have it. */
  release(): void;
}

export class RunStore {
  readonly #root: Folder;
  /** False where runs end with the tab. */
  readonly lasting: boolean;

  private constructor(root: Folder, lasting: boolean) {
    this.#root = root;
    this.lasting = lasting;
  }

  /** In memory where the browser gives no storage. */
  static async open(): Promise<RunStore> {
    try {
      const store = new RunStore(await openStorage('runs'), true);
      // What is left there harms nobody.
      await store.#clean().catch(() => {});
      return store;
    } catch (error) {
      if (error instanceof HistogradError && error.code === 'no-storage')
        return new RunStore(new MemoryFolder(), false);
      throw error;
    }
  }

  /** A new run's folder; it counts as a run when its record is written. */
  async create(id: string): Promise<OpenFolder> {
    const release = await lock(id);
    return { folder: await this.#root.folder(id), release };
  }

  /** @throws HistogradError `no-run`, `run-in-use` */
  async open(id: string): Promise<OpenFolder & { record: RunRecord }> {
    const release = await lock(id);
    try {
      const folder = await this.#root.folder(id);
      const record = await readRecord(folder);
      if (record) return { folder, release, record };
      if (!(await folder.read(RECORD))) await this.#root.remove(id);
      throw new HistogradError(
        'no-run',
        'This run is no longer stored, or another version of this page stored it.',
        'Choose another one.',
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The latest first. */
  async list(): Promise<StoredRun[]> {
    const runs: StoredRun[] = [];
    for (const id of await this.#root.folders()) {
      const folder = await this.#root.folder(id);
      const record = await readRecord(folder);
      if (!record) continue;
      const { title, settings, phase, epoch, changed } = record;
      const bytes = await folder.bytes();
      const { model, epochs } = settings;
      runs.push({ id, title, model, phase, epoch, epochs, changed, bytes });
    }
    return runs.sort((a, b) => b.changed - a.changed);
  }

  /** @throws HistogradError `run-in-use` */
  async remove(id: string): Promise<void> {
    const release = await lock(id);
    await this.#root.remove(id).finally(release);
  }

  /** Removes what tabs left that were closed before their run was stored. */
  async #clean(): Promise<void> {
    const { held = [] } = await navigator.locks.query();
    const inUse = new Set(held.map(({ name }) => name));
    for (const id of await this.#root.folders()) {
      if (inUse.has(lockName(id))) continue;
      const folder = await this.#root.folder(id);
      if (!(await folder.read(RECORD))) await this.#root.remove(id);
    }
  }
}

export async function writeRecord(folder: Folder, record: RunRecord): Promise<void> {
  await folder.write(RECORD, new TextEncoder().encode(JSON.stringify(record)));
}

/** Null where there is none, or none that this version can read. */
async function readRecord(folder: Folder): Promise<RunRecord | null> {
  const file = await folder.read(RECORD);
  if (!file) return null;
  const record: RunRecord | null = await file
    .text()
    .then(JSON.parse)
    .catch(() => null);
  return record?.version === 1 ? record : null;
}

function lockName(id: string): string {
  return `histograd-run-${id}`;
}

async function lock(id: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(lockName(id), { signal: AbortSignal.timeout(LOCK_PATIENCE) }, () => {
        return new Promise<void>((release) => resolve(release));
      })
      .catch((cause: unknown) =>
        reject(
          new HistogradError(
            'run-in-use',
            'This run is open in another tab.',
            'Go on in that tab, or close it and try again.',
            { cause },
          ),
        ),
      );
  });
}
