/** The simulated cohort as a data set: drawn when it is opened, described slide by slide when it is needed. */
import type { PatchFeatures } from '../../data/features.ts';
import {
  DEMO_COHORT,
  reachableScores,
  type SimulatedCohort,
  type SimulatedCohortOptions,
  simulateCohort,
} from '../../data/simulated-cohort.ts';
import type { RgbImage } from '../../slides/slide.ts';
import {
  TILE_STATISTICS,
  TILE_STATISTICS_VERSION,
  tileStatistics,
} from '../../slides/tile-statistics.ts';
import type { Dataset } from '../worker/dataset.ts';
import { assemble, type SlidePart } from './assemble.ts';
import { asPixels, type Picture, slidePicture } from './picture.ts';
import { writeManifest } from './saved-files.ts';

type Simulated = SimulatedCohort['slides'][number];

/** Drawings are at about this scale (`render-tile.ts`). */
const MICROMETRES_PER_PIXEL = 2;

export async function openSimulated(
  options: SimulatedCohortOptions = DEMO_COHORT,
): Promise<Dataset> {
  const cohort = simulateCohort(options);
  const { slides, genes } = cohort;
  const targets = new Float32Array(slides.length * genes.length);
  for (const [i, { expression }] of slides.entries()) targets.set(expression, i * genes.length);
  const parts = slides.map(slidePart);
  let closed = false;
  const dataset = assemble({
    title: 'Simulated cohort',
    kind: 'slides',
    simulated: true,
    slides: parts,
    genes,
    targets,
    transform: 'none',
    unit: 'log2 scale',
    features: { name: 'tile statistics', width: TILE_STATISTICS.length },
    settings: {
      extractor: 'tile-statistics',
      version: TILE_STATISTICS_VERSION,
      tiling: { size: options.tileSize, mpp: MICROMETRES_PER_PIXEL },
    },
    notes: [
      'Simulated: tissue drawn by a program, and genes computed from what was drawn, with noise. It says nothing about biology.',
    ],
    tileTruth: (slide, gene) => cohort.tileSignal(slide, gene),
    reachable(samples) {
      const scores = reachableScores(samples.map((i) => slides[i]!));
      return scores.length > 0 ? scores.reduce((sum, r) => sum + r, 0) / scores.length : null;
    },
    save: (folder) =>
      writeManifest(folder, {
        format: 1,
        cohort: { ...options, tilesPerSlide: [...options.tilesPerSlide] },
      }),
  });
  void describeAhead(parts, () => closed);
  return {
    ...dataset,
    close() {
      closed = true;
      return dataset.close();
    },
  };
}

function slidePart(slide: Simulated): SlidePart {
  const { id, patient, tiles, tileSize, coords } = slide;
  const rows = tiles.length;
  let described: PatchFeatures | undefined;
  return {
    id,
    patient,
    rows,
    async features() {
      described ??= describeTiles(slide);
      return described;
    },
    async places() {
      const centre = (axis: number) =>
        Float32Array.from({ length: rows }, (_, i) => coords[2 * i + axis]! + tileSize / 2);
      return {
        shape: 'square',
        x: centre(0),
        y: centre(1),
        size: tileSize,
        names: slide.tissues.map((tissue, i) => `tile ${i + 1} (${tissue})`),
      };
    },
    picture: drawnPicture(slide),
    mpp: MICROMETRES_PER_PIXEL,
  };
}

function describeTiles({ tiles, tileSize, coords }: Simulated): PatchFeatures {
  const width = TILE_STATISTICS.length;
  const features = new Float32Array(tiles.length * width);
  for (const [i, tile] of tiles.entries()) features.set(tileStatistics(tile, tileSize), i * width);
  return { features, rows: tiles.length, width, coords: new Float32Array(coords) };
}

/** While the user reads, the slides are described one after another; the worker answers in between. */
async function describeAhead(parts: readonly SlidePart[], stopped: () => boolean): Promise<void> {
  for (const part of parts) {
    await new Promise((resolve) => setTimeout(resolve));
    if (stopped()) return;
    await part.features();
  }
}

/** The tiles where they belong, on white. */
function drawnPicture({ tiles, tileSize, coords }: Simulated): Picture {
  const extent = (axis: number) =>
    Math.max(...tiles.map((_, i) => coords[2 * i + axis]!)) + tileSize;
  const size = { width: extent(0), height: extent(1) };
  let drawn: RgbImage | undefined;
  const draw = (): RgbImage => {
    const data = new Uint8Array(size.width * size.height * 3).fill(255);
    for (const [i, tile] of tiles.entries()) {
      const [left, top] = [coords[2 * i]!, coords[2 * i + 1]!];
      for (let y = 0; y < tileSize; y++) {
        const line = tile.subarray(y * tileSize * 3, (y + 1) * tileSize * 3);
        data.set(line, ((top + y) * size.width + left) * 3);
      }
    }
    return { ...size, data };
  };
  return slidePicture(
    size,
    (use) => {
      drawn ??= draw();
      return use(asPixels(drawn));
    },
    async () => {
      drawn = undefined;
    },
  );
}
