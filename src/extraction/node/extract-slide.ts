/** One slide file to one feature file. */
import { access } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { allSettingChanges, type FeatureSettings } from '../../data/feature-settings.ts';
import { writeFileAtomic } from '../../data/node/atomic-write.ts';
import { readFeatureSettings } from '../../data/node/feature-settings.ts';
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import type { Extractor } from '../../models/extractors/extractor.ts';
import { openSlide, type SlidePath } from '../../slides/node/open-slide.ts';
import { renderPreview } from '../../slides/preview.ts';
import { type SelectOptions, selectedTiles, selectTiles } from '../../slides/select-tiles.ts';
import type { Slide } from '../../slides/slide.ts';
import {
  planTiles,
  type TilePlan,
  type TileScale,
  type TilingOptions,
} from '../../slides/tiling.ts';
import { embedTiles } from '../embed-tiles.ts';
import { noTissue } from '../extract-features.ts';
import { readStained } from '../tile-task.ts';
import { createFeatureFile, type FeatureFileFormat } from './feature-file.ts';
import type { TilePool } from './tile-pool.ts';

export interface ExtractJob {
  readonly slide: SlidePath;
  readonly out: string;
  readonly format: FeatureFileFormat;
  /** Where to draw which tiles were kept, an SVG; null for nowhere. */
  readonly preview: string | null;
  readonly tiling: Omit<TilingOptions, 'mppOverride'>;
  /** Micrometres per pixel for slides that do not say it. */
  readonly slideMpp?: number | undefined;
  readonly select: SelectOptions;
  /** Macenko's stain normalisation. */
  readonly normalise: boolean;
  readonly batch: number;
  /** What the features depend on; stored in the file, and a file with others is not taken for finished. */
  readonly settings: FeatureSettings;
}

export interface ExtractContext {
  readonly device: Device;
  readonly extractor: Extractor;
  /** Reads tiles in threads; null reads them here. */
  readonly pool: TilePool | null;
  readonly signal?: AbortSignal;
  onPhase?(phase: 'choosing' | 'extracting', total: number): void;
  onTiles?(done: number, total: number): void;
  warn?(text: string): void;
}

export type ExtractOutcome =
  | { readonly state: 'done'; readonly tiles: number; readonly planned: number }
  | { readonly state: 'skipped' };

/**
 * Extracts a slide's features, or finds that this was done before with the same settings. The file appears under its name only when
 * it is complete.
 *
 * @throws HistogradError `extracted-otherwise` when the file exists with other settings, `no-tissue` when no tile is kept, and
 *   what reading, computing and writing throw
 */
export async function extractSlide(
  job: ExtractJob,
  context: ExtractContext,
): Promise<ExtractOutcome> {
  const { device, extractor, pool, signal } = context;
  const slide = await openSlide(job.slide);
  try {
    const own = resolution(slide, job, context);
    const settings = { ...job.settings, ...own };
    if (await isFinished(job.out, settings)) return { state: 'skipped' };
    const plan = planTiles(slide, { ...job.tiling, ...own });
    if (plan.upsampled) {
      context.warn?.(
        `${slide.name} has ${plan.slideMpp} micrometres per pixel, coarser than the ${plan.mpp} asked for: tiles are enlarged`,
      );
    }
    const selection = await selectTiles(slide, plan, {
      ...job.select,
      ...(signal ? { signal } : {}),
      // A network scores one tile while the next is read.
      ...(job.select.scoreTile ? { atOnce: 2 } : pool && scoredInThreads(pool, job.slide, plan)),
      onTile: (done, total) => {
        if (done === 1) context.onPhase?.('choosing', total);
        context.onTiles?.(done, total);
      },
    });
    if (job.preview)
      await writeFileAtomic(job.preview, await renderPreview(slide, plan, selection));
    const tiles = selectedTiles(plan, selection);
    if (tiles.length === 0) throw noTissue(slide, plan);
    const file = await createFeatureFile(job.out, job.format, {
      rows: tiles.length,
      width: extractor.width,
      coords: Int32Array.from(tiles.flatMap(({ x, y }) => [x, y])),
      attributes: {
        histograd: JSON.stringify(settings),
        slide: slide.name,
        mpp: plan.mpp,
        slide_mpp: plan.slideMpp,
        patch_size: plan.size,
        patch_size_level0: Math.round(plan.side),
        patch_level: plan.level,
      },
      coordsAttributes: clamAttributes(slide, plan),
    });
    try {
      context.onPhase?.('extracting', tiles.length);
      const scale = scaleOf(plan);
      const read = (i: number) => {
        const task = { plan: scale, tile: tiles[i]!, normalise: job.normalise };
        return pool ? pool.read(job.slide, task) : readStained(slide, task);
      };
      const options = { batch: job.batch, ahead: 2, signal };
      for await (const part of embedTiles(device, extractor, tiles.length, read, options)) {
        await file.append(part.features);
        context.onTiles?.(part.start + part.count, tiles.length);
      }
      await file.finish();
    } catch (cause) {
      await file.discard();
      throw cause;
    }
    return { state: 'done', tiles: tiles.length, planned: plan.tiles.length };
  } finally {
    await slide.close();
  }
}

/**
 * What CLAM keeps with its coordinates, in its names, and TRIDENT's `patch_size_level0`. `patch_size` is in pixels of `patch_level`, since
 * CLAM reads a tile with both.
 */
function clamAttributes({ name, levels }: Slide, { level, factor, size, side }: TilePlan) {
  const { width, height, downsample } = levels[level]!;
  return {
    name: basename(name, extname(name)),
    patch_level: level,
    patch_size: Math.round(size * factor),
    patch_size_level0: Math.round(side),
    downsample: [downsample, downsample],
    level_dim: [width, height],
    downsampled_level_dim: [width, height],
  };
}

/** Enough tiles under way that no thread waits for the slowest one. */
const TILES_PER_THREAD = 4;

function scoredInThreads(
  pool: TilePool,
  slide: SlidePath,
  plan: TilePlan,
): Pick<SelectOptions, 'measure' | 'atOnce'> {
  const scale = scaleOf(plan);
  return {
    measure: (tile, question) => pool.measure(slide, { plan: scale, tile, question }),
    atOnce: TILES_PER_THREAD * pool.threads,
  };
}

/** What a thread needs of a plan: not its list of tiles. */
function scaleOf({ level, factor, size }: TilePlan): TileScale {
  return { level, factor, size };
}

/** The resolution given by the user, for a slide that has none of its own. */
function resolution(
  { name, mpp }: Slide,
  { slideMpp }: ExtractJob,
  { warn }: ExtractContext,
): { mppOverride?: number } {
  if (slideMpp === undefined) return {};
  if (mpp === null) return { mppOverride: slideMpp };
  if (Math.abs(mpp / slideMpp - 1) > 0.02) {
    warn?.(`${name} says itself that it has ${mpp} micrometres per pixel: that is used, not --mpp`);
  }
  return {};
}

async function isFinished(out: string, settings: FeatureSettings): Promise<boolean> {
  const exists = await access(out).then(
    () => true,
    () => false,
  );
  if (!exists) return false;
  const found = await readFeatureSettings(out);
  const changes = found && allSettingChanges(found, settings);
  if (changes?.length === 0) return true;
  const how =
    changes === null
      ? 'is damaged or was made by something else'
      : `was made with other settings: ${changes.map((c) => `${c.name} ${c.found}, now ${c.expected}`).join('; ')}`;
  throw new HistogradError(
    'extracted-otherwise',
    `${out} exists, but ${how}.`,
    'Choose another --out, or delete the file.',
  );
}
