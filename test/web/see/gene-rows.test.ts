import { describe, expect, test } from 'vitest';
import type { GeneScore } from '../../../src/web/protocol.ts';
import { type Column, firstSort, headline, sortGenes } from '../../../src/web/see/gene-rows.ts';

const row = (gene: string, pearson: number, q: number, mse: number): GeneScore => ({
  gene,
  pearson,
  q,
  mse,
});
const ROWS = [
  row('CD19', 0.2, 0.04, 3),
  row('CD3D', 0.9, 1e-9, 1),
  row('FLAT', Number.NaN, Number.NaN, 0.5),
  row('AACD', -0.5, 0.001, 2),
];
const names = (rows: readonly GeneScore[]) => rows.map(({ gene }) => gene);

describe('gene table', () => {
  test.each<[Column, string[]]>([
    ['pearson', ['CD3D', 'CD19', 'AACD', 'FLAT']],
    ['q', ['CD3D', 'AACD', 'CD19', 'FLAT']],
    ['mse', ['FLAT', 'CD3D', 'AACD', 'CD19']],
    ['gene', ['AACD', 'CD3D', 'CD19', 'FLAT']],
  ])('by %s, first as one wants it', (column, order) => {
    expect(names(sortGenes(ROWS, firstSort(column)))).toEqual(order);
  });

  test('undefined scores come last in both directions; names count, they do not spell', () => {
    expect(names(sortGenes(ROWS, { column: 'pearson', descending: false }))).toEqual([
      'AACD',
      'CD19',
      'CD3D',
      'FLAT',
    ]);
    expect(names(sortGenes(ROWS, { column: 'gene', descending: true }))[0]).toBe('FLAT');
  });

  test('headline: undefined genes are left out, a significant negative correlation is no success', () => {
    expect(headline(ROWS)).toEqual({
      mean: expect.closeTo(0.2, 12),
      median: 0.2,
      defined: 3,
      significant: 2,
    });
    expect(headline(ROWS.slice(0, 2)).median).toBeCloseTo(0.55, 12);
    expect(headline([])).toMatchObject({ mean: Number.NaN, median: Number.NaN, defined: 0 });
  });
});
