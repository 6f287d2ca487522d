import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseFeatures } from '../../../src/data/features.ts';
import { readFeatureShape, readFeatures } from '../../../src/data/node/read-features.ts';
import { type SafetensorInput, serializeSafetensors } from '../../../src/data/safetensors.ts';
import { expectError } from '../expect-error.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const EXPECTED = Array.from({ length: 15 }, (_, i) => i / 4 - 1);
const COORDS = [0, 0, 256, 512, 512, 1024, 768, 1536, 1024, 2048];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-features-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}
const safetensors = (name: string, tensors: Record<string, SafetensorInput>) =>
  write(name, serializeSafetensors(tensors));
const tensor = (shape: number[], fill = 1) => ({
  shape,
  data: new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(fill),
});

describe('readFeatures', () => {
  it.each([
    ['clam.h5', {}, COORDS],
    ['sequoia.h5', { dataset: 'uni_features' }, COORDS],
    ['praline.h5', {}, undefined],
    ['fortran_f8.npy', {}, undefined],
    ['half.npy', {}, undefined],
    ['tensor.pt', {}, undefined],
    ['dict.pt', {}, COORDS],
    ['parameter.pt', {}, undefined],
  ])('%s', async (name, options, coords) => {
    const bag = await readFeatures(fixture(name), options);
    expect([bag.rows, bag.width]).toEqual([5, 3]);
    expect([...bag.features]).toEqual(EXPECTED);
    expect(bag.coords && [...bag.coords]).toEqual(coords);
    expect(await readFeatureShape(fixture(name), options)).toEqual({ rows: 5, width: 3 });
  });

  it('reads HDF5 from bytes as from a file', async () => {
    const bag = await parseFeatures(readFileSync(fixture('clam.h5')), 'clam.h5');
    expect(bag).toEqual(await readFeatures(fixture('clam.h5')));
  });

  it('reads safetensors', async () => {
    const path = safetensors('a.safetensors', {
      features: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      coords: { shape: [2, 2], data: Int32Array.of(5, 6, 7, 8) },
    });
    const bag = await readFeatures(path);
    expect([...bag.features]).toEqual([1, 2, 3, 4]);
    expect([...(bag.coords ?? [])]).toEqual([5, 6, 7, 8]);
    expect(await readFeatureShape(path)).toEqual({ rows: 2, width: 2 });
  });

  it.each([
    ['f2', EXPECTED],
    ['f8_big', EXPECTED],
    ['i8', [0, 1, 2, 3, 4, 5]],
    ['u1', [0, 1, 2, 3, 4, 5]],
    ['i2', [-0, -1, -2, -3, -4, -5].map((x) => x + 0)],
  ])('converts HDF5 %s', async (dataset, expected) => {
    expect([...(await readFeatures(fixture('dtypes.h5'), { dataset })).features]).toEqual(expected);
  });

  it('reads a dataset of many blocks and of ragged chunks', async () => {
    const h5wasm = await import('h5wasm/node');
    await h5wasm.ready;
    const [rows, width] = [5001, 512];
    const data = Float32Array.from({ length: rows * width }, (_, i) => i % 8191);
    const path = join(folder, 'large.h5');
    const file = new h5wasm.File(path, 'w');
    file.create_dataset({
      name: 'features',
      data,
      shape: [rows, width],
      chunks: [37, 100],
      compression: 1,
    });
    file.close();
    const bag = await readFeatures(path);
    expect([bag.rows, bag.width]).toEqual([rows, width]);
    // Not toEqual: comparing 2.5 million elements one by one takes vitest a while.
    expect(Buffer.from(bag.features.buffer).equals(Buffer.from(data.buffer))).toBe(true);
  });

  it('splits HE2RNA’s columns level, column, row from the features', async () => {
    const data = Float32Array.of(16, 3, 4, 0.5, 0.25, 16, 5, 6, 1, 2);
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5), }\n";
    const bytes = new Uint8Array(10 + header.length + data.byteLength);
    bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
    bytes.set(new TextEncoder().encode(header), 10);
    bytes.set(new Uint8Array(data.buffer), 10 + header.length);
    const path = write('he2rna.npy', bytes);
    const bag = await readFeatures(path, { coordsColumns: true });
    expect([...bag.features]).toEqual([0.5, 0.25, 1, 2]);
    expect([...(bag.coords ?? [])]).toEqual([3, 4, 5, 6]);
    expect(await readFeatureShape(path, { coordsColumns: true })).toEqual({ rows: 2, width: 2 });
  });
});

describe('which array', () => {
  const refuses = async (path: string, dataset: string | undefined, code: string, text: RegExp) => {
    await expectError(() => readFeatures(path, { dataset }), code, text);
    await expectError(() => readFeatureShape(path, { dataset }), code, text);
  };

  it('asks when several could be meant', async () => {
    const text = /cluster_features, uni_features.*\n.*--dataset/;
    await refuses(fixture('sequoia.h5'), undefined, 'ambiguous-dataset', text);
    await refuses(
      fixture('ambiguous.pt'),
      undefined,
      'ambiguous-dataset',
      /a_features, b_features/,
    );
  });

  it('takes the one asked for; coordinates of other patches are left out', async () => {
    const bag = await readFeatures(fixture('sequoia.h5'), { dataset: 'cluster_features' });
    expect([bag.rows, bag.coords]).toEqual([2, undefined]);
  });

  it('says what is there when the one asked for is not', () =>
    refuses(fixture('clam.h5'), 'feats', 'no-dataset', /'feats'.*features \[5, 3\]/));

  it('takes the only matrix besides coords, and refuses when there is none', async () => {
    const one = { embeddings: tensor([2, 3]), coords: tensor([2, 2]), bias: tensor([3]) };
    expect((await readFeatures(safetensors('one.safetensors', one))).width).toBe(3);
    const none = safetensors('none.safetensors', { bias: tensor([3]) });
    await refuses(none, undefined, 'no-dataset', /one 2-D array.*bias \[3\]/);
    await refuses(safetensors('empty.safetensors', {}), undefined, 'no-dataset', /no arrays/);
  });
});

