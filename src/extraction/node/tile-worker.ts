/** What runs in a decoding thread: one slide open at a time, one tile per task. */
import { openSlide } from '../../slides/node/open-slide.ts';
import type { Slide } from '../../slides/slide.ts';
import { readStained, type TileTask } from '../tile-task.ts';

let opened: { path: string; slide: Promise<Slide> } | null = null;

async function slideAt(path: string): Promise<Slide> {
  if (opened?.path !== path) {
    const before = opened;
    opened = { path, slide: openSlide(path) };
    await before?.slide.then((slide) => slide.close()).catch(() => {});
  }
  return opened!.slide;
}

/** @returns the pixels of the tile, RGB */
export default async function work({ path, ...task }: TileTask & { path: string }) {
  return (await readStained(await slideAt(path), task)).data;
}
