/** The gene table's order. */
import type { GeneScore } from '../protocol.ts';

export type Column = 'gene' | 'pearson' | 'q' | 'mse';

export interface Sort {
  readonly column: Column;
  readonly descending: boolean;
}

/** As one wants to see it first: the best correlations, the smallest errors. */
export function firstSort(column: Column): Sort {
  return { column, descending: column === 'pearson' };
}

const NAMES = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** A sorted copy; undefined values come last in both directions, equal ones in the order of their names. */
export function sortGenes(rows: readonly GeneScore[], sort: Sort): GeneScore[] {
  const sign = sort.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (sort.column === 'gene') return sign * NAMES.compare(a.gene, b.gene);
    const x = a[sort.column];
    const y = b[sort.column];
    if (Number.isNaN(x) || Number.isNaN(y)) {
      return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || NAMES.compare(a.gene, b.gene);
    }
    return sign * (x - y) || NAMES.compare(a.gene, b.gene);
  });
}

/** What stands above the table. */
export interface Headline {
  readonly mean: number;
  readonly median: number;
  /** Genes with a defined correlation, and those with q < 0.05 and a positive one. */
  readonly defined: number;
  readonly significant: number;
}

export function headline(rows: readonly GeneScore[]): Headline {
  const defined = rows
    .map((row) => row.pearson)
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const n = defined.length;
  const middle = Math.floor(n / 2);
  return {
    mean: n === 0 ? Number.NaN : defined.reduce((sum, r) => sum + r, 0) / n,
    median:
      n === 0
        ? Number.NaN
        : n % 2 === 1
          ? defined[middle]!
          : (defined[middle - 1]! + defined[middle]!) / 2,
    defined: n,
    significant: rows.filter((row) => row.q < 0.05 && row.pearson > 0).length,
  };
}
