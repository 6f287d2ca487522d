import { Matrix, solve } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import {
  DEMO_COHORT,
  type SimulatedCohort,
  simulateCohort,
} from '../../src/data/simulated-cohort.ts';
import { TILE_STATISTICS, tileStatistics } from '../../src/slides/tile-statistics.ts';
import { expectError } from './expect-error.ts';

const SMALL = {
  ...DEMO_COHORT,
  patients: 6,
  slidesPerPatient: 2,
  tilesPerSlide: [5, 9],
  genes: 40,
} as const;

describe('simulateCohort', () => {
  const cohort = simulateCohort(SMALL);

  it('has the shapes that were asked for', () => {
    expect(cohort.slides).toHaveLength(12);
    expect(new Set(cohort.slides.map(({ id }) => id)).size).toBe(12);
    expect(new Set(cohort.slides.map(({ patient }) => patient)).size).toBe(6);
    expect(cohort.slides[2]).toMatchObject({ id: 'SIM-P02-S1', patient: 'SIM-P02', tileSize: 32 });
    for (const slide of cohort.slides) {
      const n = slide.tiles.length;
      expect(n).toBeGreaterThanOrEqual(5);
      expect(n).toBeLessThanOrEqual(9);
      expect(slide.coords).toHaveLength(2 * n);
      expect(slide.tissues).toHaveLength(n);
      expect(slide.expression).toHaveLength(40);
      for (const tile of slide.tiles) expect(tile).toHaveLength(32 * 32 * 3);
      const places = Array.from({ length: n }, (_, i) => `${slide.coords.slice(2 * i, 2 * i + 2)}`);
      expect(new Set(places).size).toBe(n);
    }
    expect(new Set(cohort.slides.map(({ tiles }) => tiles.length)).size).toBeGreaterThan(1);
  });

  it('names simulated genes so that nobody can take them for real ones', () => {
    expect(new Set(cohort.genes).size).toBe(40);
    for (const gene of cohort.genes) {
      expect(gene).toMatch(/^SIM_(NUC|STR|LUM|IMM|NEC|TUM|MAX|RND)_\d\d$/);
    }
    expect(cohort.genes[0]).toBe('SIM_NUC_01');
  });

  it('is a pure function of its options, and differs by seed', () => {
    const plain = ({ tileSignal, ...rest }: SimulatedCohort) => [rest, tileSignal(0, 0)];
    expect(plain(simulateCohort(SMALL))).toEqual(plain(cohort));
    const other = simulateCohort({ ...SMALL, seed: 2 });
    expect(other.slides[0]!.tiles[0]).not.toEqual(cohort.slides[0]!.tiles[0]);
    expect(other.slides[0]!.expression).not.toEqual(cohort.slides[0]!.expression);
  });

  it('knows the signal of single tiles where a slide is the mean of its tiles', () => {
    let known = 0;
    for (const [g, gene] of cohort.genes.entries()) {
      for (const [s, slide] of cohort.slides.entries()) {
        const tiles = cohort.tileSignal(s, g);
        if (
          gene.startsWith('SIM_TUM') ||
          gene.startsWith('SIM_MAX') ||
          gene.startsWith('SIM_RND')
        ) {
          expect(tiles).toBeNull();
        }
        if (!tiles) continue;
        known++;
        expect(tiles).toHaveLength(slide.tiles.length);
        const mean = tiles.reduce((sum, value) => sum + value, 0) / tiles.length;
        expect(mean).toBeCloseTo(slide.signal[g]!, 4);
      }
    }
    expect(known).toBeGreaterThan(0.4 * cohort.genes.length * cohort.slides.length);
  });

  it('does not change early slides when patients are added', () => {
    const more = simulateCohort({ ...SMALL, patients: 7 });
    expect(more.slides[3]!.tiles).toEqual(cohort.slides[3]!.tiles);
  });

  it('reaches everything without noise, except for genes that follow nothing', () => {
    const { genes, reachable, slides } = simulateCohort({ ...SMALL, noise: 0 });
    for (const [g, gene] of genes.entries()) {
      if (gene.startsWith('SIM_RND')) {
        expect(reachable[g]).toBe(0);
        expect(new Set(slides.map(({ expression }) => expression[g])).size).toBe(12);
      } else expect(reachable[g]).toBeCloseTo(1, 5);
    }
  });

  it('refuses options out of range', async () => {
    const bad: [Partial<typeof DEMO_COHORT>, RegExp][] = [
      [{ seed: -1 }, /seed is -1/],
      [{ patients: 0 }, /patients is 0/],
      [{ patients: 1, slidesPerPatient: 2 }, /patients x slidesPerPatient is 2/],
      [{ slidesPerPatient: 1.5 }, /slidesPerPatient is 1.5/],
      [{ tilesPerSlide: [0, 4] }, /tilesPerSlide\[0\] is 0/],
      [{ tilesPerSlide: [9, 4] }, /tilesPerSlide\[1\] is 4, expected a whole number from 9/],
      [{ tileSize: 8 }, /tileSize is 8, expected a whole number from 16/],
      [{ genes: 0 }, /genes is 0/],
      [{ noise: -0.1 }, /noise is -0.1/],
      [{ noise: Number.NaN }, /noise is NaN/],
    ];
    for (const [change, text] of bad) {
      await expectError(() => simulateCohort({ ...SMALL, ...change }), 'bad-option', text);
    }
  });
});

