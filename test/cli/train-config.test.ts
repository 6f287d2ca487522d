import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { optionsOf, readTrainConfig, resolvedConfig } from '../../src/cli/train-config.ts';
import { openRunFolder } from '../../src/training/run-folder.ts';
import { failure } from '../training/example.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const needed = { features: 'f', expression: 'e', model: 'all', out: 'o' };

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('readTrainConfig', () => {
  it('reads YAML and JSON; flags win', async () => {
    const yaml = await file(
      'a.yaml',
      'features: f\nexpression: e\nout: o\nmodel: knn\nepochs: 7\nset: {knn: {k: 9}}\n',
    );
    const json = await file(
      'a.json',
      '{"features":"f","expression":"e","out":"o","model":["knn"],"epochs":7}',
    );
    for (const config of [yaml, json]) {
      expect(await readTrainConfig({ config })).toMatchObject({
        model: ['knn'],
        epochs: 7,
        validationFraction: 0.1,
      });
      expect(await readTrainConfig({ config, epochs: 3 })).toMatchObject({ epochs: 3 });
    }
    const merged = await readTrainConfig({ config: yaml, set: ['knn.metric=cosine'] });
    expect(merged.set).toEqual({ knn: { k: 9, metric: 'cosine' } });
  });

  it('gives each model its defaults, the options of the run, and its own', async () => {
    const config = await readTrainConfig({
      ...needed,
      lr: 0.5,
      set: ['contrastive.lr=0.25', 'contrastive.hidden=16'],
    });
    expect(config.model).toHaveLength(5);
    expect(optionsOf(config, 'direct-abmil').options).toMatchObject({
      lr: 0.5,
      batchSize: 8,
      weightDecay: 1e-5,
    });
    const { options, modelOptions } = optionsOf(config, 'contrastive');
    expect(options).toMatchObject({ lr: 0.25, batchSize: 64, warmupEpochs: 5, schedule: 'cosine' });
    expect(modelOptions).toMatchObject({ hidden: 16, temperature: 0.01 });
  });

  it('goes on with a run whose defaults are spelled out now, or no longer', async () => {
    const said = {
      ...{ folds: 5, orientation: 'auto', epochs: 50, batchSize: 8, precision: 'float32' },
      ...{ streamAbove: 65_536, maxNorm: null, featureScale: 'zscore' },
      set: ['direct-abmil.dropout=0.25', 'direct-abmil.weightDecay=1e-5'],
    };
    const model = 'direct-abmil';
    const [plain, spelled, other, both] = await Promise.all(
      [{}, said, { ...said, batchSize: 9 }, { model: 'all', epochs: 50 }].map(async (flags) => {
        const { out: _, ...config } = await readTrainConfig({ ...needed, model, ...flags });
        return config;
      }),
    );
    const options = (config: typeof plain) => optionsOf({ ...config!, out: 'o' }, model);
    expect(options(spelled)).toEqual(options(plain));
    const open = async (path: string, config: typeof plain) => {
      const run = await openRunFolder(join(folder, path), config!, true, {
        comesTo: resolvedConfig,
      });
      await (await run.group(model, 'fold-0', 'all')).saveCheckpoint(new Uint8Array(1));
    };
    for (const [path, first, next] of [
      ['plain', plain, spelled],
      ['spelled', spelled, plain],
    ] as const) {
      await open(path, first);
      await open(path, next);
    }
    const error = await failure(open('plain', other));
    expect(error.message).toContain('another batchSize: not set there, 9 now');
    // Of two models, they are the defaults of one.
    await open('all', { ...both!, epochs: undefined });
    expect((await failure(open('all', both))).message).toContain('another epochs');
  });

  it.each([
    [{ epoch: 5 }, 'there is no option epoch (did you mean epochs'],
    [{ epochs: 'five' }, 'epochs (--epochs) must be a number, found "five"'],
    [{ epochs: 2.5 }, 'epochs (--epochs) must be a whole number'],
    [{ lr: 0 }, 'lr (--lr) must be greater than 0, found 0'],
    [{ batchSize: 0 }, 'batchSize (--batch-size) must be at least 1, found 0'],
    [{ validationFraction: 1 }, 'validationFraction (--validation-fraction) must be at most 0.9'],
    [{ genes: [] }, 'genes (--genes)'],
    [{ schedule: 'step' }, 'schedule (--schedule) must be one of constant, cosine, found "step"'],
    [{ transform: 'ln' }, 'log2, log10, none'],
    [{ model: 'direct-abmi' }, 'did you mean direct-abmil'],
    [{ out: undefined }, 'out (--out) is missing'],
    [{ folds: 3, splits: 's.csv' }, 'exclude each other'],
    [{ set: ['knn'] }, 'not of the form model.option=value'],
    [{ set: ['cnn.k=3'] }, 'cnn'],
    [{ genes: 'top:0' }, '--genes top:0'],
    [{ set: ['knn.lr=-3'], model: 'knn' }, 'lr (--lr)'],
  ])('refuses %j', async (flags, text) => {
    const error = await failure(
      readTrainConfig({ ...needed, ...flags }).then((config) => optionsOf(config, 'knn')),
    );
    expect(error.code).toBe('usage');
    expect(error.message).toContain(text);
  });

  it.each([
    ['list.yaml', '- 1\n- 2\n', 'bad-config', 'found a list'],
    ['broken.json', '{"epochs": ', 'bad-config', 'neither JSON nor YAML'],
    [
      'unknown.yaml',
      'features: f\nexpression: e\nout: o\nmodel: knn\nepoch: 3\n',
      'usage',
      'unknown.yaml',
    ],
  ])('a bad file: %s', async (name, text, code, message) => {
    const error = await failure(readTrainConfig({ config: await file(name, text) }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  it('a missing file', async () => {
    expect((await failure(readTrainConfig({ config: join(folder, 'no.yaml') }))).code).toBe(
      'no-file',
    );
  });

  it.each([
    ['direct-abmil.dropout=1', 'direct-abmil.dropout is 1'],
    ['knn.k=many', 'knn.k is "many"'],
    ['knn.weightDecya=1', 'knn has no option weightDecya (did you mean weightDecay'],
    ['knn.seed=1', 'knn has no option seed'],
  ])('a model option that cannot be: %s', async (set, text) => {
    const error = await failure(readTrainConfig({ ...needed, set: [set] }));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain(text);
  });

  it('to resume: takes the options of the run, which flags may contradict', async () => {
    const { out, ...saved } = { ...needed, model: ['knn'], epochs: 7, set: { knn: { k: 5 } } };
    await file('config.json', JSON.stringify(saved));
    const config = await readTrainConfig({ out: folder, resume: true });
    expect(config).toMatchObject({ ...saved, out: folder });
    const other = await readTrainConfig({ out: folder, resume: true, epochs: 8 });
    expect(other).toMatchObject({ epochs: 8, set: { knn: { k: 5 } } });
    const none = join(folder, 'none');
    const error = await failure(readTrainConfig({ out: none, resume: true }));
    expect(error.message).toContain(`${none} holds no run to go on with`);
    // The same command begins a run, and goes on with it.
    const first = { ...needed, out: none, resume: true };
    expect(await readTrainConfig(first)).toMatchObject({ features: 'f', out: none });
  });

  it('a bad gene regime', async () => {
    expect((await failure(readTrainConfig({ ...needed, geneRegime: 'each' }))).message).toContain(
      'chunks:K',
    );
  });
});
