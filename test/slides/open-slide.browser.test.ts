/** Slides in the browser, from a `File`: the codecs' WebAssembly loads, and pixels are those that OpenSlide reads. */
import { expect, it } from 'vitest';
import { openSlide } from '../../src/slides/open-slide.ts';
import expected from './fixtures/expected.json';

async function file(name: string): Promise<File> {
  const response = await fetch(new URL(`./fixtures/${name}`, import.meta.url));
  return new File([new Uint8Array(await response.arrayBuffer())], name);
}

it.each([
  ['ycbcr.svs', expected['ycbcr.svs'].crops],
  ['jp2k-33003.svs', expected['jp2k-33003.svs'].crops],
])('%s', async (name, crops) => {
  const slide = await openSlide(await file(name));
  expect(slide).toMatchObject({ name, format: 'aperio-svs', mpp: 0.252 });
  for (const { level, x, y, width, height, rgb } of crops) {
    const region = await slide.readRegion(level, x, y, width, height);
    const wanted = Uint8Array.from(atob(rgb), (c) => c.charCodeAt(0));
    const largest = wanted.reduce((most, v, i) => Math.max(most, Math.abs(v - region.data[i]!)), 0);
    expect(largest).toBeLessThanOrEqual(2);
  }
  await slide.close();
});

it('a JPEG section', async () => {
  const slide = await openSlide(await file('picture.jpg'), { mpp: 0.5 });
  expect(slide).toMatchObject({
    format: 'jpeg',
    mpp: 0.5,
    levels: [{ width: 48, height: 32, downsample: 1 }],
  });
});
