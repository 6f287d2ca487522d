import { execFileSync } from 'node:child_process';
import fs, { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dataset } from 'h5wasm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readFeatureSettings } from '../../src/data/node/feature-settings.ts';
import { openH5 } from '../../src/data/node/h5-file.ts';
import { readFeatureShape, readFeatures } from '../../src/data/node/read-features.ts';
import { createFeatureFile } from '../../src/extraction/node/feature-file.ts';
import { expectError } from '../data/expect-error.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-features-'));
});
afterAll(() => rm(folder, { recursive: true }));

const PRLIMIT = '/usr/bin/prlimit';
const CONTENT = {
  rows: 3,
  width: 2,
  coords: Int32Array.of(0, 0, 224, 0, 0, 70_000),
  attributes: { histograd: '{"a":1}', mpp: 0.5 },
};

describe.each(['h5', 'safetensors'] as const)('a feature file (.%s)', (format) => {
  it('is written in parts, and read by what trains on it', async () => {
    const path = join(folder, `slide.${format}`);
    const file = await createFeatureFile(path, format, CONTENT);
    await file.append(Float32Array.of(1, 2, 3, 4));
    expect(await readdir(folder)).not.toContain(`slide.${format}`);
    await file.append(Float32Array.of(5, 6));
    await file.finish();
    const { features, coords, rows, width } = await readFeatures(path, {});
    expect([rows, width]).toEqual([3, 2]);
    expect([...features]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...coords!]).toEqual([0, 0, 224, 0, 0, 70_000]);
    expect(await readFeatureSettings(path)).toEqual({ a: 1 });
    expect((await readFeatures(path)).settings).toEqual({ a: 1 });
    expect(await readFeatureShape(path)).toEqual({ rows: 3, width: 2, settings: { a: 1 } });
  });

  it('is written as often as there are writers, the last one stays', async () => {
    const path = join(folder, `twice.${format}`);
    const before = await readdir(folder);
    const [one, two] = [
      await createFeatureFile(path, format, CONTENT),
      await createFeatureFile(path, format, CONTENT),
    ];
    await one.append(Float32Array.of(1, 2, 3, 4, 5, 6));
    await two.append(Float32Array.of(6, 5, 4, 3, 2, 1));
    await two.finish();
    await one.finish();
    expect([...(await readFeatures(path, {})).features]).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await readdir(folder)).sort()).toEqual([...before, `twice.${format}`].sort());
  });

  it.skipIf(!existsSync(PRLIMIT))('fails when the disk takes no more', async () => {
    const before = await readdir(folder);
    const rows = 5000;
    const coords = new Int32Array(2 * rows);
    const path = join(folder, `large.${format}`);
    const file = await createFeatureFile(path, format, { ...CONTENT, rows, coords });
    const limit = (bytes: string) =>
      execFileSync(PRLIMIT, [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
    limit('60000');
    try {
      const write = async () => {
        for (let i = 0; i < 10; i++) await file.append(new Float32Array(rows / 5));
        await file.finish();
      };
      await expectError(write, 'write-failed', /Cannot write .*large.*EFBIG/);
    } finally {
      limit('unlimited');
      await file.discard();
    }
    expect(await readdir(folder)).toEqual(before);
  });

  it('leaves nothing when it is given up', async () => {
    const before = await readdir(folder);
    const file = await createFeatureFile(join(folder, `gone.${format}`), format, CONTENT);
    await file.append(Float32Array.of(1, 2));
    await file.discard();
    expect(await readdir(folder)).toEqual(before);
  });

  it('says where it cannot be written', async () => {
    const path = join(folder, 'nowhere', `slide.${format}`);
    await expectError(() => createFeatureFile(path, format, CONTENT), 'no-folder', /nowhere/);
  });

  it('of somebody else, or damaged, has no settings of ours', async () => {
    const path = join(folder, `other.${format}`);
    await writeFile(path, 'not a feature file');
    expect(await readFeatureSettings(path)).toBeNull();
  });
});

it('an .h5 file that a full disk took only in part is not finished', async () => {
  const before = await readdir(folder);
  const [rows, width] = [64, 512];
  const path = join(folder, 'short.h5');
  const content = { ...CONTENT, rows, width, coords: new Int32Array(2 * rows) };
  const file = await createFeatureFile(path, 'h5', content);
  const batch = new Float32Array((rows / 2) * width).fill(1);
  await file.append(batch);
  // Room for the library's notes but not for rows: it drops them and says nothing.
  const { writeSync } = fs;
  const full = vi.spyOn(fs, 'writeSync').mockImplementation((...args: unknown[]) => {
    if (Number(args[3]) >= batch.byteLength) {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', errno: -28 });
    }
    return Reflect.apply(writeSync, fs, args);
  });
  await expectError(() => file.append(batch), 'write-failed', /short.*could not write/);
  full.mockRestore();
  await file.discard();
  expect(await readdir(folder)).toEqual(before);
});

it('an .h5 file has its attributes where CLAM and TRIDENT have them', async () => {
  const path = join(folder, 'clam.h5');
  const coordsAttributes = { name: 'A.svs', patch_size: 256, patch_level: 1, downsample: [4, 4] };
  const file = await createFeatureFile(path, 'h5', { ...CONTENT, coordsAttributes });
  await file.append(Float32Array.of(1, 2, 3, 4, 5, 6));
  await file.finish();
  const opened = await openH5(path);
  const { attrs } = opened.file.get('coords') as Dataset;
  const found = Object.entries(attrs).map(([name, { json_value }]) => [name, json_value]);
  opened.file.close();
  expect(Object.fromEntries(found)).toEqual(coordsAttributes);
});
