/**
 * The border between the page and the engine's worker: plain data, both ways. The page asks by calling `Engine`
 * (through comlink) and hears by events. Errors cross as `EngineError`.
 */
import type { ModelKind, ModelOptions } from '../models/registry.ts';
import type { CurvePoint } from '../report/types.ts';

/** What computes, for the card at the start. */
export interface AdapterCard {
  readonly name: string;
  readonly kind: 'hardware' | 'software';
  /** 'lavapipe', 'SwiftShader', the browser's description, … */
  readonly driver: string;
  /** Measured in a fraction of a second at the start: 10^9 multiply-adds x 2, and 10^9 bytes copied, per second. */
  readonly gflops: number;
  readonly gigabytesPerSecond: number;
  /** Largest binding in bytes: what bounds a tensor's part. */
  readonly maxBinding: number;
  readonly features: readonly string[];
}

/** A whole slide, or a section of spatial transcriptomics. */
export interface SlideSummary {
  readonly id: string;
  readonly patient: string;
  /** Tiles or spots that the map can colour. */
  readonly places: number;
  /** Pixels of the picture's largest level; null where there is none (features without an image). */
  readonly picture: {
    readonly width: number;
    readonly height: number;
    readonly tileSize: number;
    readonly levels: number;
  } | null;
  /** Micrometres per pixel of that level; null when unknown. */
  readonly mpp: number | null;
  readonly part: 'train' | 'validation' | 'test' | 'unassigned';
}

/** What was opened, and can be trained on or predicted. */
export interface DatasetSummary {
  readonly title: string;
  /** `slides`: one expression profile per slide. `spots`: one per spot. `unlabelled`: slides without expression, to predict. */
  readonly kind: 'slides' | 'spots' | 'unlabelled';
  /** Drawn by a program: the page says so wherever it shows results. */
  readonly simulated: boolean;
  readonly slides: readonly SlideSummary[];
  readonly genes: readonly string[];
  /** How the patches are described: `tile statistics`, `mobilenet-v2`, `uni.h5`, … and how wide that is. */
  readonly features: { readonly name: string; readonly width: number };
  /** `log2(1 + count)`, …: for axes and legends. */
  readonly unit: string;
  readonly patients: number;
  /** Expression profiles: slides or spots. */
  readonly samples: number;
  /** What the readers left out or guessed, for the user. */
  readonly notes: readonly string[];
}

/** What the user chose for a training; the worker checks it. */
export interface TrainSettings {
  readonly model: ModelKind;
  readonly modelOptions: ModelOptions;
  /** Names; all of the data set's when null. */
  readonly genes: readonly string[] | null;
  readonly epochs: number;
  /** Bags per step. */
  readonly batchSize: number;
  /** Random patches of a bag per step. */
  readonly maxPatches: number;
  readonly lr: number;
  readonly weightDecay: number;
  readonly schedule: 'constant' | 'cosine';
  /** Standardise features and targets over the training part. */
  readonly standardise: boolean;
  /** Shares of the patients (of the slides, where there is one patient only; the page says so). */
  readonly validationFraction: number;
  readonly testFraction: number;
  /** Epochs without a better validation score before training stops; 0 never stops, and the last parameters are kept. */
  readonly patience: number;
  readonly seed: number;
}

/** How the samples are divided; no patient is in two parts, unless there is only one. */
export interface Split {
  /** What is dealt: `patients`, or what is left to deal where there is one patient only. */
  readonly unit: 'patients' | 'slides' | 'spots';
  /** Numbers of units in each part. */
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  /** What the scores cannot say because of it (one patient: nothing about others); else null. */
  readonly note: string | null;
}

/** What a training would be, before it begins. */
export interface TrainPlan {
  readonly split: Split;
  readonly totalSteps: number;
}

export type RunPhase =
  | 'preparing'
  | 'training'
  | 'paused'
  | 'recovering'
  | 'finishing'
  | 'finished'
  | 'failed';

/** All that the training screen shows; sent whole, at most ten times a second. */
export interface RunState {
  readonly id: string;
  readonly title: string;
  readonly settings: TrainSettings;
  /** Null for a model from elsewhere. */
  readonly split: Split | null;
  readonly phase: RunPhase;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly totalSteps: number;
  /** Null until known. */
  readonly stepsPerSecond: number | null;
  readonly secondsLeft: number | null;
  readonly seconds: number;
  /** GPU memory in bytes. */
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** One per epoch. */
  readonly points: readonly CurvePoint[];
  /** The latest loss. */
  readonly loss: number | null;
  /** Why it failed, or what it recovered from. */
  readonly error: EngineError | null;
  /** What a reader of the scores must know: what the model has seen, what could not be kept. `split.note` is not among them. */
  readonly notes: readonly string[];
}

/** A run kept in the browser's storage. */
export interface StoredRun {
  readonly id: string;
  readonly title: string;
  readonly model: ModelKind;
  readonly phase: 'unfinished' | 'finished';
  readonly epoch: number;
  readonly epochs: number;
  /** Milliseconds since 1970. */
  readonly changed: number;
  readonly bytes: number;
}

export interface GeneScore {
  readonly gene: string;
  /** Over the test samples; NaN where it is undefined (constant truth). */
  readonly pearson: number;
  /** Two-sided, Benjamini-Hochberg over genes. */
  readonly q: number;
  readonly mse: number;
}

/** How well the open model does on the test part of the open data; `samples` 0 where there is no truth. */
export interface Scores {
  /** `test`; `all` where a model made elsewhere is scored on data that it may not have seen. */
  readonly part: 'test' | 'all';
  readonly samples: number;
  readonly genes: readonly GeneScore[];
  /** Mean of the defined Pearson correlations. */
  readonly meanPearson: number;
  /** The best that any model could reach, for simulated data; else null. */
  readonly reachable: number | null;
}

