/**
 * One training as the page sees it: begun, paused, resumed, stopped, carried over a lost device, kept in the browser's
 * storage. What it computes is `train()`; a pause is its interruption, and going on is resuming from its checkpoint.
 */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { checkpointProgress } from '../../training/checkpoint.ts';
import type { TrainingRecord, TrainProgress, TrainTask } from '../../training/task.ts';
import { type TrainResult, train } from '../../training/train.ts';
import { serializeModel } from '../../training/trained-model.ts';
import type { EngineEvent, RunState } from '../protocol.ts';
import type { Dataset } from './dataset.ts';
import type { Deal } from './deal.ts';
import { toEngineError } from './errors.ts';
import { type Gpu, isLoss } from './gpu.ts';
import { Pace } from './pace.ts';
import { newState, type RunPlan, storedState } from './run-state.ts';
import {
  CHECKPOINT,
  DATA,
  MODEL,
  type OpenFolder,
  type RunRecord,
  writeRecord,
} from './run-store.ts';
import { chosenGenes, pickColumns, trainOptions } from './settings.ts';
import { throttle } from './throttle.ts';

/** Devices lost in a row, without a checkpoint in between, after which it is given up. */
const MAX_LOSSES = 3;
const EVENT_MILLISECONDS = 100;
/** Seconds between checkpoints, and how many bytes of checkpoint add another second. */
const CHECKPOINT_SECONDS = 2;
const CHECKPOINT_BYTES_PER_SECOND = 20e6;

export interface RunContext {
  readonly gpu: Gpu;
  readonly dataset: Dataset;
  readonly emit: (event: EngineEvent) => void;
  /** Called once, with the content of the model file. */
  readonly onModel: (model: Uint8Array<ArrayBuffer>) => void;
}

export class TrainingRun {
  readonly #context: RunContext;
  readonly #store: OpenFolder;
  readonly #samples: Deal['samples'];
  readonly #publish: { soon(): void; now(): void };
  readonly #pace = new Pace();
  #state: RunState;
  /** When aborted, `train` ends with a checkpoint. */
  #pauseSwitch = { aborted: false };
  readonly #stopSwitch = { aborted: false };
  #driving: Promise<void> | null = null;
  /** Whether the data are kept beside the run: only then there is something to open again. */
  readonly #saved: Promise<boolean>;
  /** Of the training so far, before it was last resumed. */
  #earlierSeconds = 0;
  #losses = 0;
  #checkpointBytes = 0;
  /** Instead of the storage, when that is full. */
  #inMemory: Uint8Array | null = null;
  #device: Device | null = null;

