import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AtomicWriteFs } from '../../src/data/node/atomic-write.ts';
import { kFoldSplits, leaveOnePatientOut } from '../../src/data/splits.ts';
import type { Device } from '../../src/gpu/device.ts';
import { type CrossValidation, crossValidate } from '../../src/training/cross-validate.ts';
import { type GeneRegime, geneGroups, parseGeneRegime } from '../../src/training/gene-groups.ts';
import { predictionLines } from '../../src/training/prediction-lines.ts';
import { openRunFolder } from '../../src/training/run-folder.ts';
import { readRun, summarise } from '../../src/training/run-results.ts';
import { testDevice } from '../device.ts';
import {
  exampleCohort,
  exampleOptions,
  failure,
  GENES,
  SMALL,
  stopAfter,
  stopWhen,
} from './example.ts';

const cohort = exampleCohort(12);
const patients = Array.from({ length: 12 }, (_, i) => `P${i >> 1}`);
let device: Device;
let folder: string;
beforeAll(async () => {
  device = await testDevice();
  folder = await mkdtemp(join(tmpdir(), 'histograd-run-'));
});
afterAll(() => rm(folder, { recursive: true }));

function job(changes: Partial<CrossValidation> = {}): CrossValidation {
  return {
    device,
    source: cohort.source,
    genes: GENES,
    targets: cohort.targets,
    splits: kFoldSplits(patients, { folds: 3, seed: 0 }),
    kind: 'knn',
    modelOptions: SMALL.knn,
    options: exampleOptions({ epochs: 2 }),
    regime: 'all',
    ...changes,
  };
}

describe('geneGroups', () => {
  it.each([
    ['all', [[0, 5]]],
    [
      'chunks:2',
      [
        [0, 2],
        [2, 4],
        [4, 5],
      ],
    ],
    ['chunks:9', [[0, 5]]],
    [
      'per-gene',
      [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
        [4, 5],
      ],
    ],
  ] as const)('%s covers every gene once', (text, expected) => {
    const groups = geneGroups(GENES, parseGeneRegime(text));
    expect(groups.map(({ start, end }) => [start, end])).toEqual(expected);
    expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
  });

  it.each(['', 'chunks', 'chunks:0', 'chunks:x', 'each'])('refuses %j', (text) => {
    expect(() => parseGeneRegime(text)).toThrow(/all, per-gene or chunks:K/);
  });
});

describe('crossValidate', () => {
  it('tests every slide once, with its own truth', async () => {
    const { folds, modelsTrained, curves } = await crossValidate(job());
    expect(folds.flatMap(({ slides }) => slides).sort()).toEqual(
      cohort.source.slides.map(({ id }) => id).sort(),
    );
    expect(modelsTrained).toBe(3);
    expect(curves).toEqual([]);
    const [first] = folds;
    const slide = Number(first!.slides[1]!.slice(1));
    expect([...first!.observed.slice(5, 10)]).toEqual([
      ...cohort.targets.slice(slide * 5, slide * 5 + 5),
    ]);
  });

  it.each(['chunks:2', 'per-gene'] as const)(
    '%s puts genes back in their order',
    async (regime: GeneRegime) => {
      // kNN predicts each gene on its own, so that the regimes must agree exactly.
      const whole = await crossValidate(job());
      const split = await crossValidate(job({ regime }));
      expect(split.modelsTrained).toBe(regime === 'per-gene' ? 15 : 9);
      for (const [i, { predicted }] of whole.folds.entries()) {
        expect(split.folds[i]!.predicted).toEqual(predicted);
      }
    },
  );

  it('knows the error of predicting the training mean', async () => {
    const splits = [{ name: 'one', train: [0, 1], validation: [], test: [2] }];
    const targets = cohort.targets.slice();
    targets.set([1, 0, 0, 0, 0], 0);
    targets.set([3, 0, 0, 0, 0], 5);
    targets.set([7, 0, 0, 0, 0], 10);
    const { baselineMse } = await crossValidate(job({ splits, targets }));
    expect(baselineMse).toBeCloseTo(5, 6); // (7 - 2)² / 5 genes
  });

  it('leaves one patient out', async () => {
    const splits = leaveOnePatientOut(patients, { seed: 0 });
    const { folds } = await crossValidate(job({ splits, kind: 'ridge', modelOptions: {} }));
    expect(folds.map(({ name }) => name)).toEqual(['P0', 'P1', 'P2', 'P3', 'P4', 'P5']);
    expect(folds[2]!.slides).toEqual(['S4', 'S5']);
  });

  it('goes on where a run was interrupted, with the bits of one that was not', async () => {
    const neural = job({
      kind: 'direct-patch-level',
      modelOptions: SMALL['direct-patch-level'],
      regime: 'chunks:3',
    });
    const config = { a: 1 };
    const whole = await openRunFolder(join(folder, 'whole'), config, false);
    const expected = await crossValidate({ ...neural, record: (f, g) => whole.group('m', f, g) });

    const path = join(folder, 'parts');
    let attempts = 0;
    let trained = 0;
    for (; attempts < 20; attempts++) {
      const run = await openRunFolder(path, config, attempts > 0);
      const part = {
        ...neural,
        ...stopAfter(cohort.source, 5),
        record: (f: string, g: string) => run.group('m', f, g),
      };
      const outcome = await crossValidate({ ...part, onGroup: () => trained++ }).catch(
        (error: unknown) => error,
      );
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ code: 'interrupted' });
        continue;
      }
      const { seconds: _, ...report } = outcome as typeof expected;
      const { seconds: __, ...wanted } = expected;
      expect({ ...report, peakBytes: 0 }).toEqual({ ...wanted, peakBytes: 0 });
      break;
    }
    expect(attempts).toBeGreaterThan(2);
    expect(attempts).toBeLessThan(20);
    expect(trained).toBeGreaterThan(6);
    for (const [fold, group] of [
      ['fold-0', 'genes-0-2'],
      ['fold-2', 'genes-3-4'],
    ] as const) {
      for (const file of ['best.safetensors', 'metrics.jsonl']) {
        const [a, b] = ['whole', 'parts'].map((run) => join(folder, run, 'm', fold, group, file));
        expect(await readFile(b!), file).toEqual(await readFile(a!));
      }
    }
  });
});

