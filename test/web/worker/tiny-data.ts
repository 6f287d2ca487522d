/** Small data sets in memory, the same every time, in the place of files. */
import type { PatchFeatures } from '../../../src/data/features.ts';
import { sampleSorted } from '../../../src/data/shuffle.ts';
import { seededRandom } from '../../../src/data/simulated/random.ts';
import type { BagSource } from '../../../src/training/bag-source.ts';
import type { DatasetSummary } from '../../../src/web/protocol.ts';
import type { Dataset } from '../../../src/web/worker/dataset.ts';
import type { DataDoor } from '../../../src/web/worker/engine.ts';

const WIDTH = 6;
export const GENES = ['G1', 'G2', 'G3', 'G4'];
const PATIENTS = 12;
/** The spots of a section lie in a grid of so many columns and rows. */
const COLUMNS = 24;
const ROWS = 5;

export type TinyKind = 'slides' | 'spots' | 'unlabelled';

/** Bags whose mean decides their genes: there is something to learn. */
export function tinyDataset(kind: TinyKind): Dataset {
  const spots = kind === 'spots';
  const samples = spots ? COLUMNS * ROWS : PATIENTS;
  const bags = Array.from({ length: samples }, (_, i) => bag(i, spots ? 1 : 5 + (i % 4)));
  const ids = bags.map((_, i) => (spots ? `S1/spot-${i}` : `slide-${i}`));
  const slideOfSample = Uint32Array.from(bags, (_, i) => (spots ? 0 : i));
  const slides: DatasetSummary['slides'] = (spots ? ['S1'] : ids).map((id, i) => ({
    id,
    patient: spots ? 'P1' : `P${i}`,
    places: spots ? samples : bags[i]!.rows,
    picture: null,
    mpp: null,
    part: 'unassigned',
  }));
  const targets = new Float32Array(bags.flatMap(expression));
  const whole = spots ? join(bags) : null;
  return {
    summary: {
      title: `tiny ${kind}`,
      kind,
      simulated: true,
      slides,
      genes: GENES,
      features: { name: 'numbers', width: WIDTH },
      unit: 'log2(1 + count)',
      patients: new Set(slides.map(({ patient }) => patient)).size,
      samples,
      notes: [],
    },
    source: source(bags, ids, (i) => slides[slideOfSample[i]!]!.patient),
    targets: kind === 'unlabelled' ? null : targets,
    transform: 'log2',
    slideOfSample,
    placeFeatures: async (slide) => whole ?? bags[slide]!,
    places: async (slide) => {
      const { rows } = whole ?? bags[slide]!;
      return {
        slide: slides[slide]!.id,
        shape: 'square',
        x: Float32Array.from({ length: rows }, (_, i) => 10 * (i % COLUMNS)),
        y: Float32Array.from({ length: rows }, (_, i) => 10 * Math.floor(i / COLUMNS)),
        size: 5,
        names: Array.from({ length: rows }, (_, i) => `place-${i}`),
      };
    },
    observed: (_, gene) =>
      spots ? targets.filter((_value, i) => i % GENES.length === gene) : null,
    pictureTile: () => Promise.reject(new Error('no picture')),
    reachable: () => 0.9,
    save: (folder) => folder.write('tiny.json', new TextEncoder().encode(JSON.stringify(kind))),
    close: async () => {},
  };
}

/** Opens tiny data sets: `slides` as the simulated cohort, and any other by the name of a file. */
export const tinyDoor: DataDoor = {
  openSimulated: async () => tinyDataset('slides'),
  inspectFiles: () => Promise.reject(new Error('not here')),
  openFiles: async ([file]) => tinyDataset(kindOf(file?.path)),
  openSaved: async (folder) => {
    const file = await folder.read('tiny.json');
    return tinyDataset(kindOf(JSON.parse((await file?.text()) ?? '""')));
  },
};

function kindOf(name: unknown): TinyKind {
  if (name === 'slides' || name === 'spots' || name === 'unlabelled') return name;
  throw new Error(`no tiny data set ${name}`);
}

function bag(seed: number, rows: number): PatchFeatures {
  const random = seededRandom(77, seed);
  const centre = Array.from({ length: WIDTH }, () => random.uniform(-1, 1));
  const features = new Float32Array(rows * WIDTH);
  for (let i = 0; i < features.length; i++)
    features[i] = centre[i % WIDTH]! + 0.3 * random.uniform(-1, 1);
  return { features, rows, width: WIDTH };
}

function expression({ features, rows }: PatchFeatures): number[] {
  const mean = Array.from({ length: WIDTH }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += features[i * WIDTH + j]!;
    return sum / rows;
  });
  return GENES.map((_, g) => 3 + mean[g]! - 0.5 * mean[g + 1]! + 0.3 * mean[g]! * mean[g + 2]!);
}

function source(
  bags: readonly PatchFeatures[],
  ids: readonly string[],
  patient: (sample: number) => string,
): BagSource {
  return {
    slides: bags.map(({ rows }, i) => ({ id: ids[i]!, rows, patient: patient(i) })),
    width: WIDTH,
    async *batches(order, sample) {
      for (const indices of order) {
        const parts = indices.map((i) => {
          const { features, rows, width } = bags[i]!;
          if (!sample || rows <= sample.maxPatches) return bags[i]!;
          const chosen = sampleSorted(rows, sample.maxPatches, sample.seed, sample.epoch, i);
          const kept = Array.from(chosen, (row) => features.slice(row * width, (row + 1) * width));
          return join(kept.map((row) => ({ features: row, rows: 1, width })));
        });
        const offsets = Uint32Array.of(0, ...parts.map(({ rows }) => rows));
        for (let b = 1; b < offsets.length; b++) offsets[b]! += offsets[b - 1]!;
        yield { indices, features: join(parts).features, offsets };
      }
    },
  };
}

function join(parts: readonly PatchFeatures[]): PatchFeatures {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const features = new Float32Array(rows * WIDTH);
  let at = 0;
  for (const part of parts) {
    features.set(part.features, at);
    at += part.features.length;
  }
  return { features, rows, width: WIDTH };
}