  /** @param record of a run that was stored before; a new one otherwise, whose data are stored meanwhile */
  constructor(
    context: RunContext,
    store: OpenFolder,
    { samples, ...plan }: RunPlan,
    record?: RunRecord,
  ) {
    this.#context = context;
    this.#store = store;
    this.#samples = samples;
    this.#state = record ? storedState(record) : newState(plan);
    this.#publish = throttle(
      () => context.emit({ type: 'run', run: this.#state }),
      EVENT_MILLISECONDS,
    );
    this.#saved = record ? Promise.resolve(true) : this.#saveData();
  }

  get samples(): Deal['samples'] {
    return this.#samples;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Whether it computes now. */
  get active(): boolean {
    return this.#driving !== null;
  }

  /** Begins, or goes on from the last checkpoint; comes back at once. */
  begin(): void {
    if (this.#driving) return;
    this.#pauseSwitch = { aborted: false };
    this.#update({ phase: 'preparing', error: null }, true);
    this.#driving = this.#drive().finally(() => {
      this.#driving = null;
    });
  }

  /** Goes on from the last checkpoint, after a pause or a failure. */
  resume(): void {
    if (this.#state.phase !== 'finished') this.begin();
  }

  /** Comes back when the checkpoint is stored, or the training has ended before. */
  async pause(): Promise<void> {
    this.#pauseSwitch.aborted = true;
    await this.#driving;
    await this.#saved;
  }

  /** Ends with the parameters it has; comes back when the model is stored. */
  async stop(): Promise<void> {
    this.#stopSwitch.aborted = true;
    // A pause under way ends first.
    if (this.#pauseSwitch.aborted) await this.#driving;
    this.resume();
    await this.#driving;
  }

  /** Pauses, and lets other tabs have the run. */
  async close(): Promise<void> {
    await this.pause();
    this.#store.release();
  }

  async #drive(): Promise<void> {
    for (;;) {
      try {
        const device = await this.#context.gpu.device();
        this.#device = device;
        await this.#finish(await train(this.#task(device)));
        return;
      } catch (error) {
        if (error instanceof HistogradError && error.code === 'interrupted') {
          this.#update({ phase: 'paused', secondsLeft: null, stepsPerSecond: null }, true);
          return;
        }
        const plain = toEngineError(error);
        if (!isLoss(error)) {
          if (plain.code === 'unexpected') console.error(error);
          this.#update({ phase: 'failed', error: plain }, true);
          return;
        }
        if (++this.#losses > MAX_LOSSES) {
          const problem = `The GPU was lost ${this.#losses} times in a row (${plain.problem}).`;
          const advice =
            'It may be overloaded: choose smaller settings, close other pages that use it, or restart the browser. The run can be resumed from its last checkpoint.';
          this.#update({ phase: 'failed', error: { code: plain.code, problem, advice } }, true);
          return;
        }
        this.#update({ phase: 'recovering', error: plain, secondsLeft: null }, true);
      }
    }
  }

  #task(device: Device): TrainTask {
    const { dataset } = this.#context;
    const { settings } = this.#state;
    const { names, columns } = chosenGenes(settings, dataset);
    const options = trainOptions(settings, dataset, names.length);
    const seconds = () => CHECKPOINT_SECONDS + this.#checkpointBytes / CHECKPOINT_BYTES_PER_SECOND;
    const targets = dataset.targets ?? new Float32Array();
    this.#earlierSeconds = this.#state.seconds;
    this.#pace.restart();
    return {
      device,
      source: dataset.source,
      genes: names,
      targets: pickColumns(targets, dataset.summary.genes.length, columns),
      split: this.#samples,
      kind: settings.model,
      modelOptions: settings.modelOptions,
      options: {
        ...options,
        get checkpointSeconds() {
          return seconds();
        },
      },
      record: this.#record(),
      signal: this.#pauseSwitch,
      finishEarly: this.#stopSwitch,
      onProgress: (progress) => this.#progress(progress),
    };
  }

  #progress({ epoch, step, totalSteps, peakBytes, loss, point }: TrainProgress): void {
    this.#pace.at(step);
    const { live } = this.#device?.memory ?? { live: 0 };
    const rate = this.#pace.stepsPerSecond;
    const ending = step >= totalSteps || this.#stopSwitch.aborted;
    this.#update({
      phase: ending ? 'finishing' : 'training',
      error: null,
      // `train` reports the epoch under way.
      epoch: point ? point.epoch : epoch - 1,
      step,
      totalSteps,
      seconds: this.#earlierSeconds + this.#pace.seconds,
      stepsPerSecond: rate,
      secondsLeft: rate === null ? null : Math.max(0, totalSteps - step) / rate,
      liveBytes: live,
      peakBytes,
      ...(loss !== undefined && { loss }),
      ...(point && { points: [...this.#state.points, point] }),
    });
  }

  #record(): TrainingRecord {
    const { folder } = this.#store;
    return {
      place: 'the storage of this browser',
      loadCheckpoint: async () => {
        const file = await folder.read(CHECKPOINT);
        const bytes = this.#inMemory ?? (file && new Uint8Array(await file.arrayBuffer()));
        const done = bytes && checkpointProgress(bytes, CHECKPOINT);
        this.#earlierSeconds = done?.seconds ?? 0;
        const { step = 0, epoch = 0, points = [] } = done ?? {};
        this.#update({ step, epoch, points, seconds: this.#earlierSeconds });
        return bytes;
      },
      saveCheckpoint: async (bytes) => {
        this.#checkpointBytes = bytes.byteLength;
        this.#losses = 0;
        try {
          await folder.write(CHECKPOINT, new Uint8Array(bytes));
          this.#inMemory = null;
          await this.#writeRecord('unfinished');
        } catch (error) {
          this.#keepInMemory(error, bytes);
        }
      },
      // The curve is in the checkpoint; a log of every step has no reader here.
      writeMetrics: async (position) => position,
    };
  }

