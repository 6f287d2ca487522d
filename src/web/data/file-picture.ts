/** The picture of a slide file, opened while it is needed. */
import { type Picture, slidePicture } from './picture.ts';
import type { SlideFiles, SlidePool } from './slide-pool.ts';

export interface FilePicture {
  readonly picture: Picture;
  /** Micrometres per pixel, where the file says it. */
  readonly mpp: number | null;
}

/** Errors as `openSlide`. */
export async function filePicture(pool: SlidePool, source: SlideFiles): Promise<FilePicture> {
  const { width, height, mpp } = await pool.use(source, async (slide) => ({
    width: slide.levels[0]!.width,
    height: slide.levels[0]!.height,
    mpp: slide.mpp,
  }));
  return { picture: picturePart(pool, source, { width, height }), mpp };
}

/** As `filePicture` where the size is known already. */
export function picturePart(
  pool: SlidePool,
  source: SlideFiles,
  size: { readonly width: number; readonly height: number },
): Picture {
  return slidePicture(
    size,
    (use) => pool.use(source, use),
    () => pool.close(),
    source,
  );
}
