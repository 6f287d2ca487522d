import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStSpots } from '../../../src/data/node/st-spots.ts';
import { expectError } from '../expect-error.ts';

const SIDE = 4;
/** Counts of three genes at the spots of a section. */
const SECTIONS = {
  P1: [
    [1, 20, 3],
    [0, 10, 5],
  ],
  Q1: [[9, 30, 1]],
};
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-spots-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function writePack(ranks?: number[], totalUmi?: number): Promise<void> {
  await mkdir(join(folder, 'counts'));
  await mkdir(join(folder, `crops${SIDE}`));
  const genes = ['A', 'B', 'C'].map((symbol, i) => ({
    symbol,
    ...(ranks ? { rank_by_mean: ranks[i] } : {}),
  }));
  const sections = Object.entries(SECTIONS).map(([id, counts]) => ({
    id,
    patient: id[0],
    spots: counts.length,
  }));
  await writeFile(join(folder, 'genes.json'), JSON.stringify(genes));
  await writeFile(join(folder, 'sections.json'), JSON.stringify({ sections }));
  const total = totalUmi === undefined ? ['', ''] : [',total_umi', `,${totalUmi}`];
  const lines = [`section,index,array_x,array_y,px_x,px_y${total[0]}`];
  for (const [id, counts] of Object.entries(SECTIONS)) {
    for (const i of counts.keys()) lines.push(`${id},${i},${i},0,${10 * i},5${total[1]}`);
    const bytes = new Uint8Array(Uint16Array.from(counts.flat()).buffer);
    await writeFile(join(folder, 'counts', `${id}.u16.gz`), gzipSync(bytes));
    const crops = Uint8Array.from({ length: counts.length * SIDE * SIDE * 3 }, (_, i) => i % 251);
    await writeFile(join(folder, `crops${SIDE}`, `${id}.rgb.gz`), gzipSync(crops));
  }
  await writeFile(join(folder, 'spots.csv'), `${lines.join('\n')}\n`);
}

const logged = (count: number, total: number) => Math.fround(Math.log1p((count * 1e4) / total));

describe('readStSpots', () => {
  it('reads crops and log counts per 10,000 of the genes with the highest mean', async () => {
    await writePack();
    const { genes, side, sections } = await readStSpots(folder, 2);
    expect(genes).toEqual(['B', 'A']);
    expect(side).toBe(SIDE);
    const [p, q] = sections;
    expect([p!.id, p!.patient, p!.spots, q!.id, q!.spots]).toEqual(['P1', 'P', 2, 'Q1', 1]);
    expect(p!.crops.length).toBe(2 * SIDE * SIDE * 3);
    expect([...p!.crops.subarray(0, 3)]).toEqual([0, 1, 2]);
    const expected = [logged(20, 24), logged(1, 24), logged(10, 15), logged(0, 15)];
    for (const [i, value] of p!.expression.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
    expect(q!.expression[1]).toBeCloseTo(logged(9, 40), 5);
  });

  it('goes by the ranks and molecules that the pack knows', async () => {
    await writePack([2, 1, 0], 5000);
    const { genes, sections } = await readStSpots(folder, 2, ['Q1']);
    expect(genes).toEqual(['C', 'B']);
    expect(sections.map(({ id }) => id)).toEqual(['Q1']);
    expect(sections[0]!.expression[0]).toBeCloseTo(logged(1, 5000), 5);
  });

  it('says how many genes there are', async () => {
    await writePack([0, 1, 2]);
    await expectError(() => readStSpots(folder, 4), 'too-few-genes', 'has 3 genes');
  });

  it.skipIf(!existsSync('../shared/data/mob-mini'))('reads mouse olfactory bulb', async () => {
    const { genes, side, sections } = await readStSpots('../shared/data/mob-mini', 250);
    expect(genes.length).toBe(250);
    expect(side).toBe(32);
    expect(sections.map(({ spots, patient }) => [spots, patient])).toEqual([
      [379, '1'],
      [407, '1'],
      [438, '2'],
    ]);
  });
});
