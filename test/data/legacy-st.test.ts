import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { legacyCountsReader } from '../../src/data/legacy-counts.ts';
import { parseAlignment, parseSpotFile } from '../../src/data/legacy-st.ts';
import {
  listLegacySections,
  readLegacySection,
  readLegacySt,
} from '../../src/data/node/legacy-st-folder.ts';
import { readPackSection } from '../../src/data/node/pack-section.ts';
import { rowSums } from '../../src/data/sparse-rows.ts';
import { expectError } from './expect-error.ts';

const COUNTS = '\tAAA\tBBB\tAAA\n2x3\t1\t0\t5\n3x3\t0\t0\t2\n2x4\t7\t1\t0\n9x9\t1\t1\t1\n';
const SPOTS = [
  'x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected',
  '2\t3\t2.01\t3.02\t100.5\t200.5\t1',
  '3\t3\t3.01\t3.02\t150.5\t200.5\t1',
  '2\t4\t2.01\t4.02\t100.5\t250.5\t0',
].join('\n');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-legacy-'));
  for (const name of ['ST-cnts', 'ST-spotfiles', 'ST-imgs/A/A1']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await writeFile(join(folder, 'ST-cnts/A1.tsv.gz'), gzipSync(COUNTS));
  await writeFile(join(folder, 'ST-spotfiles/A1_selection.tsv'), SPOTS);
  await writeFile(join(folder, 'ST-imgs/A/A1/HE.jpg'), 'x');
  await writeFile(join(folder, 'ST-imgs/A10.jpg'), 'x');
  await symlink(join(folder, 'ST-imgs'), join(folder, 'ST-imgs/A/loop'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const parse = (text: string, pieces = 9) => {
  const reader = legacyCountsReader('c.tsv');
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += pieces) reader.push(bytes.subarray(at, at + pieces));
  return reader.finish();
};

describe('readLegacySt', () => {
  it('reads the her2st layout', async () => {
    expect(await listLegacySections(folder)).toEqual(['A1']);
    const section = await readLegacySt(folder, 'A1');
    expect(section.spots).toEqual([
      { id: '2x3', x: 100.5, y: 200.5, row: 3, column: 2, inTissue: true },
      { id: '3x3', x: 150.5, y: 200.5, row: 3, column: 3, inTissue: true },
    ]);
    expect(section.genes).toEqual(['AAA', 'BBB', 'AAA-1']);
    expect([...section.counts.starts]).toEqual([0, 2, 3]);
    expect([...section.counts.values]).toEqual([1, 5, 2]);
    // 50 pixels are 200 um.
    expect(section.mpp).toBe(4);
    expect(section.spotDiameter).toBe(25);
    expect(section.imagePath).toBe(join(folder, 'ST-imgs/A/A1/HE.jpg'));
    expect(section.notes.join(' ')).toMatch(/1 of the 4 .*9x9.*1 spots are not selected.*AAA/);
    await expectError(() => readLegacySt(folder, 'B1'), 'unknown-section', /A1.tsv.gz/);
  });

  it('places a table named by adjusted positions, or by an alignment', async () => {
    const counts = join(folder, 'c.tsv');
    await writeFile(
      counts,
      COUNTS.replace('2x3', '2.01x3.02').replace('3x3', '3.01x3.02').replace('2x4', '2.01x4.02'),
    );
    const spots = join(folder, 'ST-spotfiles/A1_selection.tsv');
    const adjusted = await readLegacySection({ name: 'A1', counts, spots });
    expect(adjusted.spots.map(({ x }) => x)).toEqual([100.5, 150.5]);
    const alignment = join(folder, 'alignment.txt');
    await writeFile(alignment, '10 0 0 0 20 0 -5 7 1\n');
    const aligned = await readLegacySection({ name: 'A1', counts, alignment });
    expect(aligned.spots[0]!.x).toBeCloseTo(15.1, 9);
    expect(aligned.spots[0]!.y).toBeCloseTo(67.4, 9);
    await expectError(() => readLegacySection({ name: 'A1', counts }), 'no-positions', /A1/);
  });
});

describe('tables', () => {
  it('reads genes as rows, too', () => {
    const { ids, genes, counts } = parse('gene,2x3,3x3\nAAA,1,0\nBBB,4,6\n');
    expect([ids, genes]).toEqual([
      ['2x3', '3x3'],
      ['AAA', 'BBB'],
    ]);
    expect([...counts.values]).toEqual([1, 4, 6]);
  });

  it.each([
    ['a negative count', '\tA\n2x3\t-1\n', 'bad-counts', /-1/],
    ['NaN', '\tA\n2x3\tNaN\n', 'bad-counts', /row 2x3, column A/],
    ['a fraction', '\tA\n2x3\t1.5\n', 'not-counts', /1.5/],
    ['a short row', '\tA\tB\n2x3\t1\t2\n2x4\t1\n', 'bad-counts', /2x4 has 1 values/],
    ['a spot twice', '\tA\n2x3\t1\n2x3\t1\n', 'duplicate-spot', /2x3/],
    ['no spots', '\tA\nfoo\t1\n', 'bad-counts', /foo/],
  ] as const)('refuses %s', async (_, text, code, message) => {
    await expectError(() => parse(text), code, message);
  });

  it('stops at blank lines, and at a line, without end', async () => {
    const endless = (first: string, line: string) => () => {
      const reader = legacyCountsReader('c.tsv');
      const bytes = new TextEncoder().encode(line.repeat(10_000));
      reader.push(new TextEncoder().encode(first));
      for (let i = 0; i < 1000; i++) reader.push(bytes);
    };
    await expectError(endless('\tA\n', '\n'), 'bad-counts', /more than 1048576 lines/);
    await expectError(endless('\tA', '\tA'), 'bad-counts', /line is longer/);
  });

  it('refuses spot files without positions, and alignments that are none', async () => {
    await expectError(() => parseSpotFile('x\ty\n1\t2\n', 's.tsv'), 'bad-spots', /pixel_x/);
    await expectError(() => parseAlignment('1 2 3', 'a'), 'bad-alignment', /9 numbers/);
    await expectError(() => parseAlignment('0 0 0 0 1 0 0 0 1', 'a'), 'bad-alignment', /one line/);
    expect(parseAlignment('1 2 30 4 5 60 0 0 1', 'a')).toEqual([1, 2, 30, 4, 5, 60]);
    expect(parseAlignment('1 2 0 4 5 0 30 60 1', 'a')).toEqual([1, 4, 30, 2, 5, 60]);
  });
});

describe('readPackSection', () => {
  it.skipIf(!existsSync('../shared/data/her2st-mini'))('reads her2st-mini', async () => {
    const section = await readPackSection('../shared/data/her2st-mini', 'A1');
    expect(section.spots).toHaveLength(346);
    // x2000, y2000 of spots.csv
    expect(section.spots[0]!.x).toBeCloseTo(1308.69, 1);
    expect(section.spots[0]!.y).toBeCloseTo(688.54, 1);
    expect(section.mpp).toBe(3.2);
    expect(section.totals?.[0]).toBe(4538);
    expect(rowSums(section.counts)[0]).toBeLessThan(4538);
  });

  it.skipIf(!existsSync('../shared/data/mob-mini'))('reads mob-mini', async () => {
    const section = await readPackSection('../shared/data/mob-mini', 'MOB1');
    // total_counts_1000genes of spots.csv
    expect([...rowSums(section.counts).slice(0, 4)]).toEqual([1502, 1996, 1539, 1658]);
    expect(section.spots[0]).toMatchObject({ x: 506.2, y: 721, column: 12, row: 28 });
  });
});