it('a stop does not wait for a test, which is done anew', async () => {
  const run = await openRunFolder(join(folder, 'tested'), {}, false);
  const options = exampleOptions({ evaluationPatches: 9, featureScale: 'none' });
  const kept = job({ options, record: (fold, group) => run.group('m', fold, group) });
  const tested = kept.splits[1]!.test;
  let read = 0;
  const stop = stopWhen(cohort.source, (slides) => slides.includes(tested[0]!) && ++read > 1);
  // As a training slide of the first fold it is read once.
  const error = await failure(crossValidate({ ...kept, ...stop }));
  expect(error.code).toBe('interrupted');
  expect(read).toBe(2);
  const finished: [string, boolean][] = [];
  const onGroup: CrossValidation['onGroup'] = (fold, _, __, before) =>
    finished.push([fold, before]);
  const { folds } = await crossValidate({ ...kept, onGroup });
  expect(finished).toEqual([
    ['fold-0', true],
    ['fold-1', false],
    ['fold-2', false],
  ]);
  expect(folds).toEqual((await crossValidate(job({ options }))).folds);
});

describe('openRunFolder', () => {
  it('refuses a folder of another config, a finished one without resume, and one with other things', async () => {
    const path = join(folder, 'taken');
    const run = await openRunFolder(path, { epochs: 5, list: [1, 2] }, false);
    await (await run.group('m', 'fold-0', 'all')).saveCheckpoint(new Uint8Array(1));
    const again = await failure(openRunFolder(path, { epochs: 5, list: [1, 2] }, false));
    expect(again.code).toBe('run-exists');
    expect(again.message).toContain('--resume');
    const inOneGo = await failure(openRunFolder(path, {}, null));
    expect(inOneGo.message).not.toContain('--resume');
    await openRunFolder(path, { epochs: 5, list: [1, 2] }, true);
    const other = await failure(openRunFolder(path, { epochs: 6, list: [1, 2] }, true));
    expect(other.code).toBe('run-mismatch');
    expect(other.message).toContain('another epochs: 5 there, 6 now');
    // When checkpoints are written decides no result.
    const often = { epochs: 5, list: [1, 2], checkpointSeconds: 1, checkpointSteps: 2 };
    await openRunFolder(path, often, true);
    const mine = join(folder, 'mine');
    await openRunFolder(mine, {}, false);
    await rm(join(mine, 'config.json'));
    await writeFile(join(mine, 'thesis.tex'), '');
    const full = await failure(openRunFolder(mine, {}, false));
    expect(full.code).toBe('out-not-empty');
    expect(full.message).toContain('thesis.tex');
  });

  it('replaces a run that failed before anything was trained', async () => {
    const path = join(folder, 'failed');
    await (await openRunFolder(path, { epochs: 5 }, false)).group('m', 'fold-0', 'all');
    await openRunFolder(path, { epochs: 6 }, false);
    expect(JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))).toEqual({ epochs: 6 });
  });

  it('takes one path written in two ways for the same', async () => {
    const path = join(folder, 'paths');
    const run = await openRunFolder(path, { features: 'data/features' }, false);
    await run.write('summary', '{}');
    await openRunFolder(path, { features: './data//features/' }, true);
    const other = await failure(openRunFolder(path, { features: 'data/other' }, true));
    expect(other.message).toContain('another features');
  });

  it('refuses to go on with other data, and says what changed', async () => {
    const path = join(folder, 'data');
    const data = { genes: 'g', expression: 'e', splits: 's', slides: { A: '1', B: '2' } };
    const run = await openRunFolder(path, {}, false, { data });
    await run.write('summary', '{}');
    await openRunFolder(path, {}, true, { data: structuredClone(data) });
    for (const [changes, text] of [
      [{ expression: 'f' }, 'the expression table changed'],
      [{ genes: 'h' }, 'the list of genes changed'],
      [{ splits: 't' }, 'the splits changed'],
      [{ slides: { A: '1', B: '3' } }, 'the features of slide B changed'],
      [{ slides: { A: '1' } }, 'slide B is gone'],
      [{ slides: { A: '1', B: '2', C: '3' } }, 'slide C is new'],
    ] as const) {
      const error = await failure(openRunFolder(path, {}, true, { data: { ...data, ...changes } }));
      expect(error.code).toBe('run-mismatch');
      expect(error.message).toContain(text);
    }
  });

  it('refuses to go on with another tuning of the kernels', async () => {
    const path = join(folder, 'tuned');
    const run = await openRunFolder(path, {}, false, { tuningMark: 'abc' });
    await run.write('environment', '{"tuningMark": "abc"}');
    await run.write('summary', '{}');
    await openRunFolder(path, {}, true, { tuningMark: 'abc' });
    const error = await failure(openRunFolder(path, {}, true));
    expect(error.code).toBe('run-mismatch');
    expect(error.message).toContain('another tuning of the kernels: abc there, the pinned one now');
  });

  it('a folder that cannot be made or written', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const inside = await failure(openRunFolder(join(file, 'run'), {}, false));
    expect(inside.message).toContain(join(file, 'run'));
    expect(['no-folder', 'not-writable']).toContain(inside.code);
  });

  it.skipIf(!existsSync('/sys/kernel'))('a folder without permission', async () => {
    const error = await failure(openRunFolder('/sys/histograd-test', {}, false));
    expect(error.code).toBe('not-writable');
  });

  it('a full disk: says so, and leaves no half-written file', async () => {
    const path = join(folder, 'full');
    let writes = 0;
    const real = await import('node:fs/promises');
    const fs: AtomicWriteFs = {
      ...real,
      open: async (name, flags) => {
        const file = await real.open(name, flags);
        return {
          writeFile: async (...content: Parameters<typeof file.writeFile>) => {
            if (++writes > 3) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
            await file.writeFile(...content);
          },
          sync: () => file.sync(),
          close: () => file.close(),
        };
      },
    };
    const run = await openRunFolder(path, {}, false, { fs });
    const error = await failure(crossValidate(job({ record: (f, g) => run.group('knn', f, g) })));
    expect(error.code).toBe('disk-full');
    const left = await readdir(path, { recursive: true });
    expect(left.filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('keeps names from outside inside the folder', async () => {
    const run = await openRunFolder(join(folder, 'names'), {}, false);
    const record = await run.group('m', '../../up', '..');
    expect(record.place.startsWith(join(folder, 'names', 'm'))).toBe(true);
  });
});

describe('run results', () => {
  it('read back what was written, to the bit', async () => {
    const run = await openRunFolder(join(folder, 'results'), { seed: 1 }, false);
    const models = [
      await crossValidate(job()),
      await crossValidate(job({ kind: 'ridge', modelOptions: {} })),
    ];
    const data = {
      title: 'Test, with a comma',
      command: 'histograd train',
      environment: { adapter: 'x' },
      config: { seed: 1 },
      genes: ['G0', 'G,1', 'G"2', 'G3', 'G4'],
      expressionUnit: 'log2(1 + x)',
      models,
    };
    await run.write('environment', JSON.stringify(data.environment));
    await run.write('predictions', predictionLines(data));
    const missing = await failure(readRun(run.path));
    expect(missing.code).toBe('no-run');
    const summary = summarise(data);
    expect(summary.models[0]!.scores.foldsWithoutPearson).toEqual([]);
    await run.write('summary', JSON.stringify(summary));
    expect(await readRun(run.path)).toEqual(data);

    const csv = await readFile(join(run.path, 'predictions.csv'), 'utf8');
    await writeFile(join(run.path, 'predictions.csv'), csv.replace(/,[^,]*\n$/, ',\n'));
    expect((await failure(readRun(run.path))).code).toBe('bad-run');
    await writeFile(join(run.path, 'predictions.csv'), csv.split('\n').slice(0, -2).join('\n'));
    expect((await failure(readRun(run.path))).message).toContain('other slides');
  });
});