describe('wrong content', () => {
  const refuses = async (path: string, options: object, code: string, text: RegExp) => {
    await expectError(() => readFeatures(path, options), code, text);
    await expectError(() => readFeatureShape(path, options), code, text);
  };

  it('wrong rank', async () => {
    const cube = { dataset: 'cube' };
    await refuses(fixture('dtypes.h5'), cube, 'bad-feature-shape', /width\].*found \[2, 2, 2\]/);
    const flat = safetensors('flat.safetensors', { features: tensor([6]) });
    await refuses(flat, {}, 'bad-feature-shape', /flat\.safetensors.*\[6\]/);
    const narrow = safetensors('narrow.safetensors', { features: tensor([2, 3]) });
    await refuses(narrow, { coordsColumns: true }, 'bad-feature-shape', /at least 4/);
    const zero = safetensors('zero.safetensors', { features: tensor([2, 0]) });
    await refuses(zero, {}, 'bad-feature-shape', /\[2, 0\]/);
  });

  it('an empty bag', async () => {
    await refuses(fixture('dtypes.h5'), { dataset: 'none' }, 'empty-bag', /\[0, 4\]/);
    const none = safetensors('nobody.safetensors', { features: tensor([0, 8]) });
    await refuses(none, {}, 'empty-bag', /nobody\.safetensors has no patches/);
  });

  it('values that are not finite: names the first', async () => {
    await expectError(
      () => readFeatures(fixture('nan.h5')),
      'non-finite-feature',
      /nan\.h5: the feature in row 2, column 1 .* is NaN/,
    );
    const data = Float32Array.of(1, 2, 3, Number.POSITIVE_INFINITY);
    const path = safetensors('inf.safetensors', { features: { shape: [2, 2], data } });
    await expectError(() => readFeatures(path), 'non-finite-feature', /row 1, column 1 .*Infinity/);
  });

  it('coordinates of another slide', async () => {
    const path = safetensors('c.safetensors', { features: tensor([2, 3]), coords: tensor([3, 2]) });
    await expectError(() => readFeatures(path), 'bad-coords', /shape \[2, 2\].*found \[3, 2\]/);
  });

  it('text', () =>
    expectError(
      () => readFeatures(fixture('dtypes.h5'), { dataset: 'text' }),
      'bad-feature-shape',
      /\[2\]/,
    ));

  it('files that do not exist or have another ending', async () => {
    for (const ending of ['h5', 'npy', 'pt', 'safetensors']) {
      await refuses(
        join(folder, `missing.${ending}`),
        {},
        'no-file',
        /missing\.\w+ does not exist/,
      );
    }
    await refuses(join(folder, 'a.csv'), {}, 'unknown-format', /a\.csv.*\.safetensors or \.pt/);
  });
});

describe('damaged files', () => {
  it.each(['clam.h5', 'tensor.pt', 'half.npy'])('%s cut short anywhere', async (name) => {
    const whole = readFileSync(fixture(name));
    for (const part of [0, 1, 7, 0.3 * whole.length, whole.length / 2, whole.length - 1]) {
      const cut = write(`cut-${name}`, whole.subarray(0, Math.floor(part)));
      await expectError(
        () => readFeatures(cut),
        { h5: 'bad-hdf5', pt: 'bad-torch-file', npy: 'bad-npy' }[name.split('.')[1] ?? ''] ?? '',
        /cut-/,
      );
    }
  });

  it('chunks whose checksum fails, without stale values or noise', async () => {
    const bytes = readFileSync(fixture('checksum.h5'));
    const value = Buffer.from(Float32Array.of(0.5, 0.75, 1).buffer);
    const at = bytes.indexOf(value);
    expect(at).toBeGreaterThan(0);
    bytes[at] = 0x77;
    const path = write('flipped.h5', bytes);
    await expectError(
      () => readFeatures(path),
      'bad-hdf5',
      /flipped\.h5.*rows 0 and on.*cannot be read/,
    );
    // The file is not kept open: once replaced, it is read anew.
    copyFileSync(fixture('checksum.h5'), path);
    expect([...(await readFeatures(path)).features]).toEqual(EXPECTED);
  });

  it('HDF5 that claims more than it holds', async () => {
    const h5wasm = await import('h5wasm/node');
    await h5wasm.ready;
    const path = join(folder, 'claim.h5');
    const file = new h5wasm.File(path, 'w');
    const data = new Float32Array(4);
    const dataset = { name: 'features', data, shape: [2, 2], maxshape: [null, 2], chunks: [2, 2] };
    file.create_dataset(dataset).resize([10_000_000_000, 2]);
    file.close();
    for (const read of [readFeatures, readFeatureShape]) {
      await expectError(() => read(path), 'bad-hdf5', /shape \[10000000000, 2\], more than a file/);
    }
  });

  it('HDF5 with random damage: an error or values, never a crash', async () => {
    const original = readFileSync(fixture('clam.h5'));
    let seed = 7;
    for (let round = 0; round < 200; round++) {
      const bytes = Buffer.from(original);
      for (let i = 0; i < 10; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        bytes[(seed >>> 8) % bytes.length] = seed >>> 24;
      }
      const path = write('fuzz.h5', bytes);
      await readFeatures(path).catch((error) => {
        expect(error).toHaveProperty('advice');
      });
    }
    expect([...(await readFeatures(fixture('clam.h5'))).features]).toEqual(EXPECTED);
  });
});
