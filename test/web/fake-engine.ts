/**
 * An `Engine` without a GPU: small made-up data, the same every time, for tests of the screens and for looking at
 * them. A test changes what it holds (`options`), lets calls fail (`fail`), delays them (`hold`), and drives a
 * training (`advance`, `finish`).
 */
import type { ModelKind } from '../../src/models/registry.ts';
import { modelCard } from '../../src/web/app/models.ts';
import type {
  AdapterCard,
  BenchRow,
  DatasetSummary,
  DroppedFile,
  Engine,
  EngineError,
  EngineEvent,
  GeneMap,
  GeneScatter,
  Intake,
  OpenOptions,
  Places,
  RunState,
  Scores,
  SlideSummary,
  Split,
  StoredRun,
  TrainPlan,
  TrainSettings,
} from '../../src/web/protocol.ts';

export interface FakeOptions {
  kind: DatasetSummary['kind'];
  simulated: boolean;
  slides: number;
  genes: number;
  /** Per slide; rounded down to a full grid. */
  places: number;
  picture: boolean;
  mpp: number | null;
  attention: boolean;
  /** As kNN and contrastive: no map, only one value per slide. */
  wholeSlideOnly: boolean;
  /** Of the scores: 0 as for data without truth. */
  samples: number;
  part: Scores['part'];
  epochs: number;
}

const OPTIONS: FakeOptions = {
  kind: 'spots',
  simulated: true,
  slides: 4,
  genes: 24,
  places: 600,
  picture: true,
  mpp: 0.5,
  attention: true,
  wholeSlideOnly: false,
  samples: 80,
  part: 'test',
  epochs: 20,
};

/** Pixels of one side of a slide's picture, and of its tiles. */
const SIDE = 2048;
const TILE = 256;
const PARTS: readonly SlideSummary['part'][] = ['train', 'train', 'validation', 'test'];

const SPLIT: Split = { unit: 'patients', train: 2, validation: 1, test: 1, note: null };

const CARD: AdapterCard = {
  name: 'Made-up adapter',
  kind: 'software',
  driver: 'fake',
  gflops: 120,
  gigabytesPerSecond: 14,
  maxBinding: 128 * 1024 * 1024,
  features: ['shader-f16', 'subgroups'],
};

export class FakeEngine implements Engine {
  readonly options: FakeOptions;
  /** Names of the calls, in order. */
  readonly calls: string[] = [];
  /** What `inspectFiles` answers. */
  intake: Intake = {
    files: [],
    opens: null,
    problem: {
      code: 'intake',
      problem: 'These files are not a data set.',
      advice: 'Drop a table of expression and a folder of features.',
    },
    needsMpp: false,
    geneCount: null,
  };
  stored: StoredRun[] = [];
  benchRows: BenchRow[] = [
    { name: 'matmul 1024', milliseconds: 18.2, figure: '118 GFLOP/s' },
    { name: 'copy 64 MiB', milliseconds: 9.6, figure: '14 GB/s' },
  ];
  run: RunState | null = null;

  readonly #failures = new Map<keyof Engine, { error: EngineError; always: boolean }>();
  readonly #gates = new Map<keyof Engine, Promise<void>>();
  #listen: (event: EngineEvent) => void = () => {};

  constructor(options: Partial<FakeOptions> = {}) {
    this.options = { ...OPTIONS, ...options };
  }

