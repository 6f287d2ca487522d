import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../src/data/safetensors.ts';
import { GENES } from '../training/example.ts';
import { appeared, cohortOnDisk, histograd } from './command.ts';

let folder: string;
let cohort: string[];
let features: string;
beforeAll(async () => {
  ({ folder, flags: cohort } = await cohortOnDisk());
  features = join(folder, 'features');
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

const small = [
  '--set',
  'direct-abmil.hidden=8',
  '--set',
  'direct-abmil.attention=4',
  '--lr',
  '0.01',
];

function train(out: string, ...more: string[]): string[] {
  return ['train', ...cohort, ...small, '--folds', '2', '--out', join(folder, out), ...more];
}

describe('train, evaluate, predict', () => {
  const run = () => join(folder, 'run');
  const model = () => join(run(), 'direct-abmil/fold-0/all/best.safetensors');

  it('trains: a run folder with config, environment, predictions, report; scores as JSON', async () => {
    const { code, out, err } = await histograd(
      train(
        'run',
        '--model',
        'direct-abmil',
        '--model',
        'ridge',
        '--epochs',
        '3',
        '--feature-scale',
        // Turned back from z-scores, predictions in pieces are rounded to the bits of whole ones.
        '--target-scale',
        'none',
        '--json',
      ),
    );
    expect(err).not.toMatch(/histograd:/);
    expect(code).toBe(0);
    const summary = JSON.parse(out);
    expect(summary.models.map((m: { name: string }) => m.name)).toEqual([
      'Direct-ABMIL',
      'Ridge (floor)',
    ]);
    expect(summary.models[1].scores.meanPearson).toBeGreaterThan(0.5);
    expect(summary.models[0].modelsTrained).toBe(2);
    const config = JSON.parse(await readFile(join(run(), 'config.json'), 'utf8'));
    expect(config).toMatchObject({ folds: 2, featureScale: 'zscore', seed: 0 });
    const environment = JSON.parse(await readFile(join(run(), 'environment.json'), 'utf8'));
    expect(Object.keys(environment)).toEqual(
      expect.arrayContaining(['histograd', 'adapter', 'node', 'webgpu', 'seed', 'date']),
    );
    const csv = (await readFile(join(run(), 'predictions.csv'), 'utf8')).trimEnd().split('\n');
    expect(csv[0]).toBe(`model,fold,slide,${GENES.join(',')}`);
    expect(csv).toHaveLength(1 + 3 * 12);
    expect(await readFile(join(run(), 'report.html'), 'utf8')).toContain('Direct-ABMIL');
    const log = await readFile(join(run(), 'direct-abmil/fold-0/all/metrics.jsonl'), 'utf8');
    expect(log).toContain('"validationLoss"');
  });

  it('goes on with --out and --resume alone; not with other data', async () => {
    const resume = ['train', '--out', run(), '--resume'];
    const again = await histograd(resume);
    expect(again.code).toBe(0);
    expect(again.out).toMatch(/Direct-ABMIL, fold-0: finished before\nDirect-ABMIL, fold-1: fin/);
    const table = join(folder, 'expression.csv');
    const before = await readFile(table, 'utf8');
    await writeFile(table, before.replace(/,[^,]*$/, ',77'));
    const labels = await histograd(resume);
    await writeFile(table, before);
    expect(labels.code).toBe(1);
    expect(labels.err).toContain('the expression table changed');
    const bag = join(features, 'S3.safetensors');
    const bytes = await readFile(bag);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1]! ^= 1;
    await writeFile(bag, changed);
    const values = await histograd(resume);
    await writeFile(bag, bytes);
    expect(values.code).toBe(1);
    expect(values.err).toContain('the features of slide S3 changed');
  });

  it('refuses to write over a run', async () => {
    const { code, err } = await histograd(train('run', '--model', 'ridge'));
    expect(code).toBe(1);
    expect(err).toContain('already holds a run');
    expect(err).not.toContain('    at ');
  });

  it('evaluates the run again: the same scores from its predictions', async () => {
    const before = await readFile(join(run(), 'summary.json'), 'utf8');
    await rm(join(run(), 'report.html'));
    const { code, out } = await histograd(['evaluate', run()]);
    expect(code).toBe(0);
    expect(out).toContain('Ridge (floor)');
    expect(await readFile(join(run(), 'summary.json'), 'utf8')).toBe(before);
    expect(existsSync(join(run(), 'report.html'))).toBe(true);
  });

  it('compares gene regimes in one run, and reads them apart again', async () => {
    const args = ['--model', 'direct-patch-level', '--epochs', '1', '--json'];
    const run = await histograd(
      train('regimes', ...args, '--gene-regime', 'all,chunks:2,per-gene'),
    );
    expect(run.code).toBe(0);
    const { models } = JSON.parse(run.out);
    expect(models.map((m: { name: string }) => m.name)).toEqual([
      'Direct-Patch-Level, all genes',
      'Direct-Patch-Level, chunks of 2',
      'Direct-Patch-Level, per gene',
    ]);
    expect(models.map((m: { modelsTrained: number }) => m.modelsTrained)).toEqual([2, 6, 10]);
    const again = await histograd(['evaluate', join(folder, 'regimes'), '--json']);
    const scores = (found: { scores: object }[]) => found.map((m) => m.scores);
    expect(scores(JSON.parse(again.out).models)).toEqual(scores(models));
  });

  it('evaluates a model on a labelled cohort', async () => {
    const out = join(folder, 'evaluated');
    const result = await histograd([
      'evaluate',
      '--checkpoint',
      model(),
      ...cohort,
      '--out',
      out,
      '--json',
    ]);
    expect(result.code).toBe(0);
    expect(JSON.parse(result.out).models[0].scores.mse).toBeGreaterThan(0);
    expect(existsSync(join(out, 'report.html'))).toBe(true);
    expect(result.err).toContain('the model has seen 6 of these 12 slides');
    const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'));
    expect(config.transform).toBe('none');
    const again = ['evaluate', '--checkpoint', model(), ...cohort, '--out', out];
    const taken = await histograd(again);
    expect(taken.code).toBe(1);
    expect(taken.err).not.toContain('--resume');
    const other = await histograd([...again, '--transform', 'log2']);
    expect(other.code).toBe(2);
    expect(other.err).toContain('was trained on expression with --transform none');
  });

  it('predicts: what training predicted for its test slides; attention and patch maps', async () => {
    const csv = join(folder, 'predicted.csv');
    const [attention, patches] = [join(folder, 'attention'), join(folder, 'patches')];
    const { code } = await histograd([
      ...[
        'predict',
        '--checkpoint',
        model(),
        '--features',
        features,
        '--out',
        csv,
        '--genes',
        'G3,G1',
      ],
      ...['--attention', attention, '--patches', patches],
    ]);
    expect(code).toBe(0);
    const rows = (await readFile(csv, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((row) => row.split(','));
    expect(rows[0]).toEqual(['slide', 'G3', 'G1']);
    expect(rows).toHaveLength(13);
    const trained = (await readFile(join(run(), 'predictions.csv'), 'utf8'))
      .split('\n')
      .map((row) => row.split(','));
    const known = trained.filter(([name, fold]) => name === 'Direct-ABMIL' && fold === 'fold-0');
    expect(known).toHaveLength(6);
    for (const [, , slide, ...values] of known) {
      const row = rows.find(([id]) => id === slide)!;
      expect(Number(row[1])).toBeCloseTo(Number(values[3]), 4);
      expect(Number(row[2])).toBeCloseTo(Number(values[1]), 4);
    }
    const weights = (await readFile(join(attention, 'S0.csv'), 'utf8')).trimEnd().split('\n');
    expect(weights[0]).toBe('patch,x,y,weight');
    const sum = weights.slice(1).reduce((total, row) => total + Number(row.split(',')[3]), 0);
    expect(sum).toBeCloseTo(1, 4);
    const { tensors, metadata } = parseSafetensors(
      await readFile(join(patches, 'S0.safetensors')),
      'S0',
    );
    expect(tensors.get('expression')!.shape).toEqual([weights.length - 1, 2]);
    expect(metadata.genes).toBe('["G3","G1"]');
  });

  it('predicts slides in pieces as whole, and so evaluates', async () => {
    const csv = join(folder, 'streamed.csv');
    const more = ['--attention', join(folder, 'streamed'), '--stream-above', '2'];
    const given = ['--checkpoint', model(), '--features', features, '--out', csv];
    const { code, err } = await histograd(['predict', ...given, '--genes', 'G3,G1', ...more]);
    expect(err).not.toMatch(/histograd:|patches at once/);
    expect(code).toBe(0);
    const numbers = async (path: string) =>
      (await readFile(path, 'utf8')).split(/[,\n]/).map(Number).filter(Number.isFinite);
    for (const [streamed, whole] of [
      [csv, join(folder, 'predicted.csv')],
      [join(folder, 'streamed/S0.csv'), join(folder, 'attention/S0.csv')],
    ] as const) {
      const [found, expected] = [await numbers(streamed), await numbers(whole)];
      expect(found).toHaveLength(expected.length);
      expect(found.some((value, i) => value !== expected[i])).toBe(true);
      for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 4);
    }
    const out = join(folder, 'evaluated-streamed');
    const at = ['--checkpoint', model(), ...cohort, '--out', out, '--json'];
    const evaluated = await histograd(['evaluate', ...at, '--stream-above', '2']);
    const { models } = JSON.parse(evaluated.out);
    const before = JSON.parse(await readFile(join(folder, 'evaluated/summary.json'), 'utf8'));
    expect(models[0].scores.mse).toBeCloseTo(before.models[0].scores.mse, 4);
  });

  it('trains in mixed precision, in pieces: says where steps were left out', async () => {
    const kinds = ['--model', 'direct-abmil,ridge', '--set', 'ridge.precision=float32'];
    const more = [...kinds, '--epochs', '3', '--precision', 'mixed'];
    const place = join(folder, 'mixed');
    const { code, err } = await histograd(train('mixed', ...more, '--stream-above', '4'));
    expect(err).not.toContain('histograd:');
    expect(code).toBe(0);
    const read = async (file: string) => JSON.parse(await readFile(join(place, file), 'utf8'));
    expect(await read('config.json')).toMatchObject({ precision: 'mixed', streamAbove: 4 });
    expect(await read('environment.json')).toMatchObject({ precision: 'mixed, float32' });
    const [{ skippedSteps }] = (await read('summary.json')).models;
    expect(skippedSteps).toBeGreaterThanOrEqual(0);
    expect(await readFile(join(place, 'report.html'), 'utf8')).toContain('Steps left out');
    expect((await histograd(['train', '--out', place, '--resume'])).code).toBe(0);
    const other = await histograd(train('mixed', '--model', 'direct-abmil', '--precision', 'half'));
    expect(other.code).toBe(2);
    expect(other.err).toContain('precision');
  });

  it.each([
    ['a file that is no model', 'expression.csv', 'is not a valid safetensors file'],
    [
      'a checkpoint for resuming',
      'run/direct-abmil/fold-0/all/checkpoint.safetensors',
      'not a trained histograd model',
    ],
    ['a missing file', 'none.safetensors', 'none.safetensors'],
    ['a folder', 'run', 'is a folder, where a file was expected'],
  ])('predict with %s', async (_, file, text) => {
    const result = await histograd([
      ...[
        'predict',
        '--checkpoint',
        join(folder, file),
        '--features',
        features,
        '--out',
        join(folder, 'x.csv'),
        '--attention',
        join(folder, 'x-attention'),
      ],
    ]);
    expect(existsSync(join(folder, 'x-attention'))).toBe(false);
    expect(result.code).toBe(1);
    expect(result.err).toContain(text);
    expect(existsSync(join(folder, 'x.csv'))).toBe(false);
  });

  it('predict with an unknown gene: names the nearest', async () => {
    const args = [
      'predict',
      '--checkpoint',
      model(),
      '--features',
      features,
      '--out',
      join(folder, 'x.csv'),
    ];
    const { code, err } = await histograd([...args, '--genes', 'G1,G9']);
    expect(code).toBe(1);
    expect(err).toContain('G9');
  });
});

describe('interruption', () => {
  const long = [
    '--model',
    'direct-abmil',
    '--epochs',
    '60',
    '--patience',
    '60',
    '--checkpoint-steps',
    '2',
  ];
  const parts = (run: string, fold: string, file: string) =>
    join(folder, run, 'direct-abmil', fold, 'all', file);

  it('Ctrl-C checkpoints, says how to resume, exits with 130; SIGKILL loses nothing either; the bits are the same', async () => {
    expect((await histograd(train('whole', ...long))).code).toBe(0);

    const stopped = await histograd(train('parts', ...long), async (child) => {
      await appeared(parts('parts', 'fold-0', 'checkpoint.safetensors'), child);
      child.kill('SIGINT');
    });
    expect(stopped.code).toBe(130);
    expect(stopped.err).toContain('--resume');
    expect(existsSync(parts('parts', 'fold-0', 'predictions.safetensors'))).toBe(false);

    const killed = await histograd(train('parts', ...long, '--resume'), async (child) => {
      await appeared(parts('parts', 'fold-1', 'checkpoint.safetensors'), child);
      child.kill('SIGKILL');
    });
    expect(killed.signal).toBe('SIGKILL');
    expect(existsSync(parts('parts', 'fold-0', 'predictions.safetensors'))).toBe(true);
    expect(existsSync(parts('parts', 'fold-1', 'predictions.safetensors'))).toBe(false);

    const resumed = await histograd(train('parts', ...long, '--resume'));
    expect(resumed.err).not.toMatch(/histograd:/);
    expect(resumed.code).toBe(0);
    for (const fold of ['fold-0', 'fold-1']) {
      for (const file of ['best.safetensors', 'metrics.jsonl']) {
        const [a, b] = ['whole', 'parts'].map((run) => parts(run, fold, file));
        expect(Buffer.compare(await readFile(a!), await readFile(b!)), `${fold}/${file}`).toBe(0);
      }
    }
    const [a, b] = ['whole', 'parts'].map((run) => join(folder, run, 'predictions.csv'));
    expect(await readFile(b!, 'utf8')).toBe(await readFile(a!, 'utf8'));
  }, 300_000);

  it('resuming with other options is refused', async () => {
    const { code, err } = await histograd(train('whole', ...long, '--resume', '--epochs', '61'));
    expect(code).toBe(1);
    expect(err).toContain('another epochs: 60 there, 61 now');
  });
});

describe('usage', () => {
  it.each([
    [['train', '--modle', 'knn'], 2, 'Did you mean --model?'],
    [['trian'], 2, 'Did you mean train?'],
    [['predict'], 2, '--checkpoint'],
    [['train', '--model', 'direct-abmill', '--out', 'x'], 2, 'did you mean direct-abmil'],
    [
      ['train', '--model', 'knn', '--features', 'f', '--expression', 'e'],
      2,
      'out (--out) is missing',
    ],
    [['evaluate'], 2, 'nothing to evaluate'],
    [['doctor', '--adapter', 'cuda'], 2, 'auto, hardware, lavapipe, swiftshader'],
    [['evaluate', 'no-such-run'], 1, 'holds no finished run'],
    [['predict', '--checkpoint', 'x', '--features', 'x', '--out', '.'], 2, '--out . is a folder'],
    [['--help'], 0, ''],
  ] as const)('%j exits with %i', async (args, code, text) => {
    const result = await histograd(args);
    expect(result.err).toContain(text);
    expect(result.code).toBe(code);
  });

  it('options that do not suit exit with 2, and leave no folder', async () => {
    for (const [option, text] of [
      [['--folds', '100'], '100 folds do not suit 6 patients'],
      [['--gene-regime', 'each'], 'chunks:K'],
      [['--set', 'direct-abmil.dropout=1'], 'dropout is 1'],
    ] as const) {
      const { code, err } = await histograd(train('never', '--model', 'direct-abmil', ...option));
      expect(err).toContain(text);
      expect(code).toBe(2);
    }
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });

  it('genes with commas', async () => {
    const { code, out } = await histograd(train('two', '--model', 'knn', '--genes', 'G3,G1'));
    expect(code).toBe(0);
    expect(out).toContain('12 slides, 2 genes, 2 folds');
    expect(out).toContain('kNN, fold-1: trained and tested in ');
    expect(out).toContain('Predicting the training mean: MSE');
  });

  it('--version is the package version', async () => {
    const { version } = JSON.parse(
      await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect((await histograd(['--version'])).out.trim()).toBe(version);
  });

  it('doctor prints JSON', async () => {
    const { code, out } = await histograd(['doctor', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ok: true, computeCheck: 'passed' });
  });

  it('features that do not belong to the model', async () => {
    const wide = await histograd(train('other', '--model', 'knn', '--genes', 'top:2', '--quiet'));
    expect(wide.code).toBe(0);
    expect(wide.out).toBe('');
    await writeFile(join(folder, 'genes.txt'), 'G1\nG7\n');
    const unknown = await histograd(
      train('unknown', '--model', 'knn', '--genes', join(folder, 'genes.txt')),
    );
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('G7');
    expect(existsSync(join(folder, 'unknown'))).toBe(false);
  });
});
