import { describe, expect, it } from 'vitest';
import { DEMO_COHORT, simulateCohort } from '../../../src/data/simulated-cohort.ts';
import { readScaled } from '../../../src/slides/resample.ts';
import type { RgbImage } from '../../../src/slides/slide.ts';
import { TILE_STATISTICS, tileStatistics } from '../../../src/slides/tile-statistics.ts';
import { openSaved } from '../../../src/web/data/index.ts';
import { open } from '../../../src/web/data/open-files.ts';
import { asPixels, type Pixels, slidePicture } from '../../../src/web/data/picture.ts';
import { openSimulated } from '../../../src/web/data/simulated.ts';
import { expectError } from '../../data/expect-error.ts';
import clamUrl from '../../data/fixtures/clam.h5?url';
import { testDevice } from '../../device.ts';
import { dropped, memoryFolder, png, tissue } from './files.ts';

/** RGB of a bitmap. */
function pixelsOf(bitmap: ImageBitmap): Uint8Array {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no canvas');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return Uint8Array.from(data.filter((_, i) => i % 4 !== 3));
}

function drawn(width: number, height: number): RgbImage {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++)
    data.set(tissue(i % width, Math.floor(i / width)), 3 * i);
  return { width, height, data };
}

describe('slidePicture', () => {
  const image = drawn(700, 300);
  const picture = slidePicture(
    image,
    (use) => use(asPixels(image)),
    async () => {},
  );

  it('has levels down to one square', () => {
    expect(picture).toMatchObject({ width: 700, height: 300, tileSize: 256, levels: 3 });
    const small = slidePicture(
      { width: 256, height: 10 },
      (use) => use(asPixels(image)),
      async () => {},
    );
    expect(small.levels).toBe(1);
  });

  it('gives the pixels of every level, cut at the borders', async () => {
    const corner = await picture.tile(0, 2, 1);
    expect([corner.width, corner.height]).toEqual([188, 44]);
    const expected = await asPixels(image).readRegion(0, 512, 256, 188, 44);
    expect(pixelsOf(corner)).toEqual(expected.data);
    const half = await picture.tile(1, 1, 0);
    expect([half.width, half.height]).toEqual([94, 150]);
    const window = { level: 0, x: 512, y: 0, scaleX: 2, scaleY: 2, width: 94, height: 150 };
    expect(pixelsOf(half)).toEqual((await readScaled(asPixels(image), window)).data);
    const whole = await picture.tile(2, 0, 0);
    expect([whole.width, whole.height]).toEqual([175, 75]);
  });

  it.each([
    [3, 0, 0],
    [0, 3, 0],
    [0, 0, -1],
    [0.5, 0, 0],
  ])('refuses square %j, %j, %j', async (level, column, row) => {
    await expectError(() => picture.tile(level, column, row), 'no-such-place', /levels are 0 to 2/);
  });

  it('reads a large level once for all small ones, and keeps squares', async () => {
    let read = 0;
    const large: Pixels = {
      levels: [{ width: 9000, height: 4500, downsample: 1 }],
      async readRegion(_, __, ___, width, height) {
        read += width * height;
        return { width, height, data: new Uint8Array(3 * width * height).fill(99) };
      },
    };
    const wide = slidePicture(
      { width: 9000, height: 4500 },
      (use) => use(large),
      async () => {},
    );
    expect(wide.levels).toBe(7);
    await wide.tile(0, 0, 0);
    const near = read;
    await wide.tile(0, 0, 0);
    expect(read).toBe(near);
    const top = await wide.tile(6, 0, 0);
    expect(pixelsOf(top)[0]).toBe(99);
    const after = read;
    await wide.tile(5, 0, 0);
    await wide.tile(5, 1, 0);
    expect(read).toBe(after);
  });
});