describe('the demonstration cohort', () => {
  const cohort = simulateCohort(DEMO_COHORT);

  it('knows its reachable score, which agrees with the noise that was drawn', () => {
    const { reachable, expectedReachable, reachableMean, genes } = cohort;
    let worst = 0;
    for (let g = 0; g < genes.length; g++) {
      worst = Math.max(worst, Math.abs(reachable[g]! - expectedReachable[g]!));
    }
    // The standard error of a correlation of 0.8 over 72 slides is 0.04.
    expect(worst).toBeLessThan(0.2);
    expect(reachableMean).toBeGreaterThan(0.7);
    expect(reachableMean).toBeLessThan(0.85);
  });

  it('is mixed tissue: every kind occurs, and no slide is of one kind', () => {
    const counts = new Map<string, number>();
    for (const { tissues } of cohort.slides) {
      expect(new Set(tissues).size).toBeGreaterThan(1);
      expect(tissues).toContain('tumour');
      for (const tissue of tissues) counts.set(tissue, (counts.get(tissue) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
  });

  it('lets ridge regression on mean tile statistics reach a good part, and noise genes none', () => {
    const scores = crossValidatedRidge(cohort, 0.1);
    const mean = (wanted: (gene: string) => boolean) => {
      const kept = [...scores].filter((_, g) => wanted(cohort.genes[g]!));
      return kept.reduce((sum, value) => sum + value, 0) / kept.length;
    };
    const overall = mean(() => true) / cohort.reachableMean;
    expect(overall).toBeGreaterThan(0.55);
    expect(overall).toBeLessThan(0.9);
    expect(mean((gene) => gene.includes('NUC'))).toBeGreaterThan(0.6);
    expect(Math.abs(mean((gene) => gene.includes('RND')))).toBeLessThan(0.15);
  });
});

/** Pearson per gene of held-out predictions, five folds by patient. */
function crossValidatedRidge({ slides, genes }: SimulatedCohort, penalty: number): Float64Array {
  const d = TILE_STATISTICS.length;
  const features = new Matrix(
    slides.map(({ tiles, tileSize }) => {
      const mean = new Float64Array(d);
      for (const tile of tiles) {
        const values = tileStatistics(tile, tileSize);
        for (let k = 0; k < d; k++) mean[k] = mean[k]! + values[k]! / tiles.length;
      }
      return [...mean];
    }),
  );
  const targets = new Matrix(slides.map(({ expression }) => [...expression]));
  const patients = [...new Set(slides.map(({ patient }) => patient))];
  const foldOf = slides.map(({ patient }) => patients.indexOf(patient) % 5);
  const predicted = Matrix.zeros(slides.length, genes.length);
  for (let fold = 0; fold < 5; fold++) {
    const train = foldOf.flatMap((f, s) => (f === fold ? [] : [s]));
    const test = foldOf.flatMap((f, s) => (f === fold ? [s] : []));
    const x = features.selection(train, [...Array(d).keys()]);
    const y = targets.selection(train, [...genes.keys()]);
    const centre = x.mean('column');
    const spread = x.standardDeviation('column').map((value) => value + 1e-6);
    const offset = y.mean('column');
    const scale = (m: Matrix) => m.subRowVector(centre).divRowVector(spread);
    const z = scale(x);
    const gram = z
      .transpose()
      .mmul(z)
      .add(Matrix.eye(d, d).mul(penalty * train.length));
    const weights = solve(gram, z.transpose().mmul(y.subRowVector(offset)));
    const out = scale(features.selection(test, [...Array(d).keys()])).mmul(weights);
    out.addRowVector(offset);
    for (const [i, s] of test.entries()) predicted.setRow(s, out.getRow(i));
  }
  return Float64Array.from(genes, (_, g) => pearson(predicted.getColumn(g), targets.getColumn(g)));
}

function pearson(a: number[], b: number[]): number {
  const centred = (v: number[]) => {
    const mean = v.reduce((sum, value) => sum + value, 0) / v.length;
    return v.map((value) => value - mean);
  };
  const [x, y] = [centred(a), centred(b)];
  const dot = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}
