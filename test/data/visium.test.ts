import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useH5Bytes } from '../../src/data/h5-tables.ts';
import { useH5File } from '../../src/data/node/h5-file.ts';
import { readVisium } from '../../src/data/node/visium-folder.ts';
import { parseTissuePositions, read10xMatrix } from '../../src/data/visium-files.ts';
import { expectError } from './expect-error.ts';

const FIXTURES = new URL('fixtures/spots/', import.meta.url).pathname;
const expected = JSON.parse(await readFile(join(FIXTURES, 'expected.json'), 'utf8'));
const GENES = ['AAA', 'BBB', 'AAA-2', 'CCC', 'DDD', 'AAA-1', 'AAA-3', 'EEE'];
let folder: string;

const positionLines = () =>
  expected.barcodes.map((barcode: string, i: number) => {
    const [row, column] = expected.array[i];
    const [x, y] = expected.xy[i];
    return `${barcode},${i === 11 ? 0 : 1},${row},${column},${y},${x}`;
  });
const HEADER = 'barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres';
const SCALES = { tissue_hires_scalef: 0.5, tissue_lowres_scalef: 0.1, spot_diameter_fullres: 60 };
const featuresTsv = () =>
  expected.names
    .map((name: string, i: number) => {
      const type = i === 8 ? 'Antibody Capture' : 'Gene Expression';
      return `${expected.ids[i]}\t${name}\t${type}\n`;
    })
    .join('');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-visium-'));
  await mkdir(join(folder, 'spatial'));
  await writeFile(join(folder, 'spatial/scalefactors_json.json'), JSON.stringify(SCALES));
  await writeFile(join(folder, 'spatial/tissue_positions_list.csv'), positionLines().join('\n'));
  await cp(
    join(FIXTURES, 'filtered_feature_bc_matrix.h5'),
    join(folder, 'filtered_feature_bc_matrix.h5'),
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Replaces the .h5 by the folder of MatrixMarket, edited. */
async function asMex(edit: (text: string) => string = (text) => text): Promise<void> {
  await rm(join(folder, 'filtered_feature_bc_matrix.h5'));
  const mex = join(folder, 'filtered_feature_bc_matrix');
  await mkdir(mex);
  const text = gunzipSync(await readFile(join(FIXTURES, 'matrix.mtx.gz'))).toString();
  await writeFile(join(mex, 'matrix.mtx.gz'), gzipSync(edit(text)));
  await writeFile(join(mex, 'barcodes.tsv.gz'), gzipSync(`${expected.barcodes.join('\n')}\n`));
  await writeFile(join(mex, 'features.tsv.gz'), gzipSync(featuresTsv()));
}

describe('read10xMatrix', () => {
  it('reads what scipy reads, in Node and from bytes', async () => {
    const path = join(FIXTURES, 'filtered_feature_bc_matrix.h5');
    const fromFile = await useH5File(path, (tables) => read10xMatrix(tables, path));
    const fromBytes = await useH5Bytes(await readFile(path), path, (t) => read10xMatrix(t, path));
    for (const { barcodes, features, counts } of [fromFile, fromBytes]) {
      expect(barcodes).toEqual(expected.barcodes);
      expect(features.names).toEqual(expected.names);
      expect([...counts.starts]).toEqual(expected.starts);
      expect([...counts.columnIndex]).toEqual(expected.columns);
      expect([...counts.values]).toEqual(expected.values);
    }
  });

  it('refuses cut and flipped files without another kind of error', async () => {
    const bytes = await readFile(join(FIXTURES, 'filtered_feature_bc_matrix.h5'));
    const outcomes = new Set<string>();
    const path = join(folder, 'damaged.h5');
    const attempt = async (content: Uint8Array) => {
      await writeFile(path, content);
      await useH5File(path, (tables) => read10xMatrix(tables, path)).catch((error) =>
        outcomes.add(error.code ?? String(error)),
      );
    };
    for (let cut = 0; cut < bytes.length; cut += 997) await attempt(bytes.subarray(0, cut));
    for (let at = 100; at < bytes.length; at += 613) {
      const flipped = Uint8Array.from(bytes);
      flipped[at] = flipped[at]! ^ 0xff;
      await attempt(flipped);
    }
    const known = ['bad-hdf5', 'bad-hdf5-table', 'bad-counts', 'bad-spots', 'duplicate-spot'];
    expect([...outcomes].filter((code) => !known.includes(code))).toEqual([]);
    expect(outcomes.size).toBeGreaterThan(1);
  });
});

describe('readVisium', () => {
  it.each(['h5', 'mex'])(
    'reads a folder with %s: genes only, unique, tissue only',
    async (kind) => {
      if (kind === 'mex') await asMex();
      const section = await readVisium(folder, { name: 'S' });
      expect(section.genes).toEqual(GENES);
      expect(section.geneIds).toEqual(expected.ids.slice(0, 8));
      expect(section.spots).toHaveLength(11);
      expect(section.spots[5]).toEqual({
        id: expected.barcodes[5],
        x: expected.xy[5][0],
        y: expected.xy[5][1],
        row: 1,
        column: 3,
        inTissue: true,
      });
      const at = section.counts.columnIndex.indexOf(0);
      expect(section.counts.values[at]).toBe(70000);
      // 2 columns are 100 pixels and 100 um.
      expect(section.mpp).toBeCloseTo(1, 12);
      expect(section.pixelSpace).toBe('fullres');
      expect(section.spotDiameter).toBe(60);
      expect(section.notes.join(' ')).toMatch(/1 spots beside.*1 features.*1 gene names.*AAA/);
    },
  );

  it('gives the coordinates of the image asked for', async () => {
    await writeFile(join(folder, 'spatial/tissue_hires_image.png'), 'x');
    const full = await readVisium(folder);
    const hires = await readVisium(folder, { image: 'hires' });
    expect(hires.spots[4]!.x).toBe(full.spots[4]!.x / 2);
    expect(hires.mpp).toBeCloseTo(2, 12);
    expect(hires.imagePath).toBe(join(folder, 'spatial/tissue_hires_image.png'));
    await expectError(() => readVisium(folder, { image: 'lowres' }), 'not-visium', /lowres/);
  });

  it('finds columns by a header, and tells x from y', () => {
    const [line] = positionLines();
    const spots = parseTissuePositions(`${HEADER}\n${line}\n`, 'p.csv');
    expect(spots.get(expected.barcodes[0])).toMatchObject({ x: 100.25, y: 80.5 });
  });

  it.each([
    ['a wrong column', 'bad-spots', /pxl_row_in_fullres is "x"/, ['A,1,0,0,x,1']],
    ['a spot twice', 'duplicate-spot', /A twice/, ['A,1,0,0,1,1', 'A,1,0,1,1,2']],
    ['other barcodes', 'spots-mismatch', /0 of the 12 .*called A;.*ACGT0000-1/, ['A,1,0,0,1,1']],
  ] as const)('refuses positions with %s', async (_, code, text, lines) => {
    await writeFile(join(folder, 'spatial/tissue_positions_list.csv'), lines.join('\n'));
    await expectError(() => readVisium(folder), code, text);
  });

  it('notes barcodes without a position, and advises on Parquet', async () => {
    const lines = positionLines().slice(2).join('\n');
    await writeFile(join(folder, 'spatial/tissue_positions_list.csv'), lines);
    const { notes, spots } = await readVisium(folder);
    expect(spots).toHaveLength(9);
    expect(notes[0]).toMatch(/2 of the 12 spots .*ACGT0000-1, ACGT0001-1/);
    await rm(join(folder, 'spatial/tissue_positions_list.csv'));
    await writeFile(join(folder, 'spatial/tissue_positions.parquet'), 'PAR1');
    await expectError(() => readVisium(folder), 'parquet', /read_parquet/);
  });

  it('refuses positions that are a bomb', async () => {
    await rm(join(folder, 'spatial/tissue_positions_list.csv'));
    const positions = join(folder, 'spatial/tissue_positions_list.csv.gz');
    await writeFile(positions, gzipSync(Buffer.alloc(70 << 20, ','), { level: 1 }));
    await expectError(() => readVisium(folder), 'too-large', /more than 67108864 bytes/);
  });

  it('refuses a gzip file that is cut short', async () => {
    await asMex();
    const path = join(folder, 'filtered_feature_bc_matrix/matrix.mtx.gz');
    await writeFile(path, (await readFile(path)).subarray(0, 100));
    await expectError(() => readVisium(folder), 'bad-gzip', /cut short/);
  });

  it('refuses scale factors that are no positive numbers', async () => {
    const path = join(folder, 'spatial/scalefactors_json.json');
    await writeFile(path, JSON.stringify({ ...SCALES, tissue_hires_scalef: 0 }));
    await expectError(() => readVisium(folder), 'bad-scales', /tissue_hires_scalef/);
  });
});
