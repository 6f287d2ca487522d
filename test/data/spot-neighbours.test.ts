import { describe, expect, it } from 'vitest';
import { parseFeatures } from '../../src/data/features.ts';
import { sparseBuilder } from '../../src/data/sparse-rows.ts';
import { parseSpotIds, serializeSpotFeatures } from '../../src/data/spot-features.ts';
import {
  gridNeighbours,
  neighbourFeatures,
  neighbourMeans,
} from '../../src/data/spot-neighbours.ts';
import {
  keepSpots,
  makeUnique,
  type SpotSection,
  selectSpotGenes,
  spotExpression,
  topGenes,
} from '../../src/data/spots.ts';
import { expectError } from './expect-error.ts';

const spot = (row: number, column: number) => ({
  id: `${column}x${row}`,
  x: 0,
  y: 0,
  row,
  column,
  inTissue: true,
});

describe('gridNeighbours', () => {
  it('finds neighbours on a full grid', () => {
    const spots = [spot(0, 0), spot(0, 1), spot(1, 0), spot(5, 5)];
    const { cells, index } = gridNeighbours(spots, 1);
    expect(cells).toBe(9);
    expect([...index.subarray(0, 9)]).toEqual([-1, -1, -1, -1, 0, 1, -1, 2, -1]);
    expect([...index.subarray(27)].filter((i) => i >= 0)).toEqual([3]);
  });

  it('takes staggered rows as bricks', () => {
    const { index } = gridNeighbours([spot(0, 0), spot(0, 2), spot(1, 1), spot(1, 3)], 1);
    expect([...index.subarray(0, 9)]).toEqual([-1, -1, -1, -1, 0, 1, -1, 2, 3]);
  });

  it('gathers features, masks and means', () => {
    const neighbours = gridNeighbours([spot(0, 0), spot(0, 1), spot(1, 0)], 1);
    const features = Float32Array.of(1, 10, 2, 20, 6, 60);
    const { features: gathered, mask } = neighbourFeatures(features, 2, neighbours);
    expect([...mask.subarray(0, 9)]).toEqual([0, 0, 0, 0, 1, 1, 0, 1, 0]);
    expect([...gathered.subarray(8, 16)]).toEqual([1, 10, 2, 20, 0, 0, 6, 60]);
    expect([...neighbourMeans(features, 2, neighbours)]).toEqual([3, 30, 3, 30, 3, 30]);
  });

  it.each([-1, 0.5, 1e5, Number.NaN])('refuses the radius %s', async (radius) => {
    await expectError(() => gridNeighbours([spot(0, 0)], radius), 'option', /from 0 to 50/);
  });

  it('refuses unknown and doubled positions', async () => {
    await expectError(() => gridNeighbours([spot(Number.NaN, 0)], 1), 'no-array', /NaN/);
    const twice = () => gridNeighbours([spot(1, 1), spot(1, 1), spot(1, 2)], 1);
    await expectError(twice, 'duplicate-position', /row 1, column 1/);
  });
});

const builder = sparseBuilder(3, 3);
for (const [r, c, v] of [
  [0, 2, 4],
  [0, 0, 1],
  [1, 1, 5],
  [1, 2, 5],
] as const)
  builder.add(r, c, v);
const section: SpotSection = {
  name: 'S',
  spots: [spot(0, 0), spot(0, 1), spot(0, 2)],
  genes: ['A', 'B', 'C'],
  counts: builder.finish('S'),
  pixelSpace: 'fullres',
  notes: [],
};

describe('sections', () => {
  it('selects genes by mean and by name', async () => {
    expect(topGenes([section], 2)).toEqual(['C', 'B']);
    expect([...spotExpression(section, ['C', 'A']).values]).toEqual([4, 1, 5, 0, 0, 0]);
    const chosen = selectSpotGenes(section, ['C']);
    expect([...(chosen.totals ?? [])]).toEqual([5, 10, 0]);
    await expectError(() => selectSpotGenes(section, ['X']), 'unknown-gene', /X.*A, B, C/);
    await expectError(() => topGenes([section], 4), 'too-few-genes', /3 genes/);
  });

  it('scales by the library over all genes, and refuses empty spots', async () => {
    await expectError(() => spotExpression(section, ['C'], 100), 'empty-spot', /2x0/);
    const kept = keepSpots(section, (_, total) => total > 0);
    expect([...spotExpression(kept, ['C'], 100).values]).toEqual([80, 50]);
    expect([...spotExpression(selectSpotGenes(kept, ['C']), ['C'], 100).values]).toEqual([80, 50]);
  });

  it("makes names unique as scanpy's var_names_make_unique", () => {
    expect(makeUnique(['a', 'a', 'a-1', 'b', 'a']).names).toEqual(['a', 'a-2', 'a-1', 'b', 'a-3']);
  });

  it('refuses an element that is given twice', async () => {
    const twice = sparseBuilder(1, 3);
    for (const c of [2, 1, 2]) twice.add(0, c, 1);
    await expectError(() => twice.finish('S'), 'bad-counts', /gene 2/);
  });
});

describe('spot features', () => {
  const content = {
    features: Float32Array.of(1, 2, 3, 4, 5, 6),
    width: 2,
    coords: Int32Array.of(0, 1, 2, 3, 4, 5),
    ids: ['10x3', 'ACGT-1', 'ß'],
    attributes: { extractor: 'squeezenet', mpp: 0.5 },
  };

  it.each(['h5', 'safetensors'] as const)('are read back from %s', async (format) => {
    const bytes = await serializeSpotFeatures(content, format);
    const bag = await parseFeatures(bytes, `s.${format}`);
    expect([...bag.features]).toEqual([...content.features]);
    expect([...(bag.coords ?? [])]).toEqual([...content.coords]);
    expect(await parseSpotIds(bytes, 3, `s.${format}`)).toEqual(content.ids);
    await expectError(() => parseSpotIds(bytes, 2, `s.${format}`), 'bad-spots', /3 ids for 2/);
  });

  it('refuses arrays that do not fit', async () => {
    const odd = { ...content, width: 3 };
    await expectError(() => serializeSpotFeatures(odd, 'h5'), 'bad-spots', /3 x 3/);
    const twice = { ...content, ids: ['a', 'a', 'b'] };
    await expectError(() => serializeSpotFeatures(twice, 'h5'), 'duplicate-spot', /a twice/);
  });
});
