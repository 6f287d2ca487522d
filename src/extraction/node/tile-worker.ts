/** What runs in a decoding thread: one slide open at a time, one tile per task. */
import { HistogradError } from '../../errors.ts';
import { openSlide } from '../../slides/node/open-slide.ts';
import type { Slide } from '../../slides/slide.ts';
import { readStained, type TileTask } from '../tile-task.ts';
import type { TileFailure } from './tile-pool.ts';

let opened: { path: string; slide: Promise<Slide> } | null = null;

async function slideAt(path: string): Promise<Slide> {
  if (opened?.path === path) return opened.slide;
  const before = opened;
  opened = null;
  await before?.slide.then((slide) => slide.close()).catch(() => {});
  // Last, with nothing awaited behind it: a slide that cannot be opened must not go unhandled.
  const slide = openSlide(path);
  opened = { path, slide };
  return slide;
}

/** @returns the pixels of the tile, RGB; a HistogradError as data, because between threads errors lose all but their message */
export default async function work({
  path,
  ...task
}: TileTask & { path: string }): Promise<Uint8Array | TileFailure> {
  try {
    return (await readStained(await slideAt(path), task)).data;
  } catch (cause) {
    if (!(cause instanceof HistogradError)) throw cause;
    return { code: cause.code, message: cause.message, advice: cause.advice };
  }
}
