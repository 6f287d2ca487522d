import { describe, expect, it } from 'vitest';
import { spotCrops } from '../../../src/data/spot-crops.ts';
import { ViT } from '../../../src/models/extractors/vit.ts';
import { openSlide } from '../../../src/slides/open-slide.ts';
import { tileStatistics } from '../../../src/slides/tile-statistics.ts';
import { Generator } from '../../../src/tensor/random.ts';
import { inspectFiles, openFiles } from '../../../src/web/data/index.ts';
import type { DroppedFile, OpenOptions } from '../../../src/web/protocol.ts';
import { expectError } from '../../data/expect-error.ts';
import { testDevice } from '../../device.ts';
import { dropped, gzipped, h5, model, png, safetensors, tissue } from './files.ts';
import { fixture } from './fixtures.ts';

const device = await testDevice();
const open = (files: readonly DroppedFile[], options: OpenOptions = {}) =>
  openFiles(files, options, device, () => {});

/** Twelve spots by nine features, made by scipy (`make_fixtures.py`). */
const expected: {
  barcodes: string[];
  names: string[];
  ids: string[];
  array: [number, number][];
  xy: [number, number][];
} = JSON.parse(new TextDecoder().decode(fixture('data/fixtures/spots/expected.json')));
const IMAGE = png(520, 320, tissue);
const SCALES = JSON.stringify({
  tissue_hires_scalef: 0.5,
  tissue_lowres_scalef: 0.1,
  spot_diameter_fullres: 60,
});
const POSITIONS = expected.barcodes
  .map((barcode, i) => {
    const [row, column] = expected.array[i]!;
    const [x, y] = expected.xy[i]!;
    return `${barcode},1,${row},${column},${y},${x}`;
  })
  .join('\n');

function visium(
  root: string,
  image: readonly [string, Uint8Array<ArrayBuffer>] = ['HE.png', IMAGE],
) {
  return [
    dropped(`${root}/spatial/tissue_positions_list.csv`, POSITIONS),
    dropped(`${root}/spatial/scalefactors_json.json`, SCALES),
    dropped(`${root}/spatial/aligned_fiducials.jpg`, IMAGE),
    dropped(
      `${root}/filtered_feature_bc_matrix.h5`,
      fixture('data/fixtures/spots/filtered_feature_bc_matrix.h5'),
    ),
    dropped(`${root}/${image[0]}`, image[1]),
  ];
}

/** A section of 5 x 4 spots, 40 pixels apart. */
function legacy(name: string, genes = ['AAA', 'BBB', 'CCC']) {
  const spots = Array.from({ length: 20 }, (_, i) => [1 + (i % 5), 1 + Math.floor(i / 5)] as const);
  const counts = spots.map(
    ([x, y], i) => `${x}x${y}\t${genes.map((_, g) => (g === 0 ? i : g + 1)).join('\t')}`,
  );
  const places = spots.map(([x, y]) => `${x}\t${y}\t${40 * x}\t${40 * y}`);
  return [
    dropped(`ST-cnts/${name}.tsv`, `\t${genes.join('\t')}\n${counts.join('\n')}\n`),
    dropped(`ST-spotfiles/${name}_selection.tsv`, `x\ty\tpixel_x\tpixel_y\n${places.join('\n')}\n`),
    dropped(`ST-imgs/${name}_HE.png`, png(260, 220, tissue)),
  ];
}

