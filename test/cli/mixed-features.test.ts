/** Features of other extractors or settings are refused by train, evaluate and predict. */
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors, serializeSafetensors } from '../../src/data/safetensors.ts';
import { cohortOnDisk, histograd } from './command.ts';

const SETTINGS = { format: 1, extractor: 'uni', tiling: { mpp: 0.5, size: 224 }, stain: 'none' };

let folder = '';
let cohort: string[] = [];
const path = (...names: string[]) => join(folder, ...names);
const model = () => path('run', 'ridge', 'fold-0', 'all', 'best.safetensors');

beforeAll(async () => {
  ({ folder, flags: cohort } = await cohortOnDisk(SETTINGS));
  const { code } = await histograd([
    ...['train', ...cohort, '--model', 'ridge', '--folds', '2', '--out', path('run')],
  ]);
  expect(code).toBe(0);
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

/** Writes S3 again as if it came from other settings. */
async function changeS3(settings: object | undefined): Promise<void> {
  const file = path('features', 'S3.safetensors');
  const { tensors } = parseSafetensors(await readFile(file), file);
  const metadata = settings && { histograd: JSON.stringify(settings) };
  await writeFile(file, serializeSafetensors(tensors, metadata));
}

const predict = () =>
  histograd([
    ...['predict', '--checkpoint', model(), '--features', path('features')],
    ...['--out', path('out.csv')],
  ]);
const evaluate = (out: string) =>
  histograd(['evaluate', '--checkpoint', model(), ...cohort, '--out', path(out)]);

describe('a model knows how its features were made', () => {
  it('and its file says so', async () => {
    const { metadata } = parseSafetensors(await readFile(model()), 'model');
    const { format: _, ...shared } = SETTINGS;
    expect(JSON.parse(metadata.provenance!).features).toEqual(shared);
  });

  it('takes slides of its own settings', async () => {
    const { code, err } = await predict();
    expect(code).toBe(0);
    expect(err).not.toContain('warning:');
    expect((await evaluate('e1')).code).toBe(0);
  });

  it('refuses one file of other settings, before anything is written', async () => {
    await rm(path('out.csv'));
    await changeS3({ ...SETTINGS, tiling: { mpp: 1, size: 224 } });
    const trained = await histograd([
      ...['train', ...cohort, '--model', 'ridge', '--folds', '2', '--out', path('never')],
    ]);
    const both = /S3\.safetensors, beside .*S0\.safetensors: tiling\.mpp is 1, expected 0\.5\./;
    expect(trained.err).toMatch(both);
    expect((await evaluate('never')).err).toMatch(both);
    const predicted = await predict();
    expect(predicted.err).toMatch(
      /S3\.safetensors: .* than those this ridge was trained on: tiling\.mpp is 1, expected 0\.5\.\n.*--tile-mpp/,
    );
    expect([trained.code, predicted.code]).toEqual([1, 1]);
    expect([existsSync(path('never')), existsSync(path('out.csv'))]).toEqual([false, false]);
  });

  it('refuses a whole cohort of other settings', async () => {
    const other = await cohortOnDisk({ ...SETTINGS, extractor: 'resnet50' });
    const { code, err } = await histograd([
      ...['evaluate', '--checkpoint', model(), ...other.flags, '--out', path('never')],
    ]);
    await rm(other.folder, { recursive: true });
    expect(err).toMatch(/features: .*extractor is resnet50, expected uni/);
    expect(code).toBe(1);
  });

  it('takes files that say nothing, with a warning', async () => {
    await changeS3(undefined);
    const { code, err } = await predict();
    expect(err).toMatch(/warning: 1 of 12 feature files do not say how they were made/);
    expect(code).toBe(0);
    const silent = await cohortOnDisk();
    const all = await histograd([
      ...['evaluate', '--checkpoint', model(), ...silent.flags, '--out', path('e2')],
    ]);
    await rm(silent.folder, { recursive: true });
    expect(all.err).toMatch(/warning: these features do not say how they were made/);
    expect(all.code).toBe(0);
  });

  it('and one that does not know takes all', async () => {
    await changeS3({ ...SETTINGS, slide: { file: 'S3.svs', bytes: 3 } });
    const { tensors, metadata } = parseSafetensors(await readFile(model()), 'model');
    const { features: _, ...provenance } = JSON.parse(metadata.provenance!);
    const old = { ...metadata, provenance: JSON.stringify(provenance) };
    await writeFile(model(), serializeSafetensors(tensors, old));
    const { code, err } = await predict();
    expect(code).toBe(0);
    expect(err).not.toContain('warning:');
  });
});
