/** The engine of the page. */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import type { ModelKind } from '../../models/registry.ts';
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
import type { Dataset, DatasetFolder, OnTask } from './dataset.ts';
import { mapFile, predictionsFile, reportFile, unscoredPredictionsFile } from './exports.ts';
import { Gpu } from './gpu.ts';
import { planTraining } from './plan-training.ts';
import { slideIndex } from './results.ts';
import { DATA, RunStore } from './run-store.ts';
import { Session } from './session.ts';
import { defaultSettings, genesByVariance } from './settings.ts';

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

export class AppEngine implements Engine {
  readonly #data: () => Promise<DataDoor>;
  readonly #warmUp: EngineParts['warmUp'];
  readonly #gpu: Gpu;
  readonly #session: Session;
  #listen: (event: EngineEvent) => void = () => {};
  #store: Promise<RunStore> | null = null;
  /** What changes the session is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ data, warmUp, openDevice }: EngineParts) {
    this.#data = data;
    this.#warmUp = warmUp;
    const text = 'The GPU went away and came back.';
    this.#gpu = new Gpu(() => this.#listen({ type: 'notice', text }), openDevice);
    this.#session = new Session(this.#gpu, (event) => this.#listen(event));
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
      await this.#session.take(await door.openSimulated());
      return this.#session.summary();
    });
  }

  openExample(): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      const door = await this.#data();
      const { loadExample } = await import('./example.ts');
      const example = await loadExample();
      const run = await this.#session.takeForeign(await door.openSimulated(), example);
      return { dataset: this.#session.summary(), run };
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
        door.openFiles(files, options, device, this.#session.onTask),
      );
      const { model } = dataset;
      if (!model) {
        await this.#session.take(dataset);
        return { dataset: this.#session.summary(), run: null };
      }
      const bytes = new Uint8Array(model.bytes);
      const run = await this.#session.takeForeign(dataset, { name: model.name, bytes });
      return { dataset: this.#session.summary(), run };
    });
  }

  async defaults(model: ModelKind): Promise<TrainSettings> {
    return defaultSettings(model, this.#session.dataset);
  }

  async genesByVariance(): Promise<readonly string[]> {
    return genesByVariance(this.#session.dataset);
  }

  async plan(settings: TrainSettings): Promise<TrainPlan> {
    const { split, totalSteps } = await this.#plan(settings);
    return { split, totalSteps };
  }

  train(settings: TrainSettings): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      const plan = await this.#plan(settings);
      const store = await this.#runs();
      const run = await this.#session.begin(plan, settings, (id) => store.create(id));
      return { dataset: this.#session.summary(), run };
    });
  }

  async pause(): Promise<void> {
    await this.#session.training.pause();
  }

  async resume(): Promise<void> {
    this.#session.training.resume();
  }

  async stop(): Promise<void> {
    await this.#session.training.stop();
  }

  async storedRuns(): Promise<readonly StoredRun[]> {
    return (await this.#runs()).list();
  }

  openRun(id: string): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      // It would wait for itself.
      if (this.#session.holds(id)) await this.#session.leaveRun();
      const { record, ...open } = await (await this.#runs()).open(id);
      try {
        const door = await this.#data();
        const saved = await open.folder.folder(DATA);
        const dataset = await this.#gpu.use((device) => door.openSaved(saved, device));
        const run = await this.#session.takeRun(dataset, record, open);
        return { dataset: this.#session.summary(), run };
      } catch (error) {
        open.release();
        throw error;
      }
    });
  }

  deleteRun(id: string): Promise<void> {
    return this.#alone(async () => {
      if (this.#session.holds(id)) {
        if (this.#session.busy) {
          throw new HistogradError('busy', 'This run is training.', 'Pause it first.');
        }
        await this.#session.leaveRun();
      }
      await (await this.#runs()).remove(id);
    });
  }

  openModel(file: File): Promise<{ dataset: DatasetSummary; run: RunState }> {
    return this.#alone(async () => {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const run = await this.#session.showForeign({ name: file.name, bytes });
      return { dataset: this.#session.summary(), run };
    });
  }

  async scores(): Promise<Scores> {
    return this.#session.shown.results.scores();
  }

  async scatter(gene: string): Promise<GeneScatter> {
    return this.#session.shown.results.scatter(gene);
  }

  async places(slide: string): Promise<Places> {
    const dataset = this.#session.dataset;
    return dataset.places(slideIndex(dataset, slide));
  }

  async map(slide: string, gene: string): Promise<GeneMap> {
    return this.#session.shown.results.map(slide, gene);
  }

  async attention(slide: string): Promise<Float32Array | null> {
    return this.#session.shown.results.attention(slide);
  }

  async pictureTile(slide: string, level: number, column: number, row: number) {
    const dataset = this.#session.dataset;
    return dataset.pictureTile(slideIndex(dataset, slide), level, column, row);
  }

  async exportModel(): Promise<Blob> {
    return new Blob([this.#session.shown.model.bytes], { type: 'application/octet-stream' });
  }

  async exportPredictions(): Promise<Blob> {
    const { model, results } = this.#session.shown;
    const { samples, known } = await results.scored();
    return model.use(async (device, trained) =>
      samples.length > 0 && known.length > 0
        ? predictionsFile(await this.#session.finished(trained))
        : unscoredPredictionsFile(device, this.#session.dataset, trained),
    );
  }

  async exportMap(slide: string, gene: string): Promise<Blob> {
    return mapFile(await this.places(slide), await this.map(slide, gene));
  }

  async exportReport(): Promise<Blob> {
    const { model } = this.#session.shown;
    return model.use(async (device, trained) =>
      reportFile(device, await this.#session.finished(trained)),
    );
  }

  async bench(): Promise<readonly BenchRow[]> {
    if (this.#session.busy) {
      throw new HistogradError(
        'busy',
        'A training is using the GPU: the times would say nothing.',
        'Pause it, or wait for its end.',
      );
    }
    const { quickBench } = await import('./bench.ts');
    return quickBench(this.#session.onTask);
  }

  async #plan(settings: TrainSettings) {
    return planTraining(await this.#gpu.device(), this.#session.dataset, settings);
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #runs(): Promise<RunStore> {
    this.#store ??= RunStore.open();
    // What failed once is tried again.
    this.#store.catch(() => {
      this.#store = null;
    });
    return this.#store;
  }
}