describe('sections with spots', () => {
  it('reads a Visium folder: counts, places and what lies around each spot', async () => {
    const files = visium('P7_section_1/outs');
    expect(await inspectFiles(files)).toMatchObject({
      opens: 'spots',
      geneCount: 9,
      problem: null,
    });
    const dataset = await open(files);
    const { summary, source, targets } = dataset;
    expect(summary).toMatchObject({
      title: 'P7_section_1',
      kind: 'spots',
      samples: 11,
      patients: 1,
      unit: 'log2(1 + counts per 10,000)',
      features: { name: 'tile statistics', width: 75 },
    });
    expect(summary.slides[0]).toMatchObject({
      patient: 'P7',
      places: 11,
      mpp: 1,
      picture: { width: 520, height: 320, tileSize: 256, levels: 3 },
    });
    // Eight genes; the antibody is none.
    expect(summary.genes).toHaveLength(8);
    expect(summary.notes.join(' ')).toMatch(/features that are not genes.*guessed from the names/);
    const places = await dataset.places(0);
    expect(places).toMatchObject({ shape: 'circle', size: 60 });
    const first = places.names.indexOf('ACGT0000-1');
    expect([places.x[first], places.y[first]]).toEqual([100.25, 80.5]);
    // Spot 0 has 70,000 of AAA and 2 of EEE.
    const gene = summary.genes.indexOf('AAA');
    const truth = Math.log2(1 + (70_000 / 70_002) * 10_000);
    expect(targets![first * 8 + gene]).toBeCloseTo(truth, 4);
    expect(dataset.observed(0, gene)![first]).toBeCloseTo(truth, 4);
    expect(source.settings).toMatchObject({
      extractor: 'tile-statistics',
      tiling: { size: 64, mpp: 1.6 },
    });

    const slide = await openSlide(IMAGE, { name: 'HE.png' });
    const [x = 0, y = 0] = [places.x[first], places.y[first]];
    const spot = { id: 'a', x, y, row: 0, column: 0, inTissue: true };
    const section = {
      name: 's',
      spots: [spot],
      genes: [],
      pixelSpace: 'image' as const,
      notes: [],
    };
    const empty = {
      rows: 1,
      columns: 0,
      starts: new Uint32Array(2),
      columnIndex: new Uint32Array(0),
      values: new Float32Array(0),
    };
    const crops = spotCrops(
      slide,
      { ...section, counts: empty },
      { size: 64, mpp: 1.6, mppOverride: 1 },
    );
    for await (const { image } of crops) {
      const own = (await dataset.placeFeatures(0)).features.slice(first * 75, (first + 1) * 75);
      expect(own).toEqual(tileStatistics(image.data, 64));
    }
    const batches = [];
    for await (const batch of source.batches([[2, 1]])) batches.push(batch);
    const { features } = await dataset.placeFeatures(0);
    expect(batches[0]!.features).toEqual(
      Float32Array.from([...features.slice(150, 225), ...features.slice(75, 150)]),
    );
  });

  it('reads the folder of MatrixMarket, with the reduced image', async () => {
    const files = visium('V', ['spatial/tissue_hires_image.png', png(260, 160, tissue)]).filter(
      ({ path }) => !path.endsWith('.h5'),
    );
    const mex = 'V/filtered_feature_bc_matrix';
    const list = expected.names.map(
      (name, i) =>
        `${expected.ids[i]}\t${name}\t${i === 8 ? 'Antibody Capture' : 'Gene Expression'}\n`,
    );
    const dataset = await open([
      ...files,
      dropped(`${mex}/matrix.mtx.gz`, fixture('data/fixtures/spots/matrix.mtx.gz')),
      dropped(`${mex}/barcodes.tsv.gz`, await gzipped(`${expected.barcodes.join('\n')}\n`)),
      dropped(`${mex}/features.tsv.gz`, await gzipped(list.join(''))),
    ]);
    const places = await dataset.places(0);
    expect(places.x[places.names.indexOf('ACGT0000-1')]).toBe(100.25 / 2);
    expect(dataset.summary.slides[0]).toMatchObject({ mpp: 2, picture: { width: 260 } });
    const h5 = await open(visium('V'));
    expect([...dataset.targets!].sort()).toEqual([...h5.targets!].sort());
  });

  it('reads .h5ad files with their image', async () => {
    const files = [
      dropped('s.h5ad', fixture('data/fixtures/spots/csr.h5ad')),
      dropped('s.png', IMAGE),
    ];
    const dataset = await open(files);
    expect(dataset.summary).toMatchObject({ title: 's', samples: 10 });
    // Its own image is of 8 x 6 pixels: the spots lie elsewhere.
    await expectError(() => open(files.slice(0, 1)), 'spots-outside', /hires pixels/);
    const bare = await h5((file) => {
      file.create_group('obs');
      file.create_group('var');
    });
    await expectError(() => open([dropped('l.h5ad', bare)]), 'no-image', /l has no image/);
  });

  it('reads several legacy sections, the most expressed genes, and patients from a table', async () => {
    const files = [...legacy('A1'), ...legacy('A2', ['AAA', 'CCC', 'BBB', 'DDD']), ...legacy('B1')];
    const dataset = await open(files, { genes: 2 });
    expect(dataset.summary).toMatchObject({ samples: 60, patients: 2, genes: ['AAA', 'CCC'] });
    expect(dataset.summary.notes.join(' ')).toMatch(/2 most expressed of 3 genes/);
    expect(dataset.summary.notes.join(' ')).toMatch(/A1 is of A/);
    expect([...new Set(dataset.slideOfSample)]).toEqual([0, 1, 2]);
    expect(dataset.source.slides.at(-1)?.patient).toBe('B');
    const table = dropped('who.csv', 'slide,patient\nA1,x\nA2,y\nB1,z\n');
    expect((await open([...files, table])).summary.patients).toBe(3);
    await expectError(() => open(files, { genes: 0.5 }), 'bad-option', /genes is 0\.5/);
  });

  it('scales by all genes of a spot, however few are kept', async () => {
    const genes = Array.from({ length: 1200 }, (_, i) => `G${i}`);
    const files = [...legacy('A1', genes), ...legacy('B1', genes.toReversed())];
    const dataset = await open(files, { genes: 2 });
    // Gene g has g + 1 counts in A1 and 1,200 - g in B1: the middle ones are not the top of either.
    expect(dataset.summary.notes.join(' ')).toMatch(/2 most expressed of 1,200 genes/);
    const names = (await dataset.places(0)).names;
    const [x = 0, y = 0] = names[0]!.split('x').map(Number);
    const first = x - 1 + 5 * (y - 1);
    const total = first + (1200 * 1201) / 2 - 1;
    const gene = dataset.summary.genes[0]!;
    const count = Number(gene.slice(1)) + 1;
    expect(dataset.observed(0, 0)![0]).toBeCloseTo(Math.log2(1 + (count / total) * 10_000), 4);
  });

  it('reads packs, without the sections that lack an image', async () => {
    const rows = [0, 1, 2, 3].map(
      (i) =>
        `A,P,${i},${i % 2},${Math.floor(i / 2)},${20 + 30 * (i % 2)},${20 + 30 * Math.floor(i / 2)}`,
    );
    const counts = await gzipped(new Uint8Array(Uint16Array.of(5, 1, 0, 2, 3, 4, 9, 1).buffer));
    const files = [
      dropped(
        'pack/sections.json',
        JSON.stringify({
          sections: [
            { id: 'A', patient: 'P', spots: 4, image: 'images/A.png' },
            { id: 'B', patient: 'P', spots: 4 },
          ],
        }),
      ),
      dropped('pack/genes.json', JSON.stringify([{ symbol: 'ESR1' }, { symbol: 'MKI67' }])),
      dropped(
        'pack/spots.csv',
        `section,patient,index,array_x,array_y,px_x,px_y\n${rows.join('\n')}\n`,
      ),
      dropped('pack/counts/A.u16.gz', counts),
      dropped('pack/crops32/A.rgb.gz', await gzipped('xx')),
      dropped('pack/images/A.png', png(70, 70, tissue)),
    ];
    const intake = await inspectFiles(files);
    expect(intake.files.map(({ role }) => role)).toEqual([
      'counts',
      'ignored',
      'counts',
      'section image',
      'spots',
      'spots',
    ]);
    const dataset = await open(files);
    expect(dataset.summary).toMatchObject({ samples: 4, genes: ['ESR1', 'MKI67'] });
    expect(dataset.summary.slides[0]).toMatchObject({ patient: 'P', mpp: null });
    expect(dataset.summary.notes).toContain('Left out: section B of the pack has no counts.');
    expect(dataset.source.settings).toMatchObject({ tiling: { size: 30, pitches: 1 } });
    expect([...dataset.observed(0, 0)!][0]).toBeCloseTo(Math.log2(1 + 50_000 / 6), 4);
    await expectError(
      async () =>
        open(
          files.map((file) => (file.path.endsWith('u16.gz') ? dropped(file.path, 'plain') : file)),
        ),
      'bad-pack',
      /expected 16 bytes/,
    );
  });

  it('describes spots by a network whose weights came along', async () => {
    const shapes = {
      width: 64,
      depth: 1,
      heads: 1,
      hidden: 16,
      patch: 16,
      size: 32,
      layerScale: null,
    };
    const net = new ViT({ device, generator: new Generator(1) }, shapes);
    const weights = safetensors(Object.fromEntries(await net.stateDict()));
    net.dispose();
    const files = [...legacy('A1'), dropped('tiny.safetensors', weights)];
    expect((await inspectFiles(files)).files.at(-1)).toMatchObject({ role: 'weights' });
    const dataset = await open(files);
    expect(dataset.summary.features).toEqual({ name: 'ViT-S/16', width: 64 });
    expect(dataset.source.settings).toMatchObject({
      extractor: 'vit-s16',
      tiling: { size: 40, mpp: 5 },
    });
    const { features } = await dataset.placeFeatures(0);
    expect(new Set(features.slice(0, 64)).size).toBeGreaterThan(1);
    expect(features.slice(0, 64)).not.toEqual(features.slice(64, 128));
  });

  it('cuts spots as a model asks for', async () => {
    const made = {
      format: 1,
      extractor: 'tile-statistics',
      version: 1,
      tiling: { size: 20, mpp: 10 },
    };
    const files = [...legacy('A1'), dropped('best.safetensors', model(75, made))];
    const dataset = await open(files);
    expect(dataset.source.settings).toEqual(made);
    expect(dataset.model?.name).toBe('best.safetensors');
  });

  it('refuses sections that do not fit', async () => {
    await expectError(
      () => open([...legacy('A1'), ...legacy('B1', ['X', 'Y'])]),
      'no-shared-genes',
      /A1 \(AAA.*B1 \(X/,
    );
    const small = legacy('A1').map((file) =>
      file.path.endsWith('.png') ? dropped(file.path, png(100, 90, tissue)) : file,
    );
    await expectError(() => open(small), 'spots-outside', /100 x 90 pixels/);
    const [counts, spots, image] = legacy('A1');
    const other = dropped('ST-cnts/A1.tsv', '\tAAA\n77x3\t1\n78x3\t2\n');
    await expectError(() => open([other, spots!, image!]), 'spots-mismatch', /0 of the 2 spots/);
    const fractions = dropped('ST-cnts/A1.tsv', '\tAAA\n1x1\t0.5\n2x1\t2\n');
    await expectError(() => open([fractions, spots!, image!]), 'not-counts', /0\.5/);
    const zeros = dropped('ST-cnts/A1.tsv', '\tAAA\n1x1\t0\n2x1\t0\n');
    await expectError(() => open([zeros, spots!, image!]), 'empty-spot', /None of the 2 spots/);
    await expectError(() => open([counts!, spots!]), 'incomplete-section', /no image/);
    await expectError(
      () => open([...visium('V'), dropped('V/other.png', IMAGE)]),
      'incomplete-section',
      /several images: V\/HE\.png, V\/other\.png/,
    );
    const broken = dropped(image!.path, png(260, 220, tissue).slice(0, 200));
    await expectError(() => open([counts!, spots!, broken]), 'slide-damaged', /PNG/);
  });
});
