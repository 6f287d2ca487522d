/** A `Dataset` from its parts, wherever these come from: files, the simulation, the browser's storage. */
import { streamBags } from '../../data/bag-stream.ts';
import type { ExpressionTransform } from '../../data/expression-transform.ts';
import type { FeatureSettings } from '../../data/feature-settings.ts';
import type { PatchFeatures } from '../../data/features.ts';
import { HistogradError } from '../../errors.ts';
import type { BagSource } from '../../training/bag-source.ts';
import type { DatasetSummary, Places } from '../protocol.ts';
import type { Dataset, DatasetFolder } from '../worker/dataset.ts';
import type { Picture } from './picture.ts';

/** A slide or section, and how to get at what is large. */
export interface SlidePart {
  readonly id: string;
  readonly patient: string;
  /** Rows of its features: places. */
  readonly rows: number;
  /** In the order of the places. */
  features(): Promise<PatchFeatures>;
  places(): Promise<Omit<Places, 'slide'>>;
  readonly picture: Picture | null;
  /** Micrometres per pixel of the picture. */
  readonly mpp: number | null;
}

export interface DatasetParts {
  readonly title: string;
  readonly kind: DatasetSummary['kind'];
  readonly simulated: boolean;
  readonly slides: readonly SlidePart[];
  readonly genes: readonly string[];
  /** [samples, genes] */
  readonly targets: Float32Array | null;
  readonly transform: ExpressionTransform;
  readonly unit: string;
  readonly features: DatasetSummary['features'];
  readonly settings?: FeatureSettings | undefined;
  readonly notes: readonly string[];
  readonly model?: Dataset['model'];
  /** Truth per place where samples are slides; spots have theirs in `targets`. */
  tileTruth?(slide: number, gene: number): Float32Array | null;
  reachable?(samples: readonly number[]): number | null;
  /** What `openSaved` needs, where that is not all of this. */
  save?(folder: DatasetFolder): Promise<void>;
}

/** @throws HistogradError `no-such-place` on reading with numbers that the set does not have */
export function assemble(parts: DatasetParts): Dataset {
  const { slides, genes, targets } = parts;
  const spots = parts.kind === 'spots';
  const slideOfSample = Uint32Array.from(
    spots ? slides.flatMap(({ rows }, i) => new Array<number>(rows).fill(i)) : slides.keys(),
  );
  const firstSample = firstSamples(slides, spots);
  const slideAt = (index: number): SlidePart => {
    const slide = slides[index];
    if (slide) return slide;
    throw new HistogradError(
      'no-such-place',
      `There is no slide number ${index}: the data have ${slides.length}.`,
      'This is a fault of the page: reload it, and report it.',
    );
  };
  return {
    summary: summaryOf(parts, slideOfSample.length),
    source: spots ? spotSource(parts) : slideSource(parts),
    targets,
    transform: parts.transform,
    slideOfSample,
    placeFeatures: (slide) => slideAt(slide).features(),
    async places(slide) {
      const { id, places } = slideAt(slide);
      return { slide: id, ...(await places()) };
    },
    observed(slide, gene) {
      const { rows } = slideAt(slide);
      if (!spots || !targets) return parts.tileTruth?.(slide, gene) ?? null;
      const first = firstSample[slide]!;
      return Float32Array.from(
        { length: rows },
        (_, i) => targets[(first + i) * genes.length + gene]!,
      );
    },
    async pictureTile(slide, level, column, row) {
      const { picture, id } = slideAt(slide);
      if (picture) return picture.tile(level, column, row);
      throw new HistogradError(
        'no-picture',
        `${id} has no picture.`,
        'Drop the slide or the image of the section together with its other files.',
      );
    },
    reachable: (samples) => parts.reachable?.(samples) ?? null,
    ...(parts.model && { model: parts.model }),
    async save(folder) {
      if (parts.save) return parts.save(folder);
      const { saveParts } = await import('./saved.ts');
      await saveParts(parts, folder);
    },
    async close() {
      for (const { picture } of slides) await picture?.close();
    },
  };
}

function firstSamples(slides: readonly SlidePart[], spots: boolean): number[] {
  let next = 0;
  return slides.map(({ rows }) => {
    const first = next;
    next += spots ? rows : 1;
    return first;
  });
}

function summaryOf(parts: DatasetParts, samples: number): DatasetSummary {
  const { title, kind, simulated, slides, genes, features, unit, notes } = parts;
  return {
    title,
    kind,
    simulated,
    slides: slides.map(({ id, patient, rows, picture, mpp }) => ({
      id,
      patient,
      places: rows,
      picture: picture && {
        width: picture.width,
        height: picture.height,
        tileSize: picture.tileSize,
        levels: picture.levels,
      },
      mpp,
      part: 'unassigned',
    })),
    genes,
    features,
    unit,
    patients: new Set(slides.map(({ patient }) => patient)).size,
    samples,
    notes,
  };
}

/** A bag per slide. */
function slideSource({ slides, features: { width }, settings }: DatasetParts): BagSource {
  const bags = slides.map((slide) => ({
    id: slide.id,
    patient: slide.patient,
    path: slide.id,
    rows: slide.rows,
    width,
    slide,
  }));
  return {
    slides: bags,
    width,
    settings,
    batches: (order, sample) =>
      streamBags(bags, order, {
        ...(sample && { ...sample, sampleSeed: sample.seed }),
        read: ({ slide }) => slide.features(),
      }),
  };
}

/** A bag of one patch per spot. */
function spotSource({ slides, features: { width }, settings }: DatasetParts): BagSource {
  const bags = slides.flatMap((slide) =>
    Array.from({ length: slide.rows }, (_, row) => ({
      id: `${slide.id}/${row + 1}`,
      patient: slide.patient,
      path: slide.id,
      rows: 1,
      width,
      slide,
      row,
    })),
  );
  return {
    slides: bags,
    width,
    settings,
    batches: (order) =>
      streamBags(bags, order, {
        read: async ({ slide, row }) => {
          const { features } = await slide.features();
          const own = features.subarray(row * width, (row + 1) * width);
          return { features: own, rows: 1, width };
        },
      }),
  };
}
