import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeRoom } from '../../src/cli/demo.ts';
import { DEMO_COHORT, simulateCohort } from '../../src/data/simulated-cohort.ts';
import { openRunFolder } from '../../src/training/run-folder.ts';
import { expectError } from '../data/expect-error.ts';

const cohort = simulateCohort({
  ...DEMO_COHORT,
  ...{ patients: 3, slidesPerPatient: 1, tilesPerSlide: [2, 2], tileSize: 16, genes: 3 },
});
let folder: string;
let out: string;
let data: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-demo-'));
  out = join(folder, 'study');
  data = `${out}-data`;
});
afterEach(() => rm(folder, { recursive: true }));

const room = () => makeRoom(out, data, cohort);

it('refuses data of the user before anything is written', async () => {
  await mkdir(data);
  await writeFile(join(data, 'expression.csv'), 'mine');
  await expectError(room, 'data-exists', /expression\.csv is not what/);
  expect(await readFile(join(data, 'expression.csv'), 'utf8')).toBe('mine');
  expect(await readdir(folder, { recursive: true })).toEqual([
    'study-data',
    'study-data/expression.csv',
  ]);
});

it('refuses a folder with other things before anything is written', async () => {
  await mkdir(out);
  for (const [file, content] of [
    ['thesis.tex', ''],
    ['config.json', '{"model_type": "vit"}'],
    ['config.json', 'not JSON'],
  ] as const) {
    await writeFile(join(out, file), content);
    await expectError(room, 'out-not-empty', new RegExp(`holds no demonstration: ${file}`));
    expect(await readdir(folder, { recursive: true })).toEqual(['study', `study/${file}`]);
    await rm(join(out, file));
  }
});

it('removes an earlier demonstration, and nothing else', async () => {
  await room();
  const config = { features: join(data, 'features'), model: ['knn', 'ridge'] };
  const run = await openRunFolder(out, config, false);
  for (const file of ['environment', 'summary', 'predictions', 'report'] as const)
    await run.write(file, '{}');
  for (const model of ['knn', 'mine']) {
    const group = await run.group(model, 'fold-0', 'all');
    await group.saveModel(new Uint8Array(1));
    await group.saveCheckpoint(new Uint8Array(1));
  }
  await writeFile(join(out, 'my-notes.txt'), 'mine');
  await writeFile(join(out, 'knn/fold-0/all/figure.svg'), 'mine');
  await writeFile(join(out, 'knn/report.html'), 'mine');
  await room();
  const left = await readdir(out, { recursive: true, withFileTypes: true });
  const files = left.filter((entry) => entry.isFile());
  expect(
    files.map(({ parentPath, name }) => join(parentPath, name).slice(out.length + 1)).sort(),
  ).toEqual([
    'config.json',
    'knn/fold-0/all/figure.svg',
    'knn/report.html',
    'mine/fold-0/all/best.safetensors',
    'mine/fold-0/all/checkpoint.safetensors',
    'my-notes.txt',
  ]);
  await rm(join(out, 'mine'), { recursive: true });
  await openRunFolder(out, config, false);
});
