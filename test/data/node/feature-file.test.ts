import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type FeatureFile, openFeatures, rowsOf } from '../../../src/data/node/feature-file.ts';
import { readFeatures } from '../../../src/data/node/read-features.ts';
import { cohortSource } from '../../../src/training/cohort-source.ts';
import { expectError } from '../expect-error.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'histograd-feature-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function writeH5(name: string, data: Float32Array, shape: number[], chunks: number[]) {
  const h5wasm = await import('h5wasm/node');
  await h5wasm.ready;
  const path = join(folder, name);
  const file = new h5wasm.File(path, 'w');
  file.create_dataset({ name: 'features', data, shape, chunks, compression: 1 });
  file.close();
  return path;
}

function all(file: FeatureFile, rows: number): number[] {
  const pieces = [...rowsOf(file, rows)];
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(rows * file.width);
  return pieces.flatMap((piece) => [...piece]);
}

describe('openFeatures', () => {
  it.each([
    ['clam.h5', {}],
    ['sequoia.h5', { dataset: 'uni_features' }],
    ['praline.h5', {}],
    ['half.npy', {}],
    ['dict.pt', {}],
  ])('%s: the rows of readFeatures, from anywhere', async (name, options) => {
    const bag = await readFeatures(fixture(name), options);
    const file = await openFeatures(fixture(name), options);
    expect([file.rows, file.width, file.coords]).toEqual([bag.rows, bag.width, bag.coords]);
    expect(all(file, 2)).toEqual([...bag.features]);
    expect([...file.read(3, 4)]).toEqual([...bag.features.subarray(9, 12)]);
    file.read(0, 5).fill(7);
    expect(all(file, 5)).toEqual([...bag.features]);
    file.close();
  });

  it('reads rows across chunks, and names the row of a value that is not finite', async () => {
    const data = Float32Array.from({ length: 700 * 9 }, (_, i) => i);
    data[600 * 9 + 4] = Number.NaN;
    const path = await writeH5('nan.h5', data, [700, 9], [37, 4]);
    const file = await openFeatures(path);
    expect(file.read(30, 120)).toEqual(data.slice(30 * 9, 120 * 9));
    await expectError(
      () => file.read(590, 610),
      'non-finite-feature',
      /nan\.h5: the feature in row 600, column 4/,
    );
    file.close();
  });

  it('refuses what readFeatures refuses', async () => {
    await expectError(() => openFeatures(join(folder, 'none.h5')), 'no-file', /none\.h5/);
    await expectError(() => openFeatures(fixture('sequoia.h5')), 'ambiguous-dataset', /--dataset/);
    const empty = await writeH5('one.h5', new Float32Array(3), [3], [3]);
    await expectError(() => openFeatures(empty), 'bad-feature-shape', /found \[3\]/);
  });
});

describe('cohortSource: pieces', () => {
  it('are the patches of the batches, whole or sampled', async () => {
    const data = Float32Array.from({ length: 50 * 3 }, (_, i) => i);
    const path = await writeH5('slide.h5', data, [50, 3], [8, 3]);
    const slide = { id: 'a', patient: 'A', path, rows: 50, width: 3 };
    const source = cohortSource([slide]);
    for (const sample of [undefined, { maxPatches: 13, seed: 3, epoch: 2 }]) {
      const pieces: number[][] = [];
      for await (const piece of source.pieces!(0, 6, sample)) pieces.push([...piece]);
      expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(18);
      for await (const { features } of source.batches([[0]], sample))
        expect(pieces.flat()).toEqual([...features]);
    }
    const changed = cohortSource([{ ...slide, rows: 49 }]);
    await expectError(
      async () => {
        for await (const _ of changed.pieces!(0, 6));
      },
      'features-changed',
      /has shape \[50, 3\]; \[49, 3\] was expected/,
    );
  });
});
