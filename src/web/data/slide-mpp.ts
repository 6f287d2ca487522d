/** Whether slides say how large their pixels are. */
import type { SlidePlan } from './plan-slides.ts';
import { SlidePool } from './slide-pool.ts';

/** True where every slide says it. Pictures (JPEG, PNG) do not, and are not decoded to find out. Errors as `openSlide`. */
export async function knownMpp(slides: readonly SlidePlan[]): Promise<boolean> {
  const pool = new SlidePool();
  try {
    for (const { files } of slides) {
      if (files.some(({ format }) => format === 'jpeg' || format === 'png')) return false;
      const mpp = await pool.use(slideFiles(files), async (slide) => slide.mpp);
      if (mpp === null) return false;
    }
    return true;
  } finally {
    await pool.close();
  }
}

export function slideFiles(files: readonly { readonly path: string; readonly file: File }[]) {
  return { files: files.map(({ path, file }) => ({ file, name: path })) };
}
