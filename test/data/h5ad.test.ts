import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useH5Bytes } from '../../src/data/h5-tables.ts';
import { type H5adOptions, readH5ad } from '../../src/data/h5ad.ts';
import { readH5adFile } from '../../src/data/node/h5ad-file.ts';
import { expectError } from './expect-error.ts';

const FIXTURES = new URL('fixtures/spots/', import.meta.url).pathname;
const expected = JSON.parse(await readFile(join(FIXTURES, 'expected.json'), 'utf8'));

const read = (file: string, options: H5adOptions = {}) =>
  readH5adFile(join(FIXTURES, file), options);

/** A file of the given datasets and attributes, made by h5wasm. */
async function made(build: (file: import('h5wasm').File) => void): Promise<Uint8Array> {
  const { File, ready } = await import('h5wasm');
  const { FS } = await ready;
  const file = new File('/made.h5', 'w');
  build(file);
  file.close();
  return FS.readFile('/made.h5');
}

describe('readH5ad', () => {
  it.each(['csr.h5ad', 'layers.h5ad', 'dense.h5ad'])('%s holds what scipy wrote', async (file) => {
    const { counts, spots, genes, geneIds } = await read(file, { allSpots: true });
    expect(spots.map(({ id }) => id)).toEqual(expected.barcodes);
    expect(spots.map(({ x, y }) => [x, y])).toEqual(expected.xy);
    expect(spots.map(({ row, column }) => [row, column])).toEqual(expected.array);
    expect([...counts.starts]).toEqual(expected.starts);
    expect([...counts.columnIndex]).toEqual(expected.columns);
    expect([...counts.values]).toEqual(expected.values);
    expect(genes.slice(0, 7)).toEqual(['AAA', 'BBB', 'AAA-2', 'CCC', 'DDD', 'AAA-1', 'AAA-3']);
    expect(geneIds).toEqual(expected.ids);
  });

  it('takes the layer counts first, and says where counts come from', async () => {
    const section = await read('layers.h5ad');
    expect(section.notes[0]).toMatch('layers/counts');
    expect(section.spots).toHaveLength(11);
    await expectError(
      () => read('layers.h5ad', { layer: 'X' }),
      'not-counts',
      /0\.69|1\.09|11\.15/,
    );
    await expectError(() => read('layers.h5ad', { layer: 'nope' }), 'no-layer', /X, counts/);
  });

  it('gives the pixels of the stored image when asked to', async () => {
    const section = await read('csr.h5ad', { pixelSpace: 'hires' });
    expect(section.spots[0]!.x).toBe(100.25 / 2);
    expect(section.spotDiameter).toBe(30);
    expect(section.mpp).toBeCloseTo(2, 12);
    expect(section.image?.width).toBe(8);
    expect([...(section.image?.data ?? [])]).toEqual(Array.from({ length: 144 }, (_, i) => i));
    await expectError(() => read('csr.h5ad', { library: 'L9' }), 'ambiguous-library', /L1.*not L9/);
  });

  it('refuses other files and older versions with advice', async () => {
    const old = await made((file) => {
      file.create_group('obs');
      file.create_group('var');
    });
    await expectError(
      () => useH5Bytes(old, 'old.h5ad', (tables) => readH5ad(tables, 'old.h5ad')),
      'old-h5ad',
      /before 0.8/,
    );
    const other = await made((file) => file.create_group('matrix'));
    await expectError(
      () => useH5Bytes(other, 'o.h5ad', (tables) => readH5ad(tables, 'o.h5ad')),
      'bad-hdf5-table',
      /found matrix/,
    );
  });

  it('does not make room for what the file cannot hold', async () => {
    const names = (file: import('h5wasm').File, path: string) => {
      file.create_group(path).create_attribute('_index', 'index');
      file.create_dataset({ name: `${path}/index`, data: ['A', 'B'] });
    };
    const bytes = await made((file) => {
      names(file, 'obs');
      names(file, 'var');
      file.create_attribute('encoding-type', 'anndata');
      const x = file.create_group('X');
      x.create_attribute('encoding-type', 'csr_matrix');
      x.create_attribute('shape', [2, 2], null, '<i4');
      file.create_dataset({ name: 'X/indptr', data: Int32Array.of(0, 1, 2 ** 30) });
      for (const name of ['X/data', 'X/indices']) {
        const one = { data: Int32Array.of(1), shape: [1], maxshape: [null], chunks: [1] };
        file.create_dataset({ name, ...one }).resize([2 ** 30]);
      }
    });
    await expectError(
      () => useH5Bytes(bytes, 'x.h5ad', (tables) => readH5ad(tables, 'x.h5ad')),
      'bad-hdf5-table',
      /X\/data claims 1073741824 values, more than a file/,
    );
  });

  it('does not follow links out of the file', async () => {
    const bytes = await made((file) => {
      file.create_external_link('/etc/passwd', '/x', 'obs');
      file.create_group('var');
      file.create_attribute('encoding-type', 'anndata');
    });
    await expectError(
      () => useH5Bytes(bytes, 'l.h5ad', (tables) => readH5ad(tables, 'l.h5ad')),
      'bad-hdf5-table',
      /obs is a link/,
    );
  });
});
