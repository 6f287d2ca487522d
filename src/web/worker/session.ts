/** What is open in this tab: one data set, with a training or a trained model. */
import { HistogradError } from '../../errors.ts';
import { modelTitle } from '../../models/registry.ts';
import type { DatasetSummary, EngineEvent, RunState, TrainSettings } from '../protocol.ts';
import type { Dataset } from './dataset.ts';
import { type Deal, partsOfSlides } from './deal.ts';
import type { Finished } from './exports.ts';
import { foreignRun, scorablePart, type Told } from './foreign-model.ts';
import type { Gpu } from './gpu.ts';
import { OpenModel } from './open-model.ts';
import { Results } from './results.ts';
import { storedState } from './run-state.ts';
import { MODEL, type OpenFolder, type RunRecord } from './run-store.ts';
import { type RunContext, TrainingRun } from './training-run.ts';

/** A model with what it says of the open data. */
interface Shown {
  readonly model: OpenModel;
  readonly results: Results;
  readonly samples: Deal['samples'];
  /** Of a model that was not trained by the open run. */
  readonly run: RunState | null;
}

export class Session {
  readonly #gpu: Gpu;
  readonly #emit: (event: EngineEvent) => void;
  #dataset: Dataset | null = null;
  #run: TrainingRun | null = null;
  #shown: Shown | null = null;
  /** Lets other tabs have the finished run that is open. */
  #release: () => void = () => {};

  constructor(gpu: Gpu, emit: (event: EngineEvent) => void) {
    this.#gpu = gpu;
    this.#emit = emit;
  }

  /** @throws HistogradError `no-data` */
  get dataset(): Dataset {
    if (this.#dataset) return this.#dataset;
    throw new HistogradError('no-data', 'No data are open.', 'Open a data set first.');
  }

  /** @throws HistogradError `no-run` */
  get training(): TrainingRun {
    if (this.#run) return this.#run;
    throw new HistogradError('no-run', 'There is no training.', 'Begin one first.');
  }

  /** @throws HistogradError `no-model` */
  get shown(): Shown {
    if (this.#shown) return this.#shown;
    throw new HistogradError(
      'no-model',
      'There is no trained model yet.',
      'Train one to its end, or open one.',
    );
  }

  /** Whether a training computes now. */
  get busy(): boolean {
    return this.#run?.active ?? false;
  }

  /** Whether this tab holds the stored run. */
  holds(id: string): boolean {
    return id === this.#run?.state.id || id === this.#shown?.run?.id;
  }

  /** The open data, with the part of every slide where that is decided. */
  summary(): DatasetSummary {
    const { dataset } = this;
    const samples = this.#shown?.samples ?? this.#run?.samples;
    if (!samples) return dataset.summary;
    const parts = partsOfSlides(dataset, samples);
    const slides = dataset.summary.slides.map((slide, i) => ({ ...slide, part: parts[i]! }));
    return { ...dataset.summary, slides };
  }

  /** Puts another data set in the place of the open one. A training of that is paused, and can be opened again. */
  async take(dataset: Dataset): Promise<void> {
    await this.leaveRun();
    await this.#dataset?.close();
    this.#dataset = dataset;
  }

  /** Pauses a training that is under way, and lets other tabs have the run. */
  async leaveRun(): Promise<void> {
    await this.#run?.close();
    this.#run = null;
    this.#shown?.model.close();
    this.#shown = null;
    this.#release();
    this.#release = () => {};
  }

  /** Begins a training of the open data. */
  async begin(
    plan: Deal & { readonly totalSteps: number },
    settings: TrainSettings,
    createFolder: (id: string) => Promise<OpenFolder>,
  ): Promise<RunState> {
    await this.leaveRun();
    const id = crypto.randomUUID();
    const title = `${modelTitle(settings.model)} on ${this.dataset.summary.title}`;
    const folder = await createFolder(id);
    const whole = { ...plan, id, title, settings };
    this.#run = new TrainingRun(this.#context(plan.samples), folder, whole);
    this.#run.begin();
    return this.#run.state;
  }

  /** Goes on with a stored run of the open data, or shows its results when it is finished. */
  async goOn(record: RunRecord, { folder, release }: OpenFolder): Promise<RunState> {
    const context = this.#context(record.samples);
    if (record.phase === 'unfinished') {
      this.#run = new TrainingRun(context, { folder, release }, record, record);
      this.#run.begin();
      return this.#run.state;
    }
    const file = await folder.read(MODEL);
    if (!file) throw new Error(`run ${record.id} is finished, but has no model`);
    const run = storedState(record);
    this.#showOwn(new Uint8Array(await file.arrayBuffer()), record.samples, run);
    this.#release = release;
    return run;
  }

  /** Shows a model from elsewhere; until it is known to fit, what is open stays open. */
  async showForeign(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
    told: Told = {},
  ): Promise<RunState> {
    const { dataset } = this;
    const model = new OpenModel(this.#gpu, name, bytes);
    await model.requireFit(dataset);
    const { part, run } = await model.use(async (_, trained) => {
      const { notes, ...part } = scorablePart(dataset, trained);
      return { part, run: foreignRun(name, dataset, trained, { notes, ...told }) };
    });
    await this.leaveRun();
    const results = new Results(model, dataset, part, this.onTask);
    this.#shown = { model, results, samples: part.split, run };
    this.#emit({ type: 'run', run });
    return run;
  }

  /** All that exports need of a run that has ended. */
  async finished(trained: Finished['trained']): Promise<Finished> {
    const { results, samples, run } = this.shown;
    return {
      run: run ?? this.training.state,
      dataset: this.dataset,
      trained,
      scored: await results.scored(),
      train: samples.train,
    };
  }

  readonly onTask = (label: string, done: number, total: number): void => {
    this.#emit({ type: 'task', label, done, total });
  };

  #context(samples: Deal['samples']): RunContext {
    return {
      gpu: this.#gpu,
      dataset: this.dataset,
      emit: this.#emit,
      onModel: (bytes) => this.#showOwn(bytes, samples, null),
    };
  }

  #showOwn(bytes: Uint8Array<ArrayBuffer>, samples: Deal['samples'], run: RunState | null): void {
    const model = new OpenModel(this.#gpu, 'The model of this run', bytes);
    const part = { part: 'test', samples: samples.test } as const;
    const results = new Results(model, this.dataset, part, this.onTask);
    this.#shown = { model, results, samples, run };
  }
}
