import { describe, expect, it } from 'vitest';
import { ViT } from '../../../src/models/extractors/vit.ts';
import { openSlide } from '../../../src/slides/open-slide.ts';
import { TILE_STATISTICS, tileStatistics } from '../../../src/slides/tile-statistics.ts';
import { planTiles, readTile } from '../../../src/slides/tiling.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { inspectFiles, openFiles } from '../../../src/web/data/index.ts';
import type { DroppedFile, OpenOptions } from '../../../src/web/protocol.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { dicomFile } from '../../slides/write-dicom.ts';
import { tiledPage, writeTiff } from '../../slides/write-tiff.ts';
import { dropped, model, png, safetensors, tissue } from './files.ts';

const device = await testDevice();
const open = (files: readonly DroppedFile[], options: OpenOptions = {}) =>
  openFiles(files, options, device, () => {});
const WIDTH = TILE_STATISTICS.length;

/** 300 x 200 pixels of half a micrometre; the left 200 columns are tissue. */
function svs(mpp: number | null = 0.5): Uint8Array<ArrayBuffer> {
  const [width, height] = [300, 200];
  const data = new Uint8Array(3 * width * height).fill(250);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < 200; x++) data.set(tissue(x, y), 3 * (y * width + x));
  }
  const says = mpp === null ? 'Aperio Image|AppMag = 20' : `Aperio Image|MPP = ${mpp}`;
  const picture = { width, height, samples: 3, data };
  return writeTiff([tiledPage(picture, 64, { 270: ['ascii', says] })]);
}
const made = (size: number, mpp: number) => ({
  format: 1,
  extractor: 'tile-statistics',
  version: 1,
  tiling: { size, mpp },
});

