import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeStBags } from '../../src/data/node/st-bags.ts';
import { parseSafetensors } from '../../src/data/safetensors.ts';
import { TILE_STATISTICS, tileStatistics } from '../../src/slides/tile-statistics.ts';
import { expectError } from './expect-error.ts';

const SIDE = 16;
const SYMBOLS = ['AAA', 'BBB', 'AAA', 'CCC'];
let folder: string;
let pack: string;
let out: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'histograd-st-'));
  pack = join(folder, 'pack');
  out = join(folder, 'out');
  await writePack();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Section {
  id: string;
  patient: string;
  /** Spots on a grid of this width and height. */
  width: number;
  height: number;
}
const SECTIONS: Section[] = [
  { id: 'P1', patient: 'P', width: 4, height: 2 },
  { id: 'P2', patient: 'P', width: 2, height: 2 },
  { id: 'Q1', patient: 'Q', width: 2, height: 2 },
];

/** Count of column `c` at spot `i` of any section. */
const count = (i: number, c: number) => [i, 8, 2 * i + 1, 300][c]!;

/** A miniature pack: spots on full grids, tiles of one grey value per spot. */
async function writePack(totalUmi = false): Promise<void> {
  await mkdir(join(pack, 'counts'), { recursive: true });
  await mkdir(join(pack, `crops${SIDE}`), { recursive: true });
  const sections = SECTIONS.map(({ id, patient, width, height }) => ({
    id,
    patient,
    spots: width * height,
  }));
  await writeFile(join(pack, 'sections.json'), JSON.stringify({ genes: 4, sections }));
  await writeFile(join(pack, 'genes.json'), JSON.stringify(SYMBOLS.map((symbol) => ({ symbol }))));
  const lines = [`section,index,array_x,array_y,px_x,px_y${totalUmi ? ',total_umi' : ''}`];
  for (const { id, width, height } of SECTIONS) {
    const n = width * height;
    const counts = new DataView(new ArrayBuffer(n * 4 * 2));
    const crops = new Uint8Array(n * SIDE * SIDE * 3);
    for (let i = 0; i < n; i++) {
      const [x, y] = [i % width, Math.floor(i / width)];
      lines.push(`${id},${i},${5 + x},${7 + y},${100 * x},${100 * y}${totalUmi ? ',5000' : ''}`);
      for (let c = 0; c < 4; c++) counts.setUint16((i * 4 + c) * 2, count(i, c), true);
      crops.fill(20 * (i + 1), i * SIDE * SIDE * 3, (i + 1) * SIDE * SIDE * 3);
    }
    const packed = gzipSync(new Uint8Array(counts.buffer));
    await writeFile(join(pack, 'counts', `${id}.u16.gz`), packed);
    await writeFile(join(pack, `crops${SIDE}`, `${id}.rgb.gz`), gzipSync(crops));
  }
  await writeFile(join(pack, 'spots.csv'), `${lines.join('\n')}\n`);
}

const text = (name: string) => readFile(join(out, name), 'utf8');
const rows = async (name: string) =>
  (await text(name))
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
const tensors = async (name: string) => parseSafetensors(await readFile(join(out, name)), name);

