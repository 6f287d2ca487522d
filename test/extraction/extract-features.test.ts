import { describe, expect, it } from 'vitest';
import { extractFeatures } from '../../src/extraction/extract-features.ts';
import { SQUEEZENET, SqueezeNet } from '../../src/models/extractors/squeezenet.ts';
import type { Slide } from '../../src/slides/slide.ts';
import { Generator } from '../../src/tensor/random.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { flat, tissuePixel } from '../slides/pictures.ts';

/** A slide of 200 x 200 pixels at half a micrometre: tissue on the left, glass on the right. */
function slideOf(empty: boolean): Slide {
  return {
    name: 'made.png',
    format: 'png',
    levels: [{ width: 200, height: 200, downsample: 1 }],
    mpp: 0.5,
    objectivePower: null,
    async readRegion(_level, x, y, width, height) {
      const image = flat(width, height, [245, 245, 245]);
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          if (empty || x + column >= 100) continue;
          image.data.set(tissuePixel(x + column, y + row, 1), 3 * (row * width + column));
        }
      }
      return image;
    },
    close() {},
  };
}

async function network() {
  const init = { device: await testDevice(), generator: new Generator(1) };
  const squeeze = [2, 2, 4, 4, 6, 6, 8, 8];
  return new SqueezeNet(init, { ...SQUEEZENET, stem: 8, squeeze, classes: 4 });
}

describe('extractFeatures', () => {
  it('gives the tiles with tissue, where they are, and a row for each', async () => {
    const device = await testDevice();
    const extractor = await network();
    const seen: number[] = [];
    const { features, coords, width, selection } = await extractFeatures(
      device,
      extractor,
      slideOf(false),
      { tiling: { size: 50 }, batch: 3, onTiles: (done) => seen.push(done) },
    );
    expect(width).toBe(64);
    expect(coords.length / 2).toBe(selection.kept.length);
    expect(selection.kept.length).toBeGreaterThan(4);
    expect(features.length).toBe(64 * selection.kept.length);
    expect(coords.every((at, i) => at % 50 === 0 && (i % 2 === 1 || at < 100))).toBe(true);
    expect(seen.at(-1)).toBe(selection.kept.length);
    extractor.dispose();
  });

  it('says that there is no tissue, and that a slide does not say its resolution', async () => {
    const device = await testDevice();
    const extractor = await network();
    const tiling = { size: 50 };
    await expectError(
      () => extractFeatures(device, extractor, slideOf(true), { tiling }),
      'no-tissue',
      /made\.png: none of the 16 tiles was kept/,
    );
    await expectError(
      () => extractFeatures(device, extractor, slideOf(false), { tiling: { size: 400 } }),
      'no-tissue',
      /made\.png has 200 x 200 pixels, less than one tile of 400 x 400\.\n.*--edge pad/,
    );
    const silent = { ...slideOf(false), mpp: null };
    await expectError(
      () => extractFeatures(device, extractor, silent, { tiling }),
      'slide-mpp',
      /does not say how large its pixels are/,
    );
    extractor.dispose();
  });
});
