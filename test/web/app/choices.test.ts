import { describe, expect, test } from 'vitest';
import { MODEL_KINDS, modelDefaults, modelTitle } from '../../../src/models/registry.ts';
import { type Entry, readEntry } from '../../../src/web/app/drop.ts';
import { asEngineError } from '../../../src/web/app/errors.ts';
import { chooseGenes, matchNames, searchGenes } from '../../../src/web/app/gene-choice.ts';
import { MODELS } from '../../../src/web/app/models.ts';
import { optionWords } from '../../../src/web/app/option-words.ts';
import { readHash, routeHash } from '../../../src/web/app/route.ts';
import { checkSettings, smallerSettings } from '../../../src/web/app/settings-check.ts';
import { describeAgo, formatTimeLeft } from '../../../src/web/app/words.ts';
import type { TrainSettings } from '../../../src/web/protocol.ts';

describe('models', () => {
  test('are those of the registry, by its titles', () => {
    expect(MODELS.map(({ kind, title }) => [kind, title])).toEqual(
      MODEL_KINDS.map((kind) => [kind, modelTitle(kind)]),
    );
  });

  test('have words for every option, and choices that hold the default', () => {
    for (const kind of MODEL_KINDS) {
      for (const [name, value] of Object.entries(modelDefaults(kind))) {
        const { label, choices } = optionWords(name);
        expect(label, `${kind}.${name}`).not.toBe(name);
        if (typeof value === 'string') expect(choices).toContain(value);
      }
    }
  });
});

const SETTINGS: TrainSettings = {
  model: 'direct-abmil',
  modelOptions: modelDefaults('direct-abmil'),
  genes: null,
  epochs: 50,
  batchSize: 8,
  maxPatches: 256,
  lr: 1e-4,
  weightDecay: 1e-5,
  schedule: 'constant',
  standardise: true,
  validationFraction: 0.2,
  testFraction: 0.2,
  patience: 10,
  seed: 1,
};

describe('settings', () => {
  test.each(MODEL_KINDS)('the default options of %s are right', (model) => {
    expect(checkSettings({ ...SETTINGS, model, modelOptions: modelDefaults(model) })).toEqual({});
  });

  test.each([
    [{ epochs: 0 }, 'epochs', 'Enter a whole number from 1 to 100,000.'],
    [{ epochs: Number.NaN }, 'epochs', 'Enter a whole number from 1 to 100,000.'],
    [{ maxPatches: 1.5 }, 'maxPatches', 'Enter a whole number from 1 to 1,000,000.'],
    [{ lr: 0 }, 'lr', 'Enter a number above 0 and up to 1.'],
    [{ weightDecay: -1 }, 'weightDecay', 'Enter a number from 0 to 1.'],
    [{ testFraction: 0.6 }, 'testFraction', 'Enter a number from 0 to 0.5.'],
    [{ seed: 2 ** 32 }, 'seed', 'Enter a whole number from 0 to 4,294,967,295.'],
    [
      { validationFraction: 0 },
      'patience',
      'Early stopping watches the validation part: give it a share, or enter 0.',
    ],
    [
      { modelOptions: { hidden: 0 } },
      'modelOptions.hidden',
      'Enter a whole number from 1 to 65,536.',
    ],
    [{ modelOptions: { dropout: 1 } }, 'modelOptions.dropout', 'Enter a number from 0 to 0.95.'],
  ])('%j is wrong', (change, field, message) => {
    expect(checkSettings({ ...SETTINGS, ...change })).toEqual({ [field]: message });
  });

  test('shrink by patches first, then by samples, until nothing is left to shrink', () => {
    const taken: [number, number][] = [];
    for (let next = smallerSettings(SETTINGS); next; next = smallerSettings(next.settings)) {
      taken.push([next.settings.maxPatches, next.settings.batchSize]);
    }
    expect(taken).toEqual([
      [128, 8],
      [64, 8],
      [32, 8],
      [32, 4],
      [32, 2],
      [32, 1],
    ]);
  });
});