describe('makeStBags', () => {
  it('makes a bag per window, with summed and normalised counts', async () => {
    const summary = await makeStBags({ source: pack, out, window: 2 });
    expect(summary).toEqual({
      bags: 4,
      spots: 16,
      genes: 3,
      features: TILE_STATISTICS.length,
      sections: [
        { section: 'P1', patient: 'P', bags: 2 },
        { section: 'P2', patient: 'P', bags: 1 },
        { section: 'Q1', patient: 'Q', bags: 1 },
      ],
      sectionFolds: ['P1', 'P2'],
      patientFolds: ['P', 'Q'],
    });
    const [header, , second] = await rows('expression.csv');
    // The two columns AAA are one gene.
    expect(header).toEqual(['slide', 'AAA', 'BBB', 'CCC']);
    // Window x 7..8, y 7..8 of P1: spots 2, 3, 6, 7.
    const spots = [2, 3, 6, 7];
    const sum = (c: number) => spots.reduce((all, i) => all + count(i, c), 0);
    const total = sum(0) + sum(1) + sum(2) + sum(3);
    expect(second![0]).toBe('P1_x7_y7');
    expect(Number(second![1])).toBeCloseTo((1e4 * (sum(0) + sum(2))) / total, 3);
    expect(Number(second![3])).toBeCloseTo((1e4 * sum(3)) / total, 3);
  });

  it('writes the tiles of the window as features, in the order of spots.csv', async () => {
    await makeStBags({ source: pack, out, window: 2 });
    const { tensors: bag } = await tensors('features/P1_x7_y7.safetensors');
    expect(bag.get('features')!.shape).toEqual([4, TILE_STATISTICS.length]);
    expect([...bag.get('coords')!.data]).toEqual([200, 0, 300, 0, 200, 100, 300, 100]);
    const tile = new Uint8Array(SIDE * SIDE * 3).fill(20 * (3 + 1));
    const second = bag
      .get('features')!
      .data.slice(TILE_STATISTICS.length, 2 * TILE_STATISTICS.length);
    expect(second).toEqual(tileStatistics(tile, SIDE));
    const table = await rows('spots.csv');
    expect(table[0]!.join()).toBe('slide,row,section,index,array_x,array_y,total');
    expect(table.filter(([slide]) => slide === 'P1_x7_y7').map((line) => line[3])).toEqual([
      '2',
      '3',
      '6',
      '7',
    ]);
    const { tensors: spots, metadata } = await tensors('spot-expression.safetensors');
    const expression = spots.get('expression')!;
    expect(expression.shape).toEqual([16, 3]);
    expect(JSON.parse(metadata.genes!)).toEqual(['AAA', 'BBB', 'CCC']);
    const line = table.findIndex((row) => row[0] === 'P1_x7_y7' && row[3] === '6') - 1;
    const library = 6 + 8 + 13 + 300;
    expect(Number(expression.data[line * 3])).toBeCloseTo((1e4 * (6 + 13)) / library, 2);
    expect(table[line + 1]![6]).toBe(String(library));
  });

  it('writes patients and both kinds of split', async () => {
    await makeStBags({ source: pack, out, window: 2 });
    expect(await text('patients.csv')).toBe(
      'slide,patient,section\nP1_x5_y7,P,P1\nP1_x7_y7,P,P1\nP2_x5_y7,P,P2\nQ1_x5_y7,Q,Q1\n',
    );
    expect(await text('splits-section.csv')).toBe(
      'fold,slide,part\n0,P1_x5_y7,test\n0,P1_x7_y7,test\n0,P2_x5_y7,train\n' +
        '1,P1_x5_y7,train\n1,P1_x7_y7,train\n1,P2_x5_y7,test\n',
    );
    const byPatient = await rows('splits-patient.csv');
    expect(byPatient.filter(([fold]) => fold === '1').map((line) => line[2])).toEqual([
      'train',
      'train',
      'train',
      'test',
    ]);
  });

  it('leaves a split out that has nothing to leave out', async () => {
    const summary = await makeStBags({ source: pack, out, window: 2, sections: ['P2'] });
    expect(summary.patientFolds).toEqual([]);
    expect((await readdir(out)).sort()).toEqual([
      'README.txt',
      'expression.csv',
      'features',
      'manifest.json',
      'patients.csv',
      'spot-expression.safetensors',
      'spots.csv',
    ]);
  });

  it('uses total_umi as the library where the pack has it', async () => {
    await writePack(true);
    await makeStBags({ source: pack, out, window: 2, sections: ['Q1'] });
    const [, bag] = await rows('expression.csv');
    expect(Number(bag![2])).toBeCloseTo((1e4 * 4 * 8) / (4 * 5000), 4);
    expect(JSON.parse(await text('manifest.json')).library).toMatch('total_umi');
  });

  it('takes one-spot bags, overlapping windows and a minimum of spots', async () => {
    const one = await makeStBags({ source: pack, out: join(out, '1'), window: 1 });
    expect([one.bags, one.spots]).toEqual([16, 16]);
    const slides = { source: pack, window: 2, stride: 1 };
    const full = await makeStBags({ ...slides, out: join(out, '2'), minSpots: 4 });
    expect(full.sections.map(({ bags }) => bags)).toEqual([3, 1, 1]);
    const half = await makeStBags({ ...slides, out: join(out, '3') });
    // Half of the fullest window's 4 spots.
    expect(half.sections.map(({ bags }) => bags)).toEqual([7, 3, 3]);
  });

  it('takes the genes with the highest mean counts, the pack knowing best', async () => {
    const top = { source: pack, window: 2 };
    // BBB has a mean of 8; the columns of AAA have 2.8 and 5.7, but together 8.5.
    await makeStBags({ ...top, out: join(out, '1'), genes: 'top2' });
    expect((await text('1/expression.csv')).split('\n')[0]).toBe('slide,CCC,AAA');
    const ranked = SYMBOLS.map((symbol, c) => ({ symbol, rank_by_mean: [3, 0, 1, 2][c] }));
    await writeFile(join(pack, 'genes.json'), JSON.stringify(ranked));
    await makeStBags({ ...top, out: join(out, '2'), genes: 2 });
    expect((await text('2/expression.csv')).split('\n')[0]).toBe('slide,BBB,AAA');
  });

  it('drops spots with few counts', async () => {
    // Spot 0 has 0 + 8 + 1 + 300 counts, spot 1 three more.
    const summary = await makeStBags({
      source: pack,
      out,
      window: 1,
      minCounts: 310,
      sections: ['Q1'],
    });
    expect(summary.bags).toBe(3);
  });

  it('records where the bags come from, and gives the same bytes again', async () => {
    await makeStBags({ source: pack, out: join(out, '1'), window: 2, seed: 4 });
    await makeStBags({ source: pack, out: join(out, '2'), window: 2, seed: 4 });
    const manifest = JSON.parse(await text('1/manifest.json'));
    expect(manifest.extractor).toMatchObject({ name: 'tile-statistics', columns: TILE_STATISTICS });
    expect(manifest.settings).toEqual({
      window: 2,
      stride: 2,
      minSpots: 2,
      minCounts: 1,
      genes: 'all',
      seed: 4,
      validation: false,
    });
    expect(manifest.joinedSymbols).toEqual(['AAA']);
    for (const name of await readdir(join(out, '1'), { recursive: true })) {
      if (name === 'features') continue;
      expect(await readFile(join(out, '2', name)), name).toEqual(
        await readFile(join(out, '1', name)),
      );
    }
  });
});

