/** `histograd extract` as a user runs it: sections as pictures, a small network, feature files that train reads. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import type { Dataset } from 'h5wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openH5 } from '../../src/data/node/h5-file.ts';
import { readFeatures } from '../../src/data/node/read-features.ts';
import { parseSafetensors, serializeSafetensors } from '../../src/data/safetensors.ts';
import { createTilePool } from '../../src/extraction/node/tile-pool.ts';
import { readMeasured, readStained } from '../../src/extraction/tile-task.ts';
import { SQUEEZENET, SqueezeNet } from '../../src/models/extractors/squeezenet.ts';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import { planTiles } from '../../src/slides/tiling.ts';
import { Generator } from '../../src/tensor/random.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { tissue } from '../slides/pictures.ts';
import { dicomFile, frames } from '../slides/write-dicom.ts';
import { histograd } from './command.ts';

let folder = '';
let weights = '';
const slides = () => join(folder, 'slides');
const flags = (out: string) => [
  ...['--weights', weights, '--out', join(folder, out)],
  ...['--mpp', '0.5', '--tile-size', '64', '--batch-size', '16'],
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-extract-'));
  await mkdir(slides());
  for (const [i, side] of [256, 330].entries()) {
    await writeFile(join(slides(), `S${i}.png`), encode({ ...tissue(side, side, i), channels: 3 }));
  }
  const init = { device: await testDevice(), generator: new Generator(1) };
  const squeeze = [2, 2, 4, 4, 6, 6, 8, 8];
  const network = new SqueezeNet(init, { ...SQUEEZENET, stem: 8, squeeze, classes: 4 });
  weights = join(folder, 'small.safetensors');
  await writeFile(weights, serializeSafetensors(new Map(await network.stateDict())));
  network.dispose();
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

describe('histograd extract', () => {
  it('gives one feature file per slide, the same with threads and without, and then skips them', async () => {
    const first = await histograd(['extract', slides(), ...flags('a'), '--workers', '2']);
    expect(first.err + first.out).toContain('squeezenet');
    expect(first.code).toBe(0);
    expect((await readdir(join(folder, 'a'))).sort()).toEqual(['S0.h5', 'S1.h5']);
    const alone = [...flags('b'), '--workers', '0', '--format', 'safetensors'];
    const second = await histograd(['extract', slides(), ...alone, '--preview', folder]);
    expect(second.code).toBe(0);
    for (const [id, side] of [
      ['S0', 256],
      ['S1', 330],
    ] as const) {
      const { features, coords, rows, width } = await readFeatures(join(folder, 'a', `${id}.h5`));
      const other = await readFeatures(join(folder, 'b', `${id}.safetensors`));
      expect(rows).toBeGreaterThan(4);
      expect(rows).toBeLessThanOrEqual(Math.floor(side / 64) ** 2);
      expect(width).toBe(64);
      expect([...features]).toEqual([...other.features]);
      expect([...coords!]).toEqual([...other.coords!]);
      expect(coords!.every((at) => at % 64 === 0 && at <= side - 64)).toBe(true);
      expect(await readFile(join(folder, `${id}.svg`), 'utf8')).toContain(`${rows} kept`);
    }
    const before = await stat(join(folder, 'a', 'S0.h5'));
    const again = await histograd(['extract', slides(), ...flags('a')]);
    expect(again.out).toMatch(/S0\.png: finished before\nS1\.png: finished before/);
    expect((await stat(join(folder, 'a', 'S0.h5'))).mtimeMs).toBe(before.mtimeMs);
  }, 240_000);

  it('does not mix features of different settings', async () => {
    const { code, err } = await histograd(['extract', slides(), ...flags('a'), '--overlap', '8']);
    expect(code).not.toBe(0);
    expect(err).toMatch(
      /S0\.h5 exists, but was made with other settings: tiling\.overlap 0, now 8\./,
    );
  }, 60_000);

  it('does not take another slide of the same name for finished', async () => {
    const other = join(folder, 'other');
    await mkdir(other);
    await writeFile(join(other, 'S0.png'), encode({ ...tissue(260, 260, 5), channels: 3 }));
    const { code, err } = await histograd(['extract', other, ...flags('a')]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/S0\.h5 exists, but was made with other settings/);
  }, 60_000);

  it('passes on the errors of decoding threads as they are', async () => {
    const worker = new URL('../../dist/node/tile-worker.js', import.meta.url);
    const pool = createTilePool(1, worker);
    const slide = await openSlide(join(slides(), 'S0.png'));
    const { tiles, ...plan } = planTiles(slide, { mpp: 0.5, size: 64, mppOverride: 0.5 });
    const task = { plan, tile: tiles[0]!, normalise: false };
    const gone = () => pool.read(join(folder, 'gone.png'), task);
    try {
      await expectError(gone, 'file-not-readable', /gone\.png/);
      await expectError(gone, 'file-not-readable', /gone\.png/);
      const { data } = await pool.read(join(slides(), 'S0.png'), task);
      expect(data).toEqual((await readStained(slide, task)).data);
    } finally {
      await slide.close();
      await pool.close();
    }
  }, 60_000);

  it('threads score tiles as the main thread does', async () => {
    const worker = new URL('../../dist/node/tile-worker.js', import.meta.url);
    const pool = createTilePool(2, worker);
    const path = join(slides(), 'S1.png');
    const slide = await openSlide(path);
    const plan = planTiles(slide, { mpp: 0.5, size: 64, mppOverride: 0.5 });
    try {
      for (const score of ['shannon', 'ig', 'canny', 'dog', 'log', 'otsu', null] as const) {
        const question = { score, sequoia: score === null, saturation: 0.1 };
        const tasks = plan.tiles.map((tile) => ({ plan, tile, question }));
        const there = await Promise.all(tasks.map((task) => pool.measure(path, task)));
        expect(there).toEqual(await Promise.all(tasks.map((task) => readMeasured(slide, task))));
        expect(
          new Set(there.map((measure) => measure.score ?? measure.tissue)).size,
        ).toBeGreaterThan(5);
      }
    } finally {
      await slide.close();
      await pool.close();
    }
  }, 60_000);

  it('chooses the same tiles with threads and without', async () => {
    const rule = ['--selector', 'shannon', '--keep', 'fraction:0.5', '--tissue', 'sequoia'];
    const many = [...flags('chosen'), ...rule, '--workers', '2'];
    const alone = [...flags('alone'), ...rule, '--workers', '0'];
    for (const args of [many, alone]) {
      expect((await histograd(['extract', slides(), ...args])).code).toBe(0);
    }
    for (const id of ['S0.h5', 'S1.h5']) {
      const [one, other] = await Promise.all(
        ['chosen', 'alone'].map((out) => readFeatures(join(folder, out, id))),
      );
      expect([...one!.coords!]).toEqual([...other!.coords!]);
      expect([...one!.features]).toEqual([...other!.features]);
    }
  }, 120_000);

  it('removes what a killed run left, and does the slide again', async () => {
    const args = ['extract', join(slides(), 'S1.png'), ...flags('killed'), '--batch-size', '1'];
    await mkdir(join(folder, 'killed'));
    const unfinished = async () =>
      (await readdir(join(folder, 'killed'))).filter((name) => name.endsWith('.tmp'));
    const { signal } = await histograd(args, async (child) => {
      while ((await unfinished()).length === 0 && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      child.kill('SIGKILL');
    });
    expect(signal).toBe('SIGKILL');
    expect(await unfinished()).toHaveLength(1);
    const again = await histograd(args);
    expect(again.code).toBe(0);
    expect(again.out).toContain('Removed what a killed run left unfinished: S1.h5');
    expect(await readdir(join(folder, 'killed'))).toEqual(['S1.h5']);
  }, 60_000);

  it('takes the DICOM files of a series for one slide', async () => {
    const mixed = join(folder, 'dicom');
    await mkdir(mixed);
    for (const [series, id] of ['A7', 'A8'].entries()) {
      for (const [level, side] of [256, 128].entries()) {
        const file = dicomFile({
          pixels: Buffer.concat(frames(side, side, 64)),
          elements: {
            '0020000E': ['UI', `1.2.${series}`],
            '00280008': ['IS', String((side / 64) ** 2)],
            '00280010': ['US', 64],
            '00280011': ['US', 64],
            '00480006': ['UL', side],
            '00480007': ['UL', side],
          },
        });
        await writeFile(join(mixed, `${id}_${level}.dcm`), file);
      }
    }
    const { code, out } = await histograd([
      ...['extract', mixed, ...flags('from-dicom'), '--tissue', 'none', '--tile-mpp', '0.5'],
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/A7 \(2 files\): 4 of 4 tiles/);
    expect((await readdir(join(folder, 'from-dicom'))).sort()).toEqual(['A7.h5', 'A8.h5']);
    const { settings } = await readFeatures(join(folder, 'from-dicom', 'A7.h5'));
    expect(settings).toMatchObject({
      format: 1,
      extractor: 'squeezenet-torchvision',
      slide: { file: 'A7' },
    });
    const { file } = await openH5(join(folder, 'from-dicom', 'A7.h5'));
    const { attrs } = file.get('coords') as Dataset;
    const found = Object.entries(attrs).map(([name, { json_value }]) => [name, json_value]);
    file.close();
    // What CLAM gives to OpenSlide: 64 pixels of the second level.
    expect(Object.fromEntries(found)).toEqual({
      name: 'A7_0',
      patch_level: 1,
      patch_size: 64,
      patch_size_level0: 128,
      downsample: [2, 2],
      level_dim: [128, 128],
      downsampled_level_dim: [128, 128],
    });
  }, 60_000);

  it('goes on after a slide that is damaged, and says so at the end', async () => {
    const mixed = join(folder, 'mixed');
    await mkdir(mixed);
    const whole = await readFile(join(slides(), 'S0.png'));
    await writeFile(join(mixed, 'A.png'), whole.subarray(0, 2000));
    await writeFile(join(mixed, 'B.png'), whole);
    const { code, err } = await histograd(['extract', mixed, ...flags('c')]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/A\.png: /);
    expect(err).toMatch(/1 of 2 slides failed: A\.png/);
    expect(await readdir(join(folder, 'c'))).toEqual(['B.h5']);
  }, 60_000);

  it('stops at the first slide where the weights are damaged', async () => {
    const { tensors } = parseSafetensors(await readFile(weights), weights);
    for (const { data } of tensors.values()) data[0] = Number.NaN;
    const damaged = join(folder, 'damaged.safetensors');
    await writeFile(damaged, serializeSafetensors(tensors));
    const { code, err } = await histograd([
      ...['extract', slides(), ...flags('none'), '--weights', damaged],
    ]);
    expect(code).toBe(1);
    expect(err).toMatch(/^histograd: The extractor gives NaN for tile 0\.\n.*not damaged/m);
    expect(await readdir(join(folder, 'none'))).toEqual([]);
  }, 60_000);

  it.each([
    [['--weights', 'nowhere.pth', '--out', 'x'], /nowhere\.pth/],
    [
      ['--weights', 'w', '--out', 'x', '--selector', 'ig', '--keep', 'some'],
      /--keep some: expected sigmas:X/,
    ],
    [['--weights', 'w', '--out', 'x', '--tissue', 'fat'], /tissue/],
    [
      ['--weights', 'w', '--out', 'x', '--tile-size', '5000'],
      /--tile-size.*at most 4096, found 5000/,
    ],
    [['--weights', 'w', '--out', 'x', '--workers', '-1'], /--workers.*at least 0, found -1/],
    [
      ['--weights', 'w', '--out', 'x', '--selector', 'ig', '--keep', 'fraction:2'],
      /fraction is 2, expected above 0, at most 1/,
    ],
    [['--weights', 'w', '--out', 'x', '--keep', 'sigmas:1'], /--keep goes with a --selector/],
    [['--weights', 'w', '--out', 'x', '--selector', 'ig'], /--selector ig needs --keep/],
    [
      ['--weights', 'w', '--out', 'x', '--tissue', 'none', '--min-tissue', '0.5'],
      /--min-tissue goes with --tissue otsu/,
    ],
  ])('refuses %s', async (args, message) => {
    const { code, err } = await histograd(['extract', slides(), ...args]);
    expect(code).not.toBe(0);
    expect(err).toMatch(message);
  });

  it('asks for the resolution of a picture that does not say it', async () => {
    const out = ['--weights', weights, '--out', join(folder, 'd'), '--tile-size', '64'];
    const { code, err } = await histograd(['extract', join(slides(), 'S0.png'), ...out]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/does not say how large its pixels are[\s\S]*--mpp/);
  }, 60_000);

  it('refuses two slides of one name, and folders without slides', async () => {
    const twice = [join(slides(), 'S0.png'), join(folder, 'other', 'S0.png')];
    const same = await histograd(['extract', ...twice, ...flags('e')]);
    expect(same.err).toMatch(/would both become S0/);
    const none = await histograd(['extract', join(folder, 'a'), ...flags('e')]);
    expect(none.err).toMatch(/No slides in .*expected files ending in \.svs/);
  }, 60_000);
});
