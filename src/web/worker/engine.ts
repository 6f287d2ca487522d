/** The engine of the page: one data set is open at a time, with a training or a trained model. */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { type ModelKind, modelTitle } from '../../models/registry.ts';
import { checkTask } from '../../training/check-task.ts';
import type {
  AdapterCard,
  BenchRow,
  DatasetSummary,
  DroppedFile,
  Engine,
  EngineEvent,
  GeneMap,
  GeneScatter,
  Intake,
  OpenOptions,
  Places,
  RunState,
  Scores,
  StoredRun,
  TrainPlan,
  TrainSettings,
} from '../protocol.ts';
import { adapterCard } from './adapter-card.ts';
import type { Dataset, DatasetFolder } from './dataset.ts';
import { type Deal, deal, partsOfSlides } from './deal.ts';
import {
  type Finished,
  mapFile,
  predictionsFile,
  reportFile,
  unscoredPredictionsFile,
} from './exports.ts';
import { foreignRun, scorablePart, type Told } from './foreign-model.ts';
import { Gpu } from './gpu.ts';
import { OpenModel } from './open-model.ts';
import { Results, type ScoredPart, slideIndex } from './results.ts';
import { DATA, MODEL, type RunRecord, RunStore } from './run-store.ts';
import {
  chosenGenes,
  defaultSettings,
  genesByVariance,
  pickColumns,
  trainOptions,
} from './settings.ts';
import { type RunContext, storedState, TrainingRun } from './training-run.ts';

type OnTask = (label: string, done: number, total: number) => void;

/** Where data come from. */
export interface DataDoor {
  openSimulated(): Promise<Dataset>;
  inspectFiles(files: readonly DroppedFile[]): Promise<Intake>;
  openFiles(
    files: readonly DroppedFile[],
    options: OpenOptions,
    device: Device,
    onTask: OnTask,
  ): Promise<Dataset>;
  openSaved(folder: DatasetFolder, device: Device): Promise<Dataset>;
}

export interface EngineParts {
  readonly data: () => Promise<DataDoor>;
  /** Compiles kernels ahead, once the engine has started. */
  readonly warmUp?: (device: Device) => Promise<void>;
  /** For tests. */
  readonly openDevice?: () => Promise<Device>;
}

/** A model with what it says of the open data. */
interface Shown {
  readonly model: OpenModel;
  readonly results: Results;
  readonly samples: Deal['samples'];
  /** Of a model that was not trained by the open run. */
  readonly run: RunState | null;
}

