import { describe, expect, it } from 'vitest';
import { embedTiles } from '../../src/extraction/embed-tiles.ts';
import { Extractor, IMAGENET } from '../../src/models/extractors/extractor.ts';
import { Conv2d } from '../../src/nn/conv.ts';
import type { Init } from '../../src/nn/layers.ts';
import { globalAvgPool2d } from '../../src/ops/pool2d.ts';
import type { RgbImage } from '../../src/slides/slide.ts';
import { Generator } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

/** Means of three channels after a 1x1 convolution. */
class Tiny extends Extractor {
  readonly preprocessing = { ...IMAGENET, size: 8 };
  readonly width = 5;
  readonly conv: Conv2d;

  constructor(init: Init) {
    super();
    this.conv = new Conv2d(init, 3, 5, 1);
  }

  forward(images: Tensor): Tensor {
    return globalAvgPool2d(this.conv.forward(images));
  }
}

/** A tile of one grey per index. */
function tile(index: number, side = 8): RgbImage {
  return { width: side, height: side, data: new Uint8Array(3 * side * side).fill(20 * index) };
}

async function setUp() {
  const device = await testDevice();
  return { device, extractor: new Tiny({ device, generator: new Generator(3) }) };
}

const OPTIONS = { batch: 3, ahead: 1 };

describe('embedTiles', () => {
  it('gives every tile its row, in order, whatever the batch', async () => {
    const { device, extractor } = await setUp();
    const rows = async (batch: number) => {
      const found: number[] = [];
      const parts = embedTiles(device, extractor, 7, async (i) => tile(i), { batch, ahead: 2 });
      for await (const { start, count, features } of parts) {
        expect(start).toBe(found.length / 5);
        expect(features.length).toBe(5 * count);
        found.push(...features);
      }
      return found;
    };
    const whole = await rows(7);
    expect(whole).toHaveLength(35);
    expect(new Set(whole.filter((_, i) => i % 5 === 0)).size).toBe(7);
    const parts = await rows(3);
    for (const [i, value] of whole.entries()) expect(parts[i]).toBeCloseTo(value, 5);
    expect(extractor.training).toBe(false);
  });

  it('reads only a few batches ahead, and leaves nothing on the device', async () => {
    const { device, extractor } = await setUp();
    const before = device.memory.live;
    let asked = 0;
    const read = async (i: number) => {
      asked++;
      return tile(i % 10);
    };
    let done = 0;
    for await (const { count } of embedTiles(device, extractor, 30, read, OPTIONS)) {
      done += count;
      expect(asked - done).toBeLessThanOrEqual(3 * 2);
    }
    expect(done).toBe(30);
    expect(device.memory.live).toBe(before);
  });

  it('passes on what reading throws, and stops when it is told to', async () => {
    const { device, extractor } = await setUp();
    const broken = async (i: number): Promise<RgbImage> => {
      if (i === 4) throw new Error('tile 4 is damaged');
      return tile(i);
    };
    const all = async (read: (i: number) => Promise<RgbImage>, signal?: AbortSignal) => {
      let done = 0;
      for await (const { count } of embedTiles(device, extractor, 9, read, { ...OPTIONS, signal }))
        done += count;
      return done;
    };
    await expect(all(broken)).rejects.toThrow('tile 4 is damaged');
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    await expect(all(async (i) => tile(i), controller.signal)).rejects.toThrow('enough');
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses a batch of %s tiles', async (batch) => {
    const { device, extractor } = await setUp();
    const parts = embedTiles(device, extractor, 3, async (i) => tile(i), { batch, ahead: 1 });
    await expectError(() => parts.next(), 'option', new RegExp(`batch is ${batch}`));
  });

  it('refuses tiles of different sizes', async () => {
    const { device, extractor } = await setUp();
    const parts = embedTiles(device, extractor, 3, async (i) => tile(i, i === 2 ? 9 : 8), OPTIONS);
    await expectError(() => parts.next(), 'tile-shape', /Tile 2 has 9 x 9 pixels, expected 8 x 8/);
  });

  it('names the tile for which the network gives no number', async () => {
    const { device, extractor } = await setUp();
    extractor.conv.bias!.assign(new Float32Array(5).fill(Number.NaN));
    const parts = embedTiles(device, extractor, 3, async (i) => tile(i), OPTIONS);
    await expectError(() => parts.next(), 'non-finite-features', /gives NaN for tile 0/);
  });
});