describe('makeStBags with bad input', () => {
  const make = (more: Partial<Parameters<typeof makeStBags>[0]> = {}) =>
    makeStBags({ source: pack, out, window: 2, ...more });
  const replace = (name: string, content: string | Uint8Array) =>
    writeFile(join(pack, name), content);

  it('names a file that is missing', async () => {
    await rm(join(pack, 'counts', 'P2.u16.gz'));
    await expectError(() => make(), 'no-file', /counts\/P2\.u16\.gz does not exist/);
    await rm(join(pack, 'spots.csv'));
    await expectError(() => make(), 'no-file', /spots\.csv/);
    await expectError(() => make({ source: join(folder, 'nowhere') }), 'no-file', /nowhere/);
  });

  it('checks the size of counts and crops', async () => {
    await replace('counts/P1.u16.gz', gzipSync(new Uint8Array(62)));
    await expectError(() => make(), 'bad-pack', /expected 64 bytes .*8 spots x 4 genes.*found 62/);
    await writePack();
    await replace(`crops${SIDE}/P2.rgb.gz`, gzipSync(new Uint8Array(100)));
    await expectError(() => make(), 'bad-pack', /P2\.rgb\.gz: expected 3072 bytes.*found 100/);
    await writePack();
    await replace('counts/P1.u16.gz', 'not gzip');
    await expectError(() => make({ out: join(folder, 'b') }), 'bad-pack', /cannot be decompressed/);
  });

  it('checks sections.json and genes.json', async () => {
    const cases: [string, string, RegExp][] = [
      ['sections.json', '{"sections": [', /sections\.json: not JSON/],
      ['sections.json', '{"sections": []}', /at sections/],
      ['sections.json', '{"sections": [{"id": "../x", "spots": 3}]}', /sections\.0\.id: expected/],
      ['sections.json', '{"sections": [{"id": "x", "spots": 3}]}', /neither "patient" nor/],
      [
        'sections.json',
        '{"sections": [{"id":"x","patient":1,"spots":3},{"id":"x","patient":1,"spots":3}]}',
        /section x is listed twice/,
      ],
      ['genes.json', '[{"name": "AAA"}]', /genes\.json: at 0\.symbol/],
    ];
    for (const [name, content, expected] of cases) {
      await writePack();
      await replace(name, content);
      await expectError(() => make(), 'bad-pack', expected);
    }
  });

  it('checks spots.csv', async () => {
    const header = 'section,index,array_x,array_y,px_x,px_y\n';
    const cases: [string, RegExp][] = [
      ['section,index,array_x,px_x,px_y\n', /column "array_y" is missing/],
      [`${header}P1,0,5,,0,0\n`, /row 2: "array_y" is "", expected a number/],
      [`${header}P1,1,5,7,0,0\n`, /row 2: spot 1 of section P1 where spot 0/],
      [`${header}P1,0,5,7,0,0\n`, /section P1 has 1 rows, 8 are announced/],
    ];
    for (const [content, expected] of cases) {
      await replace('spots.csv', content);
      await expectError(() => make(), 'bad-pack', expected);
    }
  });

  it('names unknown sections and sections without crops', async () => {
    await expectError(
      () => make({ sections: ['P1', 'P9'] }),
      'unknown-section',
      /has no section P9[\s\S]*P1, P2, Q1/,
    );
    await rm(join(pack, `crops${SIDE}`, 'P2.rgb.gz'));
    await expectError(
      () => make({ sections: ['P2'] }),
      'unknown-section',
      /P2 has no tile crops[\s\S]*P1, Q1/,
    );
    expect((await make()).sections.map(({ section }) => section)).toEqual(['P1', 'Q1']);
  });

  it('asks for crops', async () => {
    await expectError(() => make({ crops: 'images' }), 'no-crops', /images is no folder of crops/);
    await expectError(() => make({ crops: 'crops99' }), 'no-file', /crops99/);
    await rm(join(pack, `crops${SIDE}`), { recursive: true });
    await expectError(() => make(), 'no-crops', /has no folder crops<side>/);
  });

  it('refuses options that give no bags or make no sense', async () => {
    await expectError(
      () => make({ minSpots: 5 }),
      'no-bags',
      /No window of 2 x 2 has 5 spots or more; the fullest has 4/,
    );
    await expectError(() => make({ minCounts: 10_000 }), 'no-bags', /fullest has 0/);
    await expectError(() => make({ window: 0 }), 'bad-option', /window is 0/);
    await expectError(() => make({ stride: 1.5 }), 'bad-option', /stride is 1.5/);
    await expectError(() => make({ genes: 'best' }), 'bad-option', /genes is best, expected "all"/);
    await expectError(() => make({ genes: 9 }), 'bad-option', /genes is 9.*pack's 3 genes/);
    expect(existsSync(out)).toBe(false);
  });

  it('does not mix bags with what a folder already holds', async () => {
    await make();
    await expectError(() => make(), 'out-not-empty', /README\.txt/);
  });
});

const MOB = join('..', 'shared', 'data', 'mob-mini');

describe('real tissue', () => {
  it.skipIf(!existsSync(MOB))('makes bags of the mouse olfactory bulb', async () => {
    const summary = await makeStBags({ source: MOB, out, window: 4, genes: 'top250' });
    expect(summary).toMatchObject({ bags: 160, genes: 250, patientFolds: ['1', '2'] });
    expect((await rows('expression.csv')).length).toBe(161);
  });
});
