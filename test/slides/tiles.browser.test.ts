/** Where there is no Node: the selection with the browser's own deflate, stains and the preview. */
import { expect, it } from 'vitest';
import { renderPreview } from '../../src/slides/preview.ts';
import { selectTiles } from '../../src/slides/select-tiles.ts';
import { shannonScore } from '../../src/slides/selectors/shannon.ts';
import { planTiles } from '../../src/slides/tiling.ts';
import { GOLDEN_CASES } from './goldens.ts';
import { pictureSlide, tissue } from './pictures.ts';

it('scores and selects tiles, and draws them as an image that the browser shows', async () => {
  for (const { image, scores } of GOLDEN_CASES) {
    const bits = await shannonScore(image);
    expect(Math.abs(bits - scores.bits)).toBeLessThanOrEqual(Math.max(16, 0.05 * scores.bits));
  }
  const slide = pictureSlide(tissue(256, 192, 4));
  const plan = planTiles(slide, { mpp: 0.5, size: 64 });
  const options = { tissue: 'none', selector: 'shannon', keep: { fraction: 0.5 } } as const;
  const selection = await selectTiles(slide, plan, options);
  expect(selection.kept).toHaveLength(6);
  const svg = await renderPreview(slide, plan, selection);
  const picture = await createImage(`data:image/svg+xml,${encodeURIComponent(svg)}`);
  expect(picture.naturalWidth).toBeGreaterThan(800);
});

interface LoadedImage {
  src: string;
  naturalWidth: number;
  decode(): Promise<void>;
}

/** Loads an image; this project has no DOM types. */
async function createImage(url: string): Promise<LoadedImage> {
  const Image: new () => LoadedImage = Reflect.get(globalThis, 'Image');
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
