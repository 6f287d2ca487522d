/** A slide's features in memory: what a page in a browser calls. For many or very large slides in Node, `histograd extract`. */
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { Extractor } from '../models/extractors/extractor.ts';
import {
  type SelectOptions,
  selectedTiles,
  selectTiles,
  type TileSelection,
} from '../slides/select-tiles.ts';
import type { Slide } from '../slides/slide.ts';
import { planTiles, type TilePlan, type TilingOptions } from '../slides/tiling.ts';
import { embedTiles } from './embed-tiles.ts';
import { readStained } from './tile-task.ts';

export interface ExtractFeaturesOptions {
  /** Tile side in pixels (the extractor's own without it) and resolution (0.5 micrometres per pixel without it). */
  readonly tiling?: Partial<TilingOptions>;
  readonly select?: SelectOptions;
  /** Macenko's stain normalisation, tile by tile (false). */
  readonly normaliseStains?: boolean;
  /** Tiles per pass through the network (32). */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  onTiles?(done: number, total: number): void;
}

export interface SlideFeatures {
  /** [tiles, width], row-major. */
  readonly features: Float32Array<ArrayBuffer>;
  readonly width: number;
  /** Upper left corners in level-0 pixels, [tiles, 2]. */
  readonly coords: Int32Array<ArrayBuffer>;
  readonly plan: TilePlan;
  readonly selection: TileSelection;
}

/**
 * Cuts a slide into tiles, keeps those with tissue (or what `select` says), and runs the extractor over them.
 *
 * @throws HistogradError `slide-mpp` when the slide does not say its resolution and `tiling.mppOverride` neither, `no-tissue`,
 *   and what reading and computing throw
 */
export async function extractFeatures(
  device: Device,
  extractor: Extractor,
  slide: Slide,
  options: ExtractFeaturesOptions = {},
): Promise<SlideFeatures> {
  const { batch = 32, normaliseStains = false, signal } = options;
  const { size } = extractor.preprocessing;
  const plan = planTiles(slide, { mpp: 0.5, size, ...options.tiling });
  const selection = await selectTiles(slide, plan, {
    ...options.select,
    ...(signal ? { signal } : {}),
  });
  const tiles = selectedTiles(plan, selection);
  if (tiles.length === 0) throw noTissue(slide, plan);
  const features = new Float32Array(tiles.length * extractor.width);
  const read = (i: number) =>
    readStained(slide, { plan, tile: tiles[i]!, normalise: normaliseStains });
  for await (const part of embedTiles(device, extractor, tiles.length, read, {
    batch,
    ahead: 1,
    signal,
  })) {
    features.set(part.features, part.start * extractor.width);
    options.onTiles?.(part.start + part.count, tiles.length);
  }
  const coords = Int32Array.from(tiles.flatMap(({ x, y }) => [x, y]));
  return { features, width: extractor.width, coords, plan, selection };
}

export function noTissue({ name, levels }: Slide, plan: TilePlan): HistogradError {
  if (plan.tiles.length === 0) {
    const { width, height } = levels[0]!;
    const side = Math.round(plan.side);
    return new HistogradError(
      'no-tissue',
      `${name} has ${width} x ${height} pixels, less than one tile of ${side} x ${side}.`,
      'Fill up tiles that reach over the edge (--edge pad), or use smaller tiles (--tile-size).',
    );
  }
  return new HistogradError(
    'no-tissue',
    `${name}: none of the ${plan.tiles.length} tiles was kept.`,
    'Look at the slide (--preview); try another tissue rule, a smaller least tissue or another rule for keeping tiles.',
  );
}
