/** A small cohort in memory whose expression follows from its features, for tests of training. */
import type { PatchFeatures } from '../../src/data/features.ts';
import { streamBags } from '../../src/data/node/bag-stream.ts';
import type { CohortSlide } from '../../src/data/node/cohort.ts';
import { randomUint32 } from '../../src/data/shuffle.ts';
import type { Split } from '../../src/data/splits.ts';
import { HistogradError } from '../../src/errors.ts';
import { type ModelKind, type ModelOptions, trainingDefaults } from '../../src/models/registry.ts';
import type { BagSource, PatchSample } from '../../src/training/bag-source.ts';
import { TRAIN_DEFAULTS, type TrainingRecord, type TrainOptions } from '../../src/training/task.ts';

export const GENES = ['G0', 'G1', 'G2', 'G3', 'G4'];
const WIDTH = 6;

export interface Example {
  readonly source: BagSource;
  readonly bags: readonly PatchFeatures[];
  readonly targets: Float32Array<ArrayBuffer>;
  readonly split: Split;
}

/** `slides` bags of 3 to 9 patches; a gene is a linear function of the bag's mean feature, plus an offset. */
export function exampleCohort(slides = 18): Example {
  const random = randomUint32(7);
  const uniform = () => random() / 2 ** 31 - 1;
  const weights = Array.from({ length: GENES.length * WIDTH }, uniform);
  const bags: PatchFeatures[] = [];
  const targets = new Float32Array(slides * GENES.length);
  for (let s = 0; s < slides; s++) {
    const rows = 3 + (random() % 7);
    const centre = Array.from({ length: WIDTH }, uniform);
    const features = Float32Array.from(
      { length: rows * WIDTH },
      (_, i) => centre[i % WIDTH]! + 0.3 * uniform(),
    );
    bags.push({ features, rows, width: WIDTH });
    for (let g = 0; g < GENES.length; g++) {
      let sum = 3 + g;
      for (let i = 0; i < features.length; i++)
        sum += (features[i]! * weights[g * WIDTH + (i % WIDTH)]!) / rows;
      targets[s * GENES.length + g] = sum;
    }
  }
  const indices = bags.map((_, i) => i);
  const cut = Math.floor(slides / 2);
  return {
    source: memorySource(bags),
    bags,
    targets,
    split: {
      name: 'split',
      train: indices.slice(0, cut + 2),
      validation: indices.slice(cut + 2, cut + 6),
      test: indices.slice(cut + 6),
    },
  };
}

export function memorySource(bags: readonly PatchFeatures[]): BagSource {
  const slides = bags.map(
    ({ rows, width }, i): CohortSlide => ({
      id: `S${i}`,
      patient: `P${i}`,
      path: `S${i}`,
      rows,
      width,
    }),
  );
  return {
    slides,
    width: slides[0]!.width,
    batches: (order, sample) =>
      streamBags(slides, order, {
        read: async (slide) => bags[slides.indexOf(slide)]!,
        ...(sample && {
          maxPatches: sample.maxPatches,
          sampleSeed: sample.seed,
          epoch: sample.epoch,
        }),
      }),
  };
}

/** `source`, and a signal that aborts when the training works on its batch number `steps` (from 1). */
export function stopAfter(source: BagSource, steps: number) {
  let count = 0;
  return stopWhen(source, (_, sample) => sample !== undefined && ++count === steps);
}

/** `source`, and a signal that aborts when `reached` says so of a batch; it is asked of each. */
export function stopWhen(
  source: BagSource,
  reached: (slides: readonly number[], sample: PatchSample | undefined) => boolean,
) {
  const signal = { aborted: false };
  const stopping: BagSource = {
    ...source,
    async *batches(order, sample) {
      for await (const batch of source.batches(order, sample)) {
        if (reached(batch.indices, sample)) signal.aborted = true;
        yield batch;
      }
    },
  };
  return { source: stopping, signal };
}

export const SMALL: Readonly<Record<ModelKind, ModelOptions>> = {
  'direct-abmil': { hidden: 8, attention: 4, dropout: 0.1 },
  'direct-patch-level': { hidden: 8, dropout: 0.1 },
  contrastive: {
    hidden: 8,
    attention: 4,
    geneHidden: 8,
    k: 4,
    temperature: 0.1,
    retrievalTemperature: 0.1,
  },
  knn: { k: 3 },
  ridge: {},
};

export function exampleOptions(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    ...trainingDefaults('direct-abmil'),
    ...TRAIN_DEFAULTS,
    epochs: 4,
    batchSize: 3,
    maxPatches: 4,
    lr: 1e-2,
    featureScale: 'zscore',
    targetScale: 'zscore',
    checkpointSeconds: 1e9,
    ...changes,
  };
}

/** Keeps the checkpoint and the log in memory. */
export class MemoryRecord implements TrainingRecord {
  readonly place = 'memory';
  checkpoint: Uint8Array | null = null;
  checkpoints = 0;
  log = '';

  async loadCheckpoint() {
    return this.checkpoint;
  }

  async saveCheckpoint(bytes: Uint8Array) {
    this.checkpoint = bytes.slice();
    this.checkpoints++;
  }

  async writeMetrics(position: number, lines: string) {
    this.log = this.log.slice(0, position) + lines;
    return this.log.length;
  }

  get lines(): Record<string, number>[] {
    return this.log
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  }
}

/** What a rejected promise says; for errors that are expected. */
export async function failure(promise: Promise<unknown>): Promise<HistogradError> {
  const outcome = await promise.then(
    (value: unknown) => new Error(`expected an error, got ${typeof value}`),
    (error: unknown) => error,
  );
  if (outcome instanceof HistogradError) return outcome;
  throw outcome;
}
