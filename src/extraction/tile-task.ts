import type { RgbImage, Slide } from '../slides/slide.ts';
import { normaliseStains } from '../slides/stain-normalise.ts';
import { type PlannedTile, readTile, type TileScale } from '../slides/tiling.ts';

/** One tile to read; small enough to send to a thread for each. */
export interface TileTask {
  readonly plan: TileScale;
  readonly tile: PlannedTile;
  /** Macenko's normalisation, tile by tile. */
  readonly normalise: boolean;
}

/** The pixels of a tile, with its stains normalised where that is wanted and it has two. */
export async function readStained(slide: Slide, task: TileTask): Promise<RgbImage> {
  const image = await readTile(slide, task.plan, task.tile);
  return task.normalise ? normaliseStains(image).image : image;
}
