/** What runs in a decoding thread: one slide open at a time, one tile per task. */
import { HistogradError } from '../../errors.ts';
import { openSlide, type SlidePath } from '../../slides/node/open-slide.ts';
import type { Slide } from '../../slides/slide.ts';
import { readMeasured, readStained } from '../tile-task.ts';
import type { TileReply, TileRequest } from './tile-pool.ts';

let opened: { key: string; slide: Promise<Slide> } | null = null;

async function slideAt(path: SlidePath): Promise<Slide> {
  const key = JSON.stringify(path);
  if (opened?.key === key) return opened.slide;
  const before = opened;
  opened = null;
  await before?.slide.then((slide) => slide.close()).catch(() => {});
  // Last, with nothing awaited behind it: a slide that cannot be opened must not go unhandled.
  const slide = openSlide(path);
  opened = { key, slide };
  return slide;
}

export default async function work(request: TileRequest): Promise<TileReply> {
  try {
    const slide = await slideAt(request.path);
    return 'question' in request
      ? { measure: await readMeasured(slide, request) }
      : { pixels: (await readStained(slide, request)).data };
  } catch (cause) {
    if (!(cause instanceof HistogradError)) throw cause;
    const { code, message, advice } = cause;
    return { failure: { code, message, advice } };
  }
}