describe('openSimulated', () => {
  const SMALL = { ...DEMO_COHORT, patients: 3, tilesPerSlide: [5, 9], genes: 12 } as const;

  it('has the drawings, their statistics and the truth of single tiles', async () => {
    const cohort = simulateCohort(SMALL);
    const dataset = await openSimulated(SMALL);
    const { summary } = dataset;
    expect(summary).toMatchObject({ kind: 'slides', simulated: true, patients: 3, samples: 6 });
    expect(summary.features).toEqual({ name: 'tile statistics', width: TILE_STATISTICS.length });
    const slide = cohort.slides[2]!;
    const { features, rows } = await dataset.placeFeatures(2);
    expect(rows).toBe(slide.tiles.length);
    expect(features.slice(0, TILE_STATISTICS.length)).toEqual(tileStatistics(slide.tiles[0]!, 32));
    expect(dataset.targets!.slice(24, 36)).toEqual(slide.expression);
    expect(dataset.observed(2, 0)).toEqual(cohort.tileSignal(2, 0));
    expect(dataset.reachable([0, 1, 2, 3, 4, 5])).toBeCloseTo(cohort.reachableMean, 6);
    const places = await dataset.places(2);
    const [x = 0, y = 0] = [places.x[1], places.y[1]];
    const square = await dataset.pictureTile(2, 0, 0, 0);
    const all = pixelsOf(square);
    const at = 3 * ((y - 16) * square.width + x - 16);
    expect(all.slice(at, at + 96)).toEqual(slide.tiles[1]!.slice(0, 96));
    await dataset.close();
  });

  it('is saved as what it is drawn from', async () => {
    const dataset = await openSimulated(SMALL);
    const folder = memoryFolder();
    await dataset.save(folder);
    expect([...folder.files.keys()]).toEqual(['dataset.json']);
    const again = await openSaved(folder);
    expect(again.summary).toEqual(dataset.summary);
    expect(again.targets).toEqual(dataset.targets);
  });
});

describe('openSaved', () => {
  const spots = Array.from({ length: 12 }, (_, i) => [1 + (i % 4), 1 + Math.floor(i / 4)] as const);
  const files = () => [
    dropped('A1.tsv', `\tX\tY\n${spots.map(([x, y], i) => `${x}x${y}\t${i}\t3`).join('\n')}\n`),
    dropped(
      'A1_selection.tsv',
      `x\ty\tpixel_x\tpixel_y\n${spots.map(([x, y]) => `${x}\t${y}\t${50 * x}\t${50 * y}`).join('\n')}\n`,
    ),
    dropped('A1.png', png(300, 220, tissue)),
  ];

  it('opens sections again with their pictures', async () => {
    const dataset = await open(files(), {}, await testDevice(), () => {});
    const folder = memoryFolder();
    await dataset.save(folder);
    const again = await openSaved(folder);
    expect(again.summary).toEqual(dataset.summary);
    expect(again.source.settings).toEqual(dataset.source.settings);
    expect(again.transform).toBe('log2');
    expect(again.targets).toEqual(dataset.targets);
    expect(again.slideOfSample).toEqual(dataset.slideOfSample);
    expect(await again.places(0)).toEqual(await dataset.places(0));
    expect(await again.placeFeatures(0)).toEqual(await dataset.placeFeatures(0));
    expect(again.observed(0, 1)).toEqual(dataset.observed(0, 1));
    const [one, other] = await Promise.all(
      [again, dataset].map((set) => set.pictureTile(0, 1, 0, 0)),
    );
    expect(pixelsOf(one!)).toEqual(pixelsOf(other!));
    await Promise.all([again.close(), dataset.close()]);
    // Closed pictures are opened again when they are asked for.
    expect((await again.pictureTile(0, 0, 0, 0)).width).toBe(256);
  });

  it('says what is missing or damaged', async () => {
    await expectError(() => openSaved(memoryFolder()), 'no-saved-data', /cleared/);
    const dataset = await open(files(), {}, await testDevice(), () => {});
    const folder = memoryFolder();
    await dataset.save(folder);
    const manifest = await folder.files.get('dataset.json')!.text();
    folder.files.delete('expression.safetensors');
    await expectError(
      () => openSaved(folder),
      'bad-saved-data',
      /expression\.safetensors is missing/,
    );
    const put = (text: string) => folder.write('dataset.json', new TextEncoder().encode(text));
    await put(manifest.slice(0, 40));
    await expectError(() => openSaved(folder), 'bad-saved-data', /not JSON/);
    await put(manifest.replace('"kind":"spots"', '"kind":"dots"'));
    await expectError(() => openSaved(folder), 'bad-saved-data', /cannot be read/);
  });
});

describe('in a worker', () => {
  it('reads HDF5 files in place', async () => {
    const content = new Uint8Array(await (await fetch(clamUrl)).arrayBuffer());
    const damaged = content.slice(0, 2000);
    const worker = new Worker(new URL('./intake-worker.ts', import.meta.url), { type: 'module' });
    try {
      const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
      worker.postMessage([
        dropped('S1.h5', content),
        dropped('S2.h5', content),
        dropped('cut.h5', damaged),
        dropped('bulk.csv', 'slide,ESR1\nS1,1\nS2,2\n'),
      ]);
      const found = await answer;
      expect(found.error).toBeUndefined();
      expect(found).toMatchObject({ intake: { opens: 'slides' }, summary: { samples: 2 } });
      expect(found.features).toHaveProperty('length');
      expect(found.targets).toEqual(Float32Array.of(1, 2));
    } finally {
      worker.terminate();
    }
  });
});