describe('genes', () => {
  const known = ['TP53', 'ACTB', 'TP53BP1', 'ESR1'];

  test('pasted names are found in any case and apart by anything', () => {
    expect(matchNames('esr1;"tp53"\n\tnope, TP53', known)).toEqual({
      found: ['TP53', 'ESR1'],
      unknown: ['nope'],
    });
  });

  test('a search puts those that begin with it first; several words give several genes', () => {
    const names = ['BP1', 'TP53BP1', 'ACTB', 'BP'];
    const search = (text: string) => searchGenes(names, text, (name) => name);
    expect(search(' bp ')).toEqual(['BP1', 'BP', 'TP53BP1']);
    expect(search('actb, tp53')).toEqual(['TP53BP1', 'ACTB']);
    expect(search('zzz')).toEqual([]);
    expect(search('  ')).toBe(names);
  });

  test.each([0, 5, 1.5, Number.NaN])('%d most variable of four are refused', (count) => {
    const choice = {
      mode: 'variable',
      known,
      ranked: known,
      count,
      picked: [],
      pasted: '',
    } as const;
    expect(chooseGenes(choice).wrong).toBe('Enter a whole number from 1 to 4.');
  });
});

describe('dropped folders', () => {
  const file = (fullPath: string): Entry => ({
    isDirectory: false,
    fullPath,
    file: (resolve) => resolve(new File([], fullPath)),
  });
  /** Gives its entries in two batches, as browsers do with many. */
  const folder = (fullPath: string, entries: Entry[]): Entry => {
    const batches = [entries.slice(0, 1), entries.slice(1), []];
    return {
      isDirectory: true,
      fullPath,
      createReader: () => ({ readEntries: (resolve) => resolve(batches.shift() ?? []) }),
    };
  };

  test('are read to the last batch and depth, without hidden files', async () => {
    const root = folder('/mob', [
      file('/mob/a.h5'),
      file('/mob/.DS_Store'),
      folder('/mob/spatial', [file('/mob/spatial/b.csv'), file('/mob/spatial/c.jpg')]),
    ]);
    const found = await readEntry(root);
    expect(found.map(({ path }) => path)).toEqual([
      'mob/a.h5',
      'mob/spatial/b.csv',
      'mob/spatial/c.jpg',
    ]);
  });

  test('an entry that cannot be read is an error, not a missing file', async () => {
    const broken: Entry = {
      isDirectory: false,
      fullPath: '/gone.h5',
      file: (_, reject) => reject(new Error('NotFoundError')),
    };
    await expect(readEntry(folder('/', [broken]))).rejects.toThrow('NotFoundError');
  });
});

describe('addresses', () => {
  test.each([
    { screen: 'start', run: null },
    { screen: 'see', run: 'run 1/2%' },
  ] as const)('%j goes there and back', (route) => {
    expect(readHash(routeHash(route))).toEqual(route);
  });

  test.each(['', '#', '#nowhere', '#see/%E0%A4%A'])('%j does not throw', (hash) => {
    expect(readHash(hash).run).toBeNull();
  });
});

describe('words', () => {
  test('of errors: ours as they are, others with advice', () => {
    const ours = { code: 'no-data', problem: 'No data.', advice: 'Open some.' };
    expect(asEngineError(ours)).toEqual(ours);
    for (const thrown of [new Error('boom'), 'boom']) {
      expect(asEngineError(thrown)).toMatchObject({ code: 'unexpected', problem: 'boom' });
    }
    expect(asEngineError(null).problem).toBe('null');
  });

  test('of times', () => {
    const now = Date.UTC(2026, 1, 1);
    expect(describeAgo(now + 5000, now)).toBe('just now');
    expect(describeAgo(now - 3 * 60e3, now)).toBe('3 minutes ago');
    expect(describeAgo(now - 26 * 3600e3, now)).toBe('yesterday');
    expect([0.2, 4.3, 61].map(formatTimeLeft)).toEqual(['1 s', '5 s', '1 min 01 s']);
  });
});
