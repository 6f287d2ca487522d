import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { predictCommand, writeRows } from '../../src/cli/predict.ts';
import { HistogradError } from '../../src/errors.ts';
import { expectError } from '../data/expect-error.ts';

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-rows-'));
  out = join(folder, 'p.csv');
});
afterEach(() => rm(folder, { recursive: true }));

const slides = ['A', 'B', 'C'].map((id) => ({ id, path: id }));

/** Rows of which some fail. */
function rows(errors: Record<string, Error>, warnings: string[] = []) {
  const rowOf = async ({ id }: { id: string }) => {
    if (errors[id]) throw errors[id];
    return `${id},1\n`;
  };
  return writeRows(out, 'slide,G\n', slides, rowOf, (text) => warnings.push(text));
}

const nan = new HistogradError('non-finite-prediction', 'NaN in B.', 'Look.');

it('a slide that fails is left out and named; the others are written', async () => {
  const warnings: string[] = [];
  expect(await rows({ B: nan }, warnings)).toEqual(['B']);
  expect(warnings).toEqual([expect.stringContaining('B: NaN in B.')]);
  expect(await readFile(out, 'utf8')).toBe('slide,G\nA,1\nC,1\n');
});

it('where all fail, nothing is written; what is no matter of one slide stops', async () => {
  await expectError(() => rows({ A: nan, B: nan, C: nan }), 'slides-failed', /3 of 3 slides/);
  const lost = new HistogradError('device-lost', 'Lost.', 'Again.');
  await expectError(() => rows({ A: nan, C: lost }), 'device-lost', /Lost/);
  await expect(rows({ A: nan, B: new TypeError('a bug') })).rejects.toThrow(TypeError);
  expect(await readdir(folder)).toEqual([]);
});

it('a folder that does not exist is found before anything else', async () => {
  const flags = { checkpoint: 'none', features: 'none', out: join(folder, 'none/p.csv') };
  await expectError(() => predictCommand(flags), 'no-folder', /the folder .*none does not exist/);
});
