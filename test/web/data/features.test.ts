import { describe, expect, it } from 'vitest';
import { parseExpressionTable } from '../../../src/data/expression-table.ts';
import { keepingReader } from '../../../src/web/data/feature-files.ts';
import { openFiles } from '../../../src/web/data/index.ts';
import { readExpressionFile } from '../../../src/web/data/read-expression.ts';
import type { DroppedFile } from '../../../src/web/protocol.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { dropped, features, gzipped, model, png, safetensors } from './files.ts';
import { fixture } from './fixtures.ts';

const device = await testDevice();
const open = (files: readonly DroppedFile[]) => openFiles(files, {}, device, () => {});
const two = () => [
  dropped('uni/S1.safetensors', features(4, 3)),
  dropped('uni/S2.safetensors', features(5, 3, 100)),
];

describe('feature files with an expression table', () => {
  it('pairs slides and samples, and keeps the coordinates as squares', async () => {
    const tasks: string[] = [];
    const dataset = await openFiles(
      [
        ...two(),
        dropped('uni/S3.safetensors', features(2, 3)),
        dropped('bulk.tsv', await gzipped('gene\tS2\tS1\nESR1\t1\t2\nMKI67\t3\t-4\n')),
        dropped('who.csv', 'slide,patient\nS1,P\nS2,P\nS3,Q\n'),
      ],
      {},
      device,
      (label) => tasks.push(label),
    );
    const { summary, source, targets } = dataset;
    expect(summary).toMatchObject({
      title: 'bulk.tsv, 2 slides',
      kind: 'slides',
      simulated: false,
      genes: ['ESR1', 'MKI67'],
      patients: 1,
      samples: 2,
      features: { name: 'uni', width: 3 },
      unit: 'expression as in the table',
    });
    expect(summary.slides.map(({ id, places }) => [id, places])).toEqual([
      ['S1', 4],
      ['S2', 5],
    ]);
    expect(summary.notes.join()).toMatch(/2 of 3 slides have expression; left out: S3/);
    expect([...targets!]).toEqual([2, -4, 1, 3]);
    expect(dataset.transform).toBe('none');
    expect(tasks).toContain('Reading expression');
    expect(source.slides.map(({ patient }) => patient)).toEqual(['P', 'P']);
    const batches = [];
    for await (const batch of source.batches([[1, 0]])) batches.push(batch);
    expect([...batches[0]!.offsets]).toEqual([0, 5, 9]);
    expect(batches[0]!.features.slice(0, 2)).toEqual(Float32Array.of(100, 101));
    const sampled = [];
    for await (const batch of source.batches([[1]], { maxPatches: 2, seed: 3, epoch: 1 })) {
      sampled.push(batch.features.length);
    }
    expect(sampled).toEqual([6]);
    const places = await dataset.places(0);
    expect(places).toMatchObject({ slide: 'S1', shape: 'square', size: 256 });
    expect([...places.x]).toEqual([128, 384, 640, 128]);
    expect([...places.y]).toEqual([128, 128, 128, 384]);
    expect(dataset.observed(0, 0)).toBeNull();
    expect(dataset.reachable([0])).toBeNull();
    await expectError(() => dataset.pictureTile(0, 0, 0, 0), 'no-picture', /S1 has no picture/);
    await expectError(() => dataset.places(2), 'no-such-place', /no slide number 2/);
  });

  it('takes logarithms of counts, and says so', async () => {
    const table = dropped('bulk.csv', 'slide,ESR1\nS1,1023\nS2,0\n');
    const dataset = await open([...two(), table]);
    expect([...dataset.targets!]).toEqual([10, 0]);
    expect(dataset.transform).toBe('log2');
    expect(dataset.summary.unit).toBe('log2(1 + expression)');
    expect(dataset.summary.notes.join()).toMatch(/up to 1023/);
  });

  it('reads .h5 of CLAM, .npy and .pt, and marks what histograd simulated', async () => {
    const dataset = await open([
      dropped('A.h5', fixture('data/fixtures/clam.h5')),
      dropped('bulk.csv', 'slide,SIM_NUC_01\nA,1\n'),
    ]);
    expect(dataset.summary.simulated).toBe(true);
    const bag = await dataset.placeFeatures(0);
    expect(bag.features).toHaveLength(bag.rows * dataset.source.width);
    expect((await dataset.places(0)).x).toHaveLength(bag.rows);
    const npy = await open([
      dropped('A.npy', fixture('data/fixtures/half.npy')),
      dropped('bulk.csv', 'slide,ESR1\nA,1\n'),
    ]);
    expect(npy.summary.notes.join()).toMatch(/does not say where its patches lie/);
    expect((await npy.places(0)).size).toBe(1);
  });

  it('reads large tables in pieces as it reads small ones at once', async () => {
    const cell = (i: number) => (i % 7 === 0 ? `"${i}.25"` : `${i}.5`);
    const genes = Array.from({ length: 300 }, (_, g) => (g % 50 === 1 ? `"G,${g}"` : `Gé${g}`));
    const rows = Array.from({ length: 150 }, (_, r) => {
      const cells = genes.map((_, g) => cell((r * 31 + g) % 60));
      return `"S""${r}",${cells.join(',')}`;
    });
    const text = `id,${genes.join(',')}\r\n${rows.join('\r\n')}`;
    const expected = parseExpressionTable(text, 'b.csv');
    expect(expected.genes[1]).toBe('G,1');
    for (const content of [text, await gzipped(text)]) {
      const table = await readExpressionFile(dropped('b.csv', content), {}, () => {});
      expect(table).toEqual(expected);
    }
  });

  it('shows the slide that features are of', async () => {
    const dataset = await open([
      ...two(),
      dropped(
        'S1.png',
        png(30, 20, () => [9, 9, 9]),
      ),
      dropped(
        'other.png',
        png(30, 20, () => [9, 9, 9]),
      ),
      dropped('bulk.csv', 'slide,ESR1\nS1,1\nS2,2\n'),
    ]);
    expect(dataset.summary.slides.map(({ picture }) => picture?.width)).toEqual([30, undefined]);
    await dataset.close();
  });

  it('opens features with a model to predict', async () => {
    const narrow = [...two(), dropped('m.safetensors', model(9))];
    await expectError(() => open(narrow), 'width-mismatch', /width 9; those of uni\/S1.* have 3/);
    const dataset = await open([...two(), dropped('best.safetensors', model(3))]);
    expect(dataset.summary).toMatchObject({ kind: 'unlabelled', samples: 2, genes: [] });
    expect(dataset.targets).toBeNull();
    expect(dataset.model?.name).toBe('best.safetensors');
  });

  it('refuses what cannot be used, when it is opened or read', async () => {
    await expectError(() => open(two()), 'no-expression', /2 feature files/);
    await expectError(
      () => open([...two(), dropped('b.csv', 'slide,ESR1\nS1,1\nS2,\n')]),
      'bad-expression',
      /row S2, column ESR1 is missing/,
    );
    await expectError(
      async () =>
        open([
          ...two(),
          dropped(
            'b.csv.gz',
            (await gzipped('slide,ESR1\nS1,1\nS2,2\n'.repeat(9000))).slice(0, 60),
          ),
        ]),
      'no-expression',
      /no expression table/,
    );
    const nan = safetensors({
      features: { shape: [1, 3], data: Float32Array.of(1, Number.NaN, 2) },
    });
    // The last of the slides: before a training that would come upon it at its end.
    const files = [
      dropped('S3.safetensors', nan),
      dropped('b.csv', 'slide,ESR1\nS1,1\nS2,2\nS3,3\n'),
    ];
    await expectError(
      () => open([...two(), ...files]),
      'non-finite-feature',
      /S3[\s\S]*column 1[\s\S]*leave/,
    );
  });
});

describe('keepingReader', () => {
  it('reads again what does not fit', async () => {
    let reads = 0;
    const keep = keepingReader(40);
    const reader = (rows: number) =>
      keep(async () => {
        reads++;
        return { features: new Float32Array(rows), rows, width: 1 };
      });
    const [small, large, last] = [reader(6), reader(5), reader(4)];
    for (let i = 0; i < 2; i++) await Promise.all([small(), small()]);
    expect(reads).toBe(1);
    await large();
    await large();
    expect(reads).toBe(3);
    await last();
    await last();
    expect(reads).toBe(4);
  });

  it('forgets what failed', async () => {
    let fails = true;
    const read = keepingReader()(async () => {
      if (fails) throw new Error('busy');
      return { features: new Float32Array(1), rows: 1, width: 1 };
    });
    await expect(read()).rejects.toThrow('busy');
    fails = false;
    expect((await read()).rows).toBe(1);
  });
});