  /** A full disk is no reason to stop. */
  #keepInMemory(error: unknown, bytes: Uint8Array): void {
    if (!this.#inMemory)
      this.#note(`${toEngineError(error).problem} Keep this tab open: the run is not stored.`);
    this.#inMemory = bytes;
  }

  async #saveData(): Promise<boolean> {
    const { folder } = this.#store;
    try {
      await this.#context.dataset.save(await folder.folder(DATA));
      await writeRecord(folder, this.#recordOf('unfinished'));
      return true;
    } catch (error) {
      const { problem } = toEngineError(error);
      this.#note(`${problem} Keep this tab open: the run cannot be opened again.`);
      return false;
    }
  }

  async #finish(result: TrainResult): Promise<void> {
    this.#update({ phase: 'finishing', secondsLeft: null }, true);
    const { dataset, onModel } = this.#context;
    const { folder } = this.#store;
    try {
      const seen = [...this.#samples.train, ...this.#samples.validation].sort((a, b) => a - b);
      const samples = seen.map((sample) => dataset.source.slides[sample]!);
      const provenance = {
        transform: dataset.transform,
        slides: samples.map(({ id }) => id),
        patients: [...new Set(samples.map(({ id, patient }) => patient ?? id))],
        ...(dataset.source.settings && { features: dataset.source.settings }),
      };
      const model = await serializeModel({ ...result, provenance });
      const { points, seconds, peakBytes, bestEpoch } = result;
      const early = bestEpoch > 0 && bestEpoch < points.length;
      if (early)
        this.#note(`The parameters of epoch ${bestEpoch} were kept: the best by validation.`);
      this.#update({ points, seconds, peakBytes: Math.max(this.#state.peakBytes, peakBytes) });
      try {
        await folder.write(MODEL, model);
        await this.#writeRecord('finished');
        await folder.remove(CHECKPOINT);
      } catch (error) {
        this.#note(`${toEngineError(error).problem} Export the model: it is not stored.`);
      }
      onModel(model);
    } finally {
      result.model.dispose();
    }
    this.#update({ phase: 'finished', secondsLeft: 0 }, true);
  }

  async #writeRecord(phase: RunRecord['phase']): Promise<void> {
    if (await this.#saved) await writeRecord(this.#store.folder, this.#recordOf(phase));
  }

  #recordOf(phase: RunRecord['phase']): RunRecord {
    const { id, title, settings, split, notes, epoch, step, totalSteps } = this.#state;
    const { seconds, peakBytes, points } = this.#state;
    if (!split) throw new Error('a training has a split');
    return {
      version: 1,
      ...{ id, title, settings, split, notes, phase, epoch, step, totalSteps },
      ...{ seconds, peakBytes, points },
      samples: this.#samples,
      changed: Date.now(),
    };
  }

  #note(text: string): void {
    if (this.#state.notes.includes(text)) return;
    this.#update({ notes: [...this.#state.notes, text] }, true);
  }

  #update(change: Partial<RunState>, now = false): void {
    this.#state = { ...this.#state, ...change };
    if (now) this.#publish.now();
    else this.#publish.soon();
  }
}