/** Truth and prediction of one gene over the scored samples. */
export interface GeneScatter {
  readonly gene: string;
  readonly samples: readonly string[];
  /** The slide (index into `DatasetSummary.slides`) of every sample. */
  readonly slides: Uint32Array;
  /** Its place on that slide, where samples are spots; null where they are slides. */
  readonly places: Uint32Array | null;
  readonly observed: Float32Array;
  readonly predicted: Float32Array;
}

/** Where a slide's places lie, in pixels of its picture's largest level. */
export interface Places {
  readonly slide: string;
  readonly shape: 'square' | 'circle';
  /** Centres, [n]. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Side or diameter. */
  readonly size: number;
  readonly names: readonly string[];
}

/** One gene over the places of a slide. */
export interface GeneMap {
  readonly slide: string;
  readonly gene: string;
  /** [places]; null for models that only predict whole slides. */
  readonly predicted: Float32Array | null;
  /** [places]; null where the truth is not known per place. */
  readonly observed: Float32Array | null;
  /** The whole slide's, where that is what is predicted or known. */
  readonly slidePredicted: number | null;
  readonly slideObserved: number | null;
}

export interface EngineError {
  /** `HistogradError.code`, or 'unexpected'. */
  readonly code: string;
  readonly problem: string;
  readonly advice: string;
}

/** What a dropped file was taken for. */
export interface FileVerdict {
  readonly name: string;
  readonly role:
    | 'features'
    | 'expression'
    | 'patients'
    | 'section image'
    | 'slide'
    | 'spots'
    | 'counts'
    | 'model'
    | 'weights'
    | 'ignored';
  /** Why it is ignored, or what is missing beside it. */
  readonly note: string | null;
}

/** What a set of files can become. */
export interface Intake {
  readonly files: readonly FileVerdict[];
  /** What would be opened; null when something is missing (see `problem`). */
  readonly opens: 'slides' | 'spots' | 'slide-and-model' | 'features-and-model' | null;
  readonly problem: EngineError | null;
  /** The slide or image does not say its resolution: ask for `OpenOptions.mpp`. */
  readonly needsMpp: boolean;
  /** The most expressed genes are taken where there are more. */
  readonly geneCount: number | null;
}

/** A file with its path inside a dropped folder. */
export interface DroppedFile {
  readonly path: string;
  readonly file: File;
}

export interface OpenOptions {
  readonly mpp?: number;
  /** Spots: how many of the most expressed genes. */
  readonly genes?: number;
}

export type EngineEvent =
  | { readonly type: 'run'; readonly run: RunState }
  /** Reading files, extracting features, predicting: something with a known length. */
  | { readonly type: 'task'; readonly label: string; readonly done: number; readonly total: number }
  /** The GPU went away and came back, or something else worth a line. */
  | { readonly type: 'notice'; readonly text: string };

export type BenchRow = {
  readonly name: string;
  readonly milliseconds: number;
  readonly figure: string;
};

/** What the worker does. Every call may throw an `EngineError`. */
export interface Engine {
  /** Opens the device; calls `listen` from now on. */
  start(listen: (event: EngineEvent) => void): Promise<AdapterCard>;

  /** Data: one set is open at a time. */
  openSimulated(): Promise<DatasetSummary>;
  /** The finished run that comes with the page: data and model. */
  openExample(): Promise<{ dataset: DatasetSummary; run: RunState }>;
  inspectFiles(files: readonly DroppedFile[]): Promise<Intake>;
  /** With the model that came among the files, ready to predict, if one did. */
  openFiles(
    files: readonly DroppedFile[],
    options: OpenOptions,
  ): Promise<{ dataset: DatasetSummary; run: RunState | null }>;

  /** Training. `train` comes back when the run has begun; its state follows in events. The data set then says which part every slide is in. */
  defaults(model: ModelKind): Promise<TrainSettings>;
  /** Names of the open data's genes, the most variable first. */
  genesByVariance(): Promise<readonly string[]>;
  /** Cheap; throws what is wrong with the settings. */
  plan(settings: TrainSettings): Promise<TrainPlan>;
  train(settings: TrainSettings): Promise<{ dataset: DatasetSummary; run: RunState }>;
  /** Comes back when the checkpoint is stored. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the training with the parameters it has: the run is finished early. */
  stop(): Promise<void>;

  /** Browser storage. */
  storedRuns(): Promise<readonly StoredRun[]>;
  /** Opens its data and goes on (or shows its results, when finished). */
  openRun(id: string): Promise<{ dataset: DatasetSummary; run: RunState }>;
  deleteRun(id: string): Promise<void>;

  /** A model from elsewhere (the Node command line), for the open data. */
  openModel(file: File): Promise<{ dataset: DatasetSummary; run: RunState }>;

  /** Results of the open data and model. */
  scores(): Promise<Scores>;
  scatter(gene: string): Promise<GeneScatter>;
  places(slide: string): Promise<Places>;
  map(slide: string, gene: string): Promise<GeneMap>;
  /** [places] weights that sum to 1; null for models without attention. */
  attention(slide: string): Promise<Float32Array | null>;
  /** A square of the picture, RGBA; level 0 is the largest. */
  pictureTile(slide: string, level: number, column: number, row: number): Promise<ImageBitmap>;

  /** Files to save. */
  exportModel(): Promise<Blob>;
  exportPredictions(): Promise<Blob>;
  exportMap(slide: string, gene: string): Promise<Blob>;
  exportReport(): Promise<Blob>;

  /** The quick set of the kernel lab. */
  bench(): Promise<readonly BenchRow[]>;
}