export class AppEngine implements Engine {
  readonly #data: () => Promise<DataDoor>;
  readonly #warmUp: EngineParts['warmUp'];
  readonly #gpu: Gpu;
  #listen: (event: EngineEvent) => void = () => {};
  #store: Promise<RunStore> | null = null;
  #dataset: Dataset | null = null;
  #run: TrainingRun | null = null;
  #shown: Shown | null = null;
  /** Lets other tabs have the finished run that is open. */
  #release: () => void = () => {};
  /** What changes the state is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ data, warmUp, openDevice }: EngineParts) {
    this.#data = data;
    this.#warmUp = warmUp;
    const text = 'The GPU went away and came back.';
    this.#gpu = new Gpu(() => this.#listen({ type: 'notice', text }), openDevice);
  }

  async start(listen: (event: EngineEvent) => void): Promise<AdapterCard> {
    this.#listen = listen;
    const card = await this.#gpu.use(adapterCard);
    if (!(await this.#runs()).lasting) {
      const text = 'This browser gives the page no storage: runs are lost when the tab is closed.';
      listen({ type: 'notice', text });
    }
    // What goes wrong here will go wrong again where somebody waits for it.
    if (this.#warmUp) this.#gpu.use(this.#warmUp).catch(() => {});
    return card;
  }

  openSimulated(): Promise<DatasetSummary> {
    return this.#alone(async () => {
      const door = await this.#data();
      return this.#take(await door.openSimulated());
    });
  }

  openExample(): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      const door = await this.#data();
      const { loadExample } = await import('./example.ts');
      const { name, model, told } = await loadExample();
      await this.#take(await door.openSimulated());
      const run = await this.#show(name, model, told);
      return { dataset: this.#summary(), run };
    });
  }

  async inspectFiles(files: readonly DroppedFile[]): Promise<Intake> {
    return (await this.#data()).inspectFiles(files);
  }

  openFiles(
    files: readonly DroppedFile[],
    options: OpenOptions,
  ): Promise<{ dataset: DatasetSummary; run: RunState | null }> {
    return this.#alone(async () => {
      const door = await this.#data();
      const dataset = await this.#gpu.use((device) =>
        door.openFiles(files, options, device, this.#onTask),
      );
      await this.#take(dataset);
      const { model } = dataset;
      const run = model ? await this.#show(model.name, new Uint8Array(model.bytes)) : null;
      return { dataset: this.#summary(), run };
    });
  }

  async defaults(model: ModelKind): Promise<TrainSettings> {
    return defaultSettings(model, this.#open());
  }

  async genesByVariance(): Promise<readonly string[]> {
    return genesByVariance(this.#open());
  }

  async plan(settings: TrainSettings): Promise<TrainPlan> {
    const { split, totalSteps } = await this.#plan(settings);
    return { split, totalSteps };
  }

  train(settings: TrainSettings): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      const plan = await this.#plan(settings);
      await this.#leaveRun();
      const id = crypto.randomUUID();
      const title = `${modelTitle(settings.model)} on ${this.#open().summary.title}`;
      const folder = await (await this.#runs()).create(id);
      const run = new TrainingRun(this.#context(plan.samples), folder, {
        ...{ ...plan, id, title, settings },
      });
      this.#run = run;
      run.begin();
      return { dataset: this.#summary(plan.samples), run: run.state };
    });
  }

  async pause(): Promise<void> {
    await this.#training().pause();
  }

  async resume(): Promise<void> {
    this.#training().resume();
  }

  async stop(): Promise<void> {
    await this.#training().stop();
  }

  async storedRuns(): Promise<readonly StoredRun[]> {
    return (await this.#runs()).list();
  }

  openRun(id: string): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      // It would wait for itself.
      if (this.#isOpen(id)) await this.#leaveRun();
      const { folder, release, record } = await (await this.#runs()).open(id);
      try {
        const door = await this.#data();
        const saved = await folder.folder(DATA);
        await this.#take(await this.#gpu.use((device) => door.openSaved(saved, device)));
        const dataset = this.#summary(record.samples);
        if (record.phase === 'finished') {
          const file = await folder.read(MODEL);
          if (!file) throw new Error(`run ${id} is finished, but has no model`);
          const model = new Uint8Array(await file.arrayBuffer());
          const state = storedState(record);
          this.#showOwn(model, record, state);
          this.#release = release;
          return { dataset, run: state };
        }
        const context = this.#context(record.samples);
        this.#run = new TrainingRun(context, { folder, release }, record, record);
        this.#run.begin();
        return { dataset, run: this.#run.state };
      } catch (error) {
        release();
        throw error;
      }
    });
  }

  deleteRun(id: string): Promise<void> {
    return this.#alone(async () => {
      if (this.#run?.active && this.#run.state.id === id) {
        throw new HistogradError('busy', 'This run is training.', 'Pause it first.');
      }
      if (this.#isOpen(id)) await this.#leaveRun();
      await (await this.#runs()).remove(id);
    });
  }

  openModel(file: File): Promise<RunState> {
    return this.#alone(async () => {
      this.#open();
      const bytes = new Uint8Array(await file.arrayBuffer());
      return this.#show(file.name, bytes);
    });
  }

  async scores(): Promise<Scores> {
    return this.#results().results.scores();
  }

  async scatter(gene: string): Promise<GeneScatter> {
    return this.#results().results.scatter(gene);
  }

  async places(slide: string): Promise<Places> {
    const dataset = this.#open();
    return dataset.places(slideIndex(dataset, slide));
  }

  async map(slide: string, gene: string): Promise<GeneMap> {
    return this.#results().results.map(slide, gene);
  }

  async attention(slide: string): Promise<Float32Array | null> {
    return this.#results().results.attention(slide);
  }

  async pictureTile(slide: string, level: number, column: number, row: number) {
    const dataset = this.#open();
    return dataset.pictureTile(slideIndex(dataset, slide), level, column, row);
  }

  async exportModel(): Promise<Blob> {
    return new Blob([this.#results().model.bytes], { type: 'application/octet-stream' });
  }

  async exportPredictions(): Promise<Blob> {
    const { model, results } = this.#results();
    const { samples, known } = await results.scored();
    return model.use(async (device, trained) =>
      samples.length > 0 && known.length > 0
        ? predictionsFile(await this.#finished(trained))
        : unscoredPredictionsFile(device, this.#open(), trained),
    );
  }

  async exportMap(slide: string, gene: string): Promise<Blob> {
    return mapFile(await this.places(slide), await this.map(slide, gene));
  }

  async exportReport(): Promise<Blob> {
    const { model } = this.#results();
    return model.use(async (device, trained) => reportFile(device, await this.#finished(trained)));
  }

  async bench(): Promise<readonly BenchRow[]> {
    if (this.#run?.active) {
      throw new HistogradError(
        'busy',
        'A training is using the GPU: the times would say nothing.',
        'Pause it, or wait for its end.',
      );
    }
    const { quickBench } = await import('./bench.ts');
    return quickBench(this.#onTask);
  }

  readonly #onTask: OnTask = (label, done, total) => {
    this.#listen({ type: 'task', label, done, total });
  };

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #runs(): Promise<RunStore> {
    this.#store ??= RunStore.open();
    return this.#store;
  }

  /** Puts another data set in the place of the open one. A training of that is paused, and can be opened again. */
  async #take(dataset: Dataset): Promise<DatasetSummary> {
    await this.#leaveRun();
    await this.#dataset?.close();
    this.#dataset = dataset;
    return dataset.summary;
  }

  async #leaveRun(): Promise<void> {
    await this.#run?.close();
    this.#run = null;
    this.#shown?.model.close();
    this.#shown = null;
    this.#release();
    this.#release = () => {};
  }

  /** Whether this tab holds the stored run. */
  #isOpen(id: string): boolean {
    return id === this.#run?.state.id || id === this.#shown?.run?.id;
  }

  #summary(samples = this.#shown?.samples): DatasetSummary {
    const dataset = this.#open();
    if (!samples) return dataset.summary;
    const parts = partsOfSlides(dataset, samples);
    const slides = dataset.summary.slides.map((slide, i) => ({ ...slide, part: parts[i]! }));
    return { ...dataset.summary, slides };
  }

  async #plan(settings: TrainSettings): Promise<Deal & { totalSteps: number }> {
    const dataset = this.#open();
    const { summary, targets, source } = dataset;
    if (!targets) {
      throw new HistogradError(
        'no-truth',
        'These data have no expression to learn from.',
        'Open them together with a table of expression, or open a trained model to predict them.',
      );
    }
    const { names, columns } = chosenGenes(settings, dataset);
    const options = trainOptions(settings, dataset, names.length);
    const dealt = await deal(dataset, settings);
    const { model: kind, modelOptions } = settings;
    const device = await this.#gpu.device();
    checkTask({
      ...{ device, source, genes: names, kind, modelOptions, options },
      targets: pickColumns(targets, summary.genes.length, columns),
      split: dealt.samples,
    });
    const trains = kind !== 'knn' && kind !== 'ridge';
    const steps = Math.ceil(dealt.samples.train.length / settings.batchSize);
    return { ...dealt, totalSteps: trains ? settings.epochs * steps : 0 };
  }

  #context(samples: Deal['samples']): RunContext {
    return {
      gpu: this.#gpu,
      dataset: this.#open(),
      emit: (event) => this.#listen(event),
      onModel: (bytes) => this.#showOwn(bytes, { samples }, null),
    };
  }

  /** Shows what the open run, or a stored one, has learnt. */
  #showOwn(
    bytes: Uint8Array<ArrayBuffer>,
    { samples }: Pick<RunRecord, 'samples'>,
    run: RunState | null,
  ): void {
    const model = new OpenModel(this.#gpu, 'The model of this run', bytes);
    const part: ScoredPart = { part: 'test', samples: samples.test };
    const results = new Results(model, this.#open(), part, this.#onTask);
    this.#shown = { model, results, samples, run };
  }

  /** Shows a model from elsewhere. */
  async #show(name: string, bytes: Uint8Array<ArrayBuffer>, told: Told = {}): Promise<RunState> {
    const dataset = this.#open();
    const model = new OpenModel(this.#gpu, name, bytes);
    await model.requireFit(dataset);
    const { part, run } = await model.use(async (_, trained) => {
      const { notes, ...part } = scorablePart(dataset, trained);
      return { part, run: foreignRun(name, dataset, trained, { notes, ...told }) };
    });
    // Only now: a file that does not fit must not end what is open.
    await this.#leaveRun();
    const results = new Results(model, dataset, part, this.#onTask);
    this.#shown = { model, results, samples: part.split, run };
    this.#listen({ type: 'run', run });
    return run;
  }

  async #finished(trained: Finished['trained']): Promise<Finished> {
    const { results, samples, run } = this.#results();
    return {
      run: run ?? this.#training().state,
      dataset: this.#open(),
      trained,
      scored: await results.scored(),
      train: samples.train,
    };
  }

  #open(): Dataset {
    if (this.#dataset) return this.#dataset;
    throw new HistogradError('no-data', 'No data are open.', 'Open a data set first.');
  }

  #training(): TrainingRun {
    if (this.#run) return this.#run;
    throw new HistogradError('no-run', 'There is no training.', 'Begin one first.');
  }

  #results(): Shown {
    if (this.#shown) return this.#shown;
    throw new HistogradError(
      'no-model',
      'There is no trained model yet.',
      'Train one to its end, or open one.',
    );
  }
}