describe('a slide with a trained model', () => {
  it('is cut as the model’s slides were, where there is tissue', async () => {
    const tasks: string[] = [];
    const files = [
      dropped('CMU.svs', svs()),
      dropped('best.safetensors', model(WIDTH, made(25, 1))),
    ];
    const dataset = await openFiles(files, {}, device, (label) => tasks.push(label));
    const { summary, source } = dataset;
    expect(summary).toMatchObject({
      title: 'CMU',
      kind: 'unlabelled',
      genes: [],
      samples: 1,
      features: { name: 'tile statistics', width: WIDTH },
    });
    expect(summary.slides[0]).toMatchObject({ id: 'CMU', mpp: 0.5, picture: { width: 300 } });
    expect(summary.notes.join()).toMatch(/16 of 24 tiles have tissue/);
    expect(source.settings).toMatchObject(made(25, 1));
    expect(dataset.model?.name).toBe('best.safetensors');
    expect(tasks).toContain('Describing tiles');
    const places = await dataset.places(0);
    expect(places).toMatchObject({ shape: 'square', size: 50 });
    expect([places.x[0], places.y[0], Math.max(...places.x)]).toEqual([25, 25, 175]);
    const { features, rows } = await dataset.placeFeatures(0);
    expect(rows).toBe(16);
    const slide = await openSlide(svs());
    const plan = planTiles(slide, { size: 25, mpp: 1 });
    const tile = await readTile(slide, plan, plan.tiles[1]!);
    expect(features.slice(WIDTH, 2 * WIDTH)).toEqual(tileStatistics(tile.data, 25));
  });

  it('assumes the usual scale, and says so, where the model does not tell it', async () => {
    const files = [dropped('a.svs', svs()), dropped('m.safetensors', model(WIDTH))];
    const { summary } = await open(files);
    expect(summary.notes[0]).toMatch(/does not say how its tiles were cut: 64 pixels at 0\.5 µm/);
  });

  it('takes the resolution that the user gives where the slide says none', async () => {
    const files = [
      dropped('a.svs', svs(null)),
      dropped('m.safetensors', model(WIDTH, made(25, 1))),
    ];
    expect(await inspectFiles(files)).toMatchObject({ needsMpp: true, problem: null });
    await expectError(() => open(files), 'slide-mpp', /a\.svs does not say/);
    const { summary } = await open(files, { mpp: 0.25 });
    expect(summary.slides[0]).toMatchObject({ mpp: 0.25 });
    await expectError(() => open(files, { mpp: -1 }), 'tiling', /mppOverride is -1/);
  });

  it('puts the files of a DICOM series together', async () => {
    const files = [
      dropped('x/1.dcm', dicomFile()),
      dropped(
        'x/2.dcm',
        dicomFile({ elements: { '00080008': ['CS', 'DERIVED\\PRIMARY\\LABEL\\NONE'] } }),
      ),
      dropped('best.safetensors', model(WIDTH, made(16, 0.25))),
    ];
    await expectError(() => open(files), 'no-tissue', /1\.dcm has 20 x 14 pixels/);
  });

  it('says which weights it needs', async () => {
    const slide = dropped('a.svs', svs());
    const uni = dropped(
      'm.safetensors',
      model(1024, { ...made(224, 0.5), extractor: 'uni', stain: 'none' }),
    );
    await expectError(() => open([slide, uni]), 'weights-needed', /features of UNI/);
    await expectError(
      () => open([slide, dropped('m.safetensors', model(512))]),
      'weights-needed',
      /a network of width 512/,
    );
    const net = new ViT(
      { device, generator: new Generator(1) },
      { width: 64, depth: 1, heads: 1, hidden: 16, patch: 16, size: 32, layerScale: null },
    );
    const weights = dropped(
      'w.safetensors',
      safetensors(Object.fromEntries(await net.stateDict())),
    );
    net.dispose();
    await expectError(
      () => open([slide, uni, weights]),
      'other-extractor',
      /features of UNI.*weights of ViT-S/,
    );
    await expectError(
      () => open([slide, dropped('m.safetensors', model(512)), weights]),
      'width-mismatch',
      /width 512; w\.safetensors \(ViT-S\/16\) gives 64/,
    );
    const own = { ...made(32, 0.5), extractor: 'vit-s16', weights: 'other', stain: 'macenko' };
    const dataset = await open([slide, dropped('m.safetensors', model(64, own)), weights]);
    expect(dataset.source.settings).toMatchObject({ extractor: 'vit-s16', stain: 'macenko' });
    // Not the model's: the engine compares them.
    expect(dataset.source.settings?.weights).toMatch(/^[0-9a-f]{64}$/);
    expect((await dataset.placeFeatures(0)).width).toBe(64);
  });

  it('refuses models whose features cannot be made here', async () => {
    const slide = dropped('a.svs', svs());
    const spots = {
      format: 1,
      extractor: 'tile-statistics',
      version: 1,
      tiling: { size: 30, pitches: 1 },
    };
    await expectError(
      () => open([slide, dropped('m.safetensors', model(WIDTH, spots))]),
      'unknown-scale',
      /spots of sections/,
    );
    const dexined = { ...made(25, 1), select: { selector: 'dexined', keep: { sigmas: 1 } } };
    await expectError(
      () => open([slide, dropped('m.safetensors', model(WIDTH, dexined))]),
      'odd-features',
      /select\.selector/,
    );
    const broken = safetensors(
      { a: { shape: [1], data: Float32Array.of(1) } },
      { format: 'histograd-model', kind: 'ridge', width: 'wide' },
    );
    const bad = await inspectFiles([slide, dropped('m.safetensors', broken)]);
    expect(bad).toMatchObject({ opens: null, problem: { code: 'no-model' } });
    const white = dropped(
      'w.png',
      png(60, 60, () => [250, 250, 250]),
    );
    await expectError(
      () => open([white, dropped('m.safetensors', model(WIDTH, made(20, 1)))], { mpp: 1 }),
      'no-tissue',
      /w\.png/,
    );
  });
});