  /** The next call of `method` fails with this (every one, with `always`). */
  fail(method: keyof Engine, error: Partial<EngineError> = {}, always = false): void {
    this.#failures.set(method, {
      error: { code: 'fake', problem: 'It failed.', advice: 'Try again.', ...error },
      always,
    });
  }

  /** Calls of `method` wait until the function that comes back is called. */
  hold(method: keyof Engine): () => void {
    let release = () => {};
    this.#gates.set(
      method,
      new Promise<void>((resolve) => {
        release = () => {
          this.#gates.delete(method);
          resolve();
        };
      }),
    );
    return () => release();
  }

  emit(event: EngineEvent): void {
    if (event.type === 'run') this.run = event.run;
    this.#listen(event);
  }

  /** Trains so many epochs further; sends the state after each. */
  advance(epochs = 1): void {
    for (let i = 0; i < epochs && this.run && this.run.epoch < this.run.epochs; i++) {
      const epoch = this.run.epoch + 1;
      const stepsPerEpoch = this.run.totalSteps / this.run.epochs;
      const trainLoss = 0.9 * Math.exp(-epoch / 8) + 0.2;
      const point = {
        step: epoch * stepsPerEpoch,
        epoch,
        trainLoss,
        validationLoss: trainLoss + 0.05 + epoch * 0.002,
        validationPearson: 0.6 * (1 - Math.exp(-epoch / 6)),
      };
      this.#update({
        phase: 'training',
        epoch,
        step: point.step,
        stepsPerSecond: 12.5,
        secondsLeft: (this.run.totalSteps - point.step) / 12.5,
        seconds: point.step / 12.5,
        loss: trainLoss,
        liveBytes: 41e6,
        peakBytes: 63e6,
        points: [...this.run.points, point],
      });
    }
  }

  finish(): void {
    if (this.run) this.advance(this.run.epochs - this.run.epoch);
    this.#update({ phase: 'finished', secondsLeft: 0 });
  }

  failTraining(error: EngineError, phase: 'failed' | 'recovering' = 'failed'): void {
    this.#update({ phase, error });
  }

  async start(listen: (event: EngineEvent) => void): Promise<AdapterCard> {
    await this.#call('start');
    this.#listen = listen;
    return CARD;
  }

  async openSimulated(): Promise<DatasetSummary> {
    await this.#call('openSimulated');
    return this.dataset();
  }

  async openExample(): Promise<{ dataset: DatasetSummary; run: RunState }> {
    await this.#call('openExample');
    return { dataset: this.dataset(), run: this.finishedRun() };
  }

  async inspectFiles(_files: readonly DroppedFile[]): Promise<Intake> {
    await this.#call('inspectFiles');
    return this.intake;
  }

  async openFiles(
    _files: readonly DroppedFile[],
    _options: OpenOptions,
  ): Promise<{ dataset: DatasetSummary; run: RunState | null }> {
    await this.#call('openFiles');
    const model = this.intake.opens?.endsWith('-and-model') ?? false;
    return {
      dataset: { ...this.dataset(), simulated: false },
      run: model ? this.finishedRun() : null,
    };
  }

  async defaults(model: ModelKind): Promise<TrainSettings> {
    await this.#call('defaults');
    return this.settings(model);
  }

  async genesByVariance(): Promise<readonly string[]> {
    await this.#call('genesByVariance');
    return this.#genes().reverse();
  }

  async plan(settings: TrainSettings): Promise<TrainPlan> {
    await this.#call('plan');
    return { split: SPLIT, totalSteps: settings.epochs * 10 };
  }

  async train(settings: TrainSettings): Promise<{ dataset: DatasetSummary; run: RunState }> {
    await this.#call('train');
    this.run = {
      id: 'run-1',
      title: `${modelCard(settings.model).title} on ${this.dataset().title}`,
      settings,
      split: SPLIT,
      notes: [],
      phase: 'preparing',
      epoch: 0,
      epochs: settings.epochs,
      step: 0,
      totalSteps: settings.epochs * 10,
      stepsPerSecond: null,
      secondsLeft: null,
      seconds: 0,
      liveBytes: 0,
      peakBytes: 0,
      points: [],
      loss: null,
      error: null,
    };
    return { dataset: this.dataset(), run: this.run };
  }

  async pause(): Promise<void> {
    await this.#call('pause');
    this.#update({ phase: 'paused' });
  }

  async resume(): Promise<void> {
    await this.#call('resume');
    this.#update({ phase: 'training', error: null });
  }

  async stop(): Promise<void> {
    await this.#call('stop');
    this.#update({ phase: 'finished', secondsLeft: 0 });
  }

  async storedRuns(): Promise<readonly StoredRun[]> {
    await this.#call('storedRuns');
    return this.stored;
  }

  async openRun(id: string): Promise<{ dataset: DatasetSummary; run: RunState }> {
    await this.#call('openRun');
    this.run = { ...this.finishedRun(), id };
    return { dataset: this.dataset(), run: this.run };
  }

  async deleteRun(id: string): Promise<void> {
    await this.#call('deleteRun');
    this.stored = this.stored.filter((run) => run.id !== id);
  }

  async openModel(file: File): Promise<{ dataset: DatasetSummary; run: RunState }> {
    await this.#call('openModel');
    this.run = { ...this.finishedRun(), title: file.name };
    return { dataset: this.dataset(), run: this.run };
  }

  async scores(): Promise<Scores> {
    await this.#call('scores');
    const { samples, part, simulated } = this.options;
    const genes = this.#genes().map((gene, i) => {
      const pearson = i === 3 ? Number.NaN : 0.85 - (0.9 * i) / this.options.genes;
      return {
        gene,
        pearson: samples === 0 ? Number.NaN : pearson,
        q: samples === 0 ? Number.NaN : i === 3 ? Number.NaN : 10 ** (-12 * Math.max(0, pearson)),
        mse: samples === 0 ? Number.NaN : i === 3 ? 0.04 : 1 - pearson ** 2,
      };
    });
    const defined = genes.map((row) => row.pearson).filter(Number.isFinite);
    return {
      part,
      samples,
      genes,
      meanPearson: defined.reduce((sum, r) => sum + r, 0) / defined.length,
      reachable: simulated && samples > 0 ? 0.71 : null,
    };
  }

  async scatter(gene: string): Promise<GeneScatter> {
    await this.#call('scatter');
    const { kind, samples } = this.options;
    const g = this.#gene(gene);
    const slides = this.#slides();
    const test = Math.max(
      0,
      slides.findIndex((slide) => slide.part === 'test'),
    );
    const spots = kind === 'spots';
    const observed = new Float32Array(samples);
    const predicted = new Float32Array(samples);
    const names = Array.from({ length: samples }, (_, i) =>
      spots ? `${slides[test]!.id}/${placeName(i, this.#columns())}` : `slide-${i + 1}`,
    );
    for (let i = 0; i < samples; i++) {
      observed[i] = g === 3 ? 0 : 2 + 1.6 * unit(i, g) + (i % 5) * 0.3;
      predicted[i] = 2.4 + 0.6 * (observed[i]! - 2.2) + 0.8 * (unit(i, g + 1000) - 0.5);
    }
    return {
      gene,
      samples: names,
      slides: Uint32Array.from({ length: samples }, (_, i) => (spots ? test : i % slides.length)),
      places: spots ? Uint32Array.from({ length: samples }, (_, i) => i) : null,
      observed,
      predicted,
    };
  }

  async places(slide: string): Promise<Places> {
    await this.#call('places');
    this.#slide(slide);
    const columns = this.#columns();
    const pitch = SIDE / columns;
    const x = new Float32Array(columns * columns);
    const y = new Float32Array(columns * columns);
    for (let i = 0; i < x.length; i++) {
      x[i] = ((i % columns) + 0.5) * pitch;
      y[i] = (Math.floor(i / columns) + 0.5) * pitch;
    }
    const circles = this.options.kind === 'spots';
    return {
      slide,
      shape: circles ? 'circle' : 'square',
      x,
      y,
      size: circles ? pitch * 0.7 : pitch,
      names: Array.from(x, (_, i) => placeName(i, columns)),
    };
  }

  async map(slide: string, gene: string): Promise<GeneMap> {
    await this.#call('map');
    const { kind, wholeSlideOnly } = this.options;
    const s = this.#slide(slide);
    const g = this.#gene(gene);
    const columns = this.#columns();
    const n = columns * columns;
    const truth = Float32Array.from({ length: n }, (_, i) =>
      Math.max(0, 2 + 2 * wave(i, columns, g + s) + 0.8 * (unit(i, g) - 0.5)),
    );
    return {
      slide,
      gene,
      predicted: wholeSlideOnly ? null : truth.map((_, i) => 2 + 1.6 * wave(i, columns, g + s)),
      observed: kind === 'spots' ? truth : null,
      slidePredicted: kind === 'spots' ? null : 2 + unit(s, g),
      slideObserved: kind === 'slides' ? 2 + unit(s, g + 7) : null,
    };
  }

  async attention(slide: string): Promise<Float32Array | null> {
    await this.#call('attention');
    const s = this.#slide(slide);
    if (!this.options.attention) return null;
    const columns = this.#columns();
    const raw = Float32Array.from({ length: columns * columns }, (_, i) =>
      Math.exp(3 * wave(i, columns, s + 40)),
    );
    const total = raw.reduce((sum, w) => sum + w, 0);
    return raw.map((w) => w / total);
  }

  async pictureTile(
    slide: string,
    level: number,
    column: number,
    row: number,
  ): Promise<ImageBitmap> {
    await this.#call('pictureTile');
    this.#slide(slide);
    const scale = 2 ** level;
    const width = Math.min(TILE, SIDE / scale - column * TILE);
    const height = Math.min(TILE, SIDE / scale - row * TILE);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no 2d context');
    // Pink tissue with darker nuclei on a pale ground, in the coordinates of the largest level.
    context.setTransform(1 / scale, 0, 0, 1 / scale, -column * TILE, -row * TILE);
    context.fillStyle = '#f6f1f4';
    context.fillRect(0, 0, SIDE, SIDE);
    context.fillStyle = '#e3b3cb';
    context.beginPath();
    context.ellipse(SIDE / 2, SIDE / 2, SIDE * 0.46, SIDE * 0.38, 0.4, 0, 7);
    context.fill();
    context.fillStyle = '#7b4d92';
    for (let i = 0; i < 900; i++) {
      context.beginPath();
      context.arc(unit(i, 1) * SIDE, unit(i, 2) * SIDE, 6 + 8 * unit(i, 3), 0, 7);
      context.fill();
    }
    return canvas.transferToImageBitmap();
  }

  async exportModel(): Promise<Blob> {
    await this.#call('exportModel');
    return new Blob(['checkpoint'], { type: 'application/octet-stream' });
  }

  async exportPredictions(): Promise<Blob> {
    await this.#call('exportPredictions');
    return new Blob(['sample,GENE-1\n'], { type: 'text/csv' });
  }

  async exportMap(slide: string, gene: string): Promise<Blob> {
    await this.#call('exportMap');
    return new Blob([`place,${slide}:${gene}\n`], { type: 'text/csv' });
  }

  async exportReport(): Promise<Blob> {
    await this.#call('exportReport');
    return new Blob(['<!doctype html><title>report</title>'], { type: 'text/html' });
  }

  async bench(): Promise<readonly BenchRow[]> {
    await this.#call('bench');
    return this.benchRows;
  }

  /** The data set that the openers give. */
  dataset(): DatasetSummary {
    const { kind, simulated } = this.options;
    const slides = this.#slides();
    return {
      title: simulated ? 'Simulated cohort' : 'Mouse olfactory bulb',
      kind,
      simulated,
      slides,
      genes: this.#genes(),
      features: { name: 'tile statistics', width: 32 },
      unit: 'log2(1 + count)',
      patients: slides.length,
      samples: kind === 'spots' ? slides.reduce((n, s) => n + s.places, 0) : slides.length,
      notes: simulated ? [] : ['2 spots lie outside the picture and were left out.'],
    };
  }

  settings(model: ModelKind = 'direct-abmil'): TrainSettings {
    return {
      model,
      modelOptions: { hidden: 128, dropout: 0.25 },
      genes: null,
      epochs: this.options.epochs,
      batchSize: 8,
      maxPatches: 256,
      lr: 1e-4,
      weightDecay: 1e-5,
      schedule: 'constant',
      standardise: true,
      validationFraction: 0.2,
      testFraction: 0.2,
      patience: 10,
      seed: 7,
    };
  }

  finishedRun(): RunState {
    const model: ModelKind = this.options.wholeSlideOnly ? 'knn' : 'direct-abmil';
    return {
      id: 'run-1',
      title: modelCard(model).title,
      settings: this.settings(model),
      split: SPLIT,
      notes: [],
      phase: 'finished',
      epoch: this.options.epochs,
      epochs: this.options.epochs,
      step: this.options.epochs * 10,
      totalSteps: this.options.epochs * 10,
      stepsPerSecond: 12.5,
      secondsLeft: 0,
      seconds: 16,
      liveBytes: 41e6,
      peakBytes: 63e6,
      points: [],
      loss: 0.27,
      error: null,
    };
  }

  async #call(method: keyof Engine): Promise<void> {
    this.calls.push(method);
    await this.#gates.get(method);
    const failure = this.#failures.get(method);
    if (!failure) return;
    if (!failure.always) this.#failures.delete(method);
    // Plain data, as it arrives from the worker.
    throw failure.error;
  }

  #update(change: Partial<RunState>): void {
    if (!this.run) throw new Error('FakeEngine: no run; call train() or openRun() first');
    this.emit({ type: 'run', run: { ...this.run, ...change } });
  }

  #slides(): SlideSummary[] {
    const { slides, picture, mpp, kind } = this.options;
    return Array.from({ length: slides }, (_, i) => ({
      id: `${kind === 'spots' ? 'section' : 'slide'}-${i + 1}`,
      patient: `patient-${i + 1}`,
      places: this.#columns() ** 2,
      picture: picture ? { width: SIDE, height: SIDE, tileSize: TILE, levels: 4 } : null,
      mpp,
      part: kind === 'unlabelled' ? 'unassigned' : PARTS[i % PARTS.length]!,
    }));
  }

  #genes(): string[] {
    return Array.from({ length: this.options.genes }, (_, i) => `GENE-${i + 1}`);
  }

  #columns(): number {
    return Math.max(1, Math.floor(Math.sqrt(this.options.places)));
  }

  #slide(id: string): number {
    return found(
      this.#slides().findIndex((slide) => slide.id === id),
      id,
    );
  }

  #gene(name: string): number {
    return found(this.#genes().indexOf(name), name);
  }
}

function found(index: number, name: string): number {
  if (index < 0) throw new Error(`FakeEngine: ${name} is not in the data set`);
  return index;
}

function placeName(place: number, columns: number): string {
  return `${place % columns}x${Math.floor(place / columns)}`;
}

/** A smooth pattern over the grid of places, -1 to 1. */
function wave(place: number, columns: number, phase: number): number {
  const x = (place % columns) / columns;
  const y = Math.floor(place / columns) / columns;
  return Math.sin(6 * x + phase) * Math.cos(5 * y - 0.7 * phase);
}

/** Spread over 0 to 1, the same for the same numbers. */
function unit(i: number, seed: number): number {
  const value = Math.sin((i + 1) * 12.9898 + (seed + 1) * 78.233) * 43758.5453;
  return value - Math.floor(value);
}
