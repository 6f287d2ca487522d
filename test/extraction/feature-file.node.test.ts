import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFeatureSettings } from '../../src/data/node/feature-settings.ts';
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
