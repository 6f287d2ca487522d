import { measureTile, type TileMeasure, type TileQuestion } from '../slides/measure-tile.ts';
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

/** One tile to read and to judge, where its pixels then stay. */
export interface MeasureTask {
  readonly plan: TileScale;
  readonly tile: PlannedTile;
  readonly question: TileQuestion;
}

/** The pixels of a tile, with its stains normalised where that is wanted and it has two. */
export async function readStained(slide: Slide, task: TileTask): Promise<RgbImage> {
  const image = await readTile(slide, task.plan, task.tile);
  return task.normalise ? normaliseStains(image).image : image;
}

export async function readMeasured(slide: Slide, task: MeasureTask): Promise<TileMeasure> {
  return measureTile(await readTile(slide, task.plan, task.tile), task.question);
}
