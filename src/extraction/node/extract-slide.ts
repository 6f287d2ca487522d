/** One slide file to one feature file. */
import { access } from 'node:fs/promises';
import { writeFileAtomic } from '../../data/node/atomic-write.ts';
import { readFeatureSettings } from '../../data/node/feature-settings.ts';
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import type { Extractor } from '../../models/extractors/extractor.ts';
import { openSlide } from '../../slides/node/open-slide.ts';
import { renderPreview } from '../../slides/preview.ts';
import { type SelectOptions, selectedTiles, selectTiles } from '../../slides/select-tiles.ts';
import type { Slide } from '../../slides/slide.ts';
import { planTiles, type TilingOptions } from '../../slides/tiling.ts';
import { embedTiles } from '../embed-tiles.ts';
import { noTissue } from '../extract-features.ts';
import { readStained } from '../tile-task.ts';
import { createFeatureFile, type FeatureFileFormat } from './feature-file.ts';
import type { TilePool } from './tile-pool.ts';

type Settings = Readonly<Record<string, unknown>>;

export interface ExtractJob {
  readonly slide: string;
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
  readonly settings: Settings;
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
    });
    try {
      context.onPhase?.('extracting', tiles.length);
      const { level, factor, size } = plan;
      const read = (i: number) => {
        const task = { plan: { level, factor, size }, tile: tiles[i]!, normalise: job.normalise };
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

async function isFinished(out: string, settings: Settings): Promise<boolean> {
  const exists = await access(out).then(
    () => true,
    () => false,
  );
  if (!exists) return false;
  const text = await readFeatureSettings(out);
  if (text === JSON.stringify(settings)) return true;
  const how =
    text === null ? 'is damaged or was made by something else' : differences(text, settings);
  throw new HistogradError(
    'extracted-otherwise',
    `${out} exists, but ${how}.`,
    'Choose another --out, or delete the file.',
  );
}

/** What of the settings in a file is not as it is wanted now. */
function differences(text: string, wanted: Settings): string {
  const found: Settings = JSON.parse(text);
  const keys = new Set([...Object.keys(found), ...Object.keys(wanted)]);
  const changed = [...keys]
    .map((key) => [key, JSON.stringify(found[key]), JSON.stringify(wanted[key])] as const)
    .filter(([, before, now]) => before !== now)
    .map(([key, before = 'none', now = 'none']) => `${key} ${before}, now ${now}`);
  return `was made with other settings: ${changed.join('; ')}`;
}
