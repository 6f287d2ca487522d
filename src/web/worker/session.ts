/** What is open in this tab: one data set, with a training or a trained model. */
import { HistogradError } from '../../errors.ts';
import { modelTitle } from '../../models/registry.ts';
import type { DatasetSummary, EngineEvent, RunState, TrainSettings } from '../protocol.ts';
import type { Dataset, OnTask } from './dataset.ts';
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

type ForeignShown = Shown & { readonly run: RunState };

/** A model from elsewhere. */
export interface Foreign {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly told?: Told;
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

  /** The same with a model from elsewhere; what is open stays open where that does not fit the data. */
  async takeForeign(dataset: Dataset, foreign: Foreign): Promise<RunState> {
    const shown = await orClose(dataset, this.#fit(dataset, foreign));
    await this.take(dataset);
    return this.#showFitting(shown);
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
    const id = crypto.randomUUID();
    const title = `${modelTitle(settings.model)} on ${this.dataset.summary.title}`;
    const folder = await createFolder(id);
    await this.leaveRun();
    const whole = { ...plan, id, title, settings };
    this.#run = new TrainingRun(this.#context(plan.samples), folder, whole);
    this.#run.begin();
    return this.#run.state;
  }

  /** Takes a stored run with its data: goes on with it, or shows its results when it is finished. */
  async takeRun(dataset: Dataset, record: RunRecord, open: OpenFolder): Promise<RunState> {
    const model =
      record.phase === 'finished' && (await orClose(dataset, storedModel(record, open)));
    await this.take(dataset);
    if (!model) {
      this.#run = new TrainingRun(this.#context(record.samples), open, record, record);
      this.#run.begin();
      return this.#run.state;
    }
    const run = storedState(record);
    this.#showOwn(model, record.samples, run);
    this.#release = open.release;
    return run;
  }

  /** Shows a model from elsewhere on the open data; what is open stays open where it does not fit. */
  async showForeign(foreign: Foreign): Promise<RunState> {
    const shown = await this.#fit(this.dataset, foreign);
    await this.leaveRun();
    return this.#showFitting(shown);
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

  readonly onTask: OnTask = (label, done, total) => {
    this.#emit({ type: 'task', label, done, total });
  };

  async #fit(dataset: Dataset, { name, bytes, told }: Foreign): Promise<ForeignShown> {
    const model = new OpenModel(this.#gpu, name, bytes);
    try {
      await model.requireFit(dataset);
      const { part, run } = await model.use(async (_, trained) => {
        const { notes, ...part } = scorablePart(dataset, trained);
        return { part, run: foreignRun(name, dataset, trained, { notes, ...told }) };
      });
      const results = new Results(model, dataset, part, this.onTask);
      return { model, results, samples: part.split, run };
    } catch (error) {
      model.close();
      throw error;
    }
  }

  #showFitting(shown: ForeignShown): RunState {
    this.#shown = shown;
    this.#emit({ type: 'run', run: shown.run });
    return shown.run;
  }

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

/** Data that are not taken in the end are closed. */
async function orClose<T>(dataset: Dataset, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

async function storedModel(
  { id }: RunRecord,
  { folder }: OpenFolder,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await folder.read(MODEL);
  if (!file) throw new Error(`run ${id} is finished, but has no model`);
  return new Uint8Array(await file.arrayBuffer());
}
