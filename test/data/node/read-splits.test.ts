import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSplits } from '../../../src/data/node/read-splits.ts';

const ids = ['a', 'b', 'c', 'd'];
const patients = ['A', 'B', 'C', 'D'];
const options = { seed: 0, validationFraction: 0 };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-splits-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string) {
  const path = join(folder, 'splits.csv');
  await writeFile(path, text);
  return readSplits(path, ids, patients, options);
}

describe('readSplits', () => {
  it('a line per fold and slide; a slide that a fold does not name takes no part', async () => {
    const splits = await read(
      'fold,slide,part\n0,a,test\n0,b,train\n0,c,validation\n1,d,test\n1,a,train\n1,b,train\n1,c,train\n',
    );
    expect(splits).toEqual([
      { name: '0', train: [1], validation: [2], test: [0] },
      { name: '1', train: [0, 1, 2], validation: [], test: [3] },
    ]);
  });

  it('the other layouts as before', async () => {
    const [first] = await read('slide,fold\na,0\nb,0\nc,1\nd,1\n');
    expect(first).toEqual({ name: '0', train: [2, 3], validation: [], test: [0, 1] });
  });

  it('a slide that is not in the cohort is an error in the long layout too', async () => {
    await expect(read('fold,slide,part\n0,a,test\n0,b,train\n0,z,train\n')).rejects.toThrow(
      /'z' is not in the cohort/,
    );
  });
});
