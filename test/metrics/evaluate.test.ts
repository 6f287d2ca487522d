import { describe, expect, it } from 'vitest';
import { evaluatePredictions } from '../../src/metrics/evaluate.ts';

const GENES = ['ESR1', 'FLAT', 'CDCA1'];
const first = {
  name: 'a',
  slides: ['s1', 's2', 's3', 's4'],
  observed: Float32Array.of(1, 5, 2, 2, 3, 2, 3, 4, 2, 5, 1, 2),
  predicted: Float32Array.of(1.5, 2, 1, 1.5, 2, 3, 3.5, 2, 2, 4, 2, 1),
};
const second = {
  name: 'b',
  slides: ['s5', 's6', 's7'],
  observed: Float32Array.of(2, 1, 7, 4, 2, 8, 1, 6, 9),
  predicted: Float32Array.of(1, 2, 6, 2, 1, 7, 3, 3, 9),
};

describe('evaluatePredictions', () => {
  const result = evaluatePredictions({ genes: GENES, folds: [first, second] });

  it('scores each fold as scipy.stats.pearsonr 1.10.1; constant truth is undefined, constant prediction 0', () => {
    expect(result.folds[0]?.pearson[0]).toBeCloseTo(0.9091237672046559, 12);
    expect(result.folds[0]?.pearson[1]).toBe(0);
    expect(result.folds[0]?.pearson[2]).toBeNaN();
    expect(result.folds[1]?.pearson[0]).toBeCloseTo(-0.3273268353539885, 12);
    expect(result.folds[1]?.pearson[1]).toBeCloseTo(0.7559289460184544, 12);
    expect(result.folds[1]?.pearson[2]).toBeCloseTo(0.9819805060619655, 12);
    expect(result.folds.map((fold) => [fold.name, fold.slides])).toEqual([
      ['a', 4],
      ['b', 3],
    ]);
  });

  it('averages over the folds where defined, then over genes', () => {
    const expected = [
      (0.9091237672046559 - 0.3273268353539885) / 2,
      0.7559289460184544 / 2,
      0.9819805060619655,
    ];
    expected.forEach((r, g) => {
      expect(result.pearson[g]).toBeCloseTo(r, 12);
    });
    expect(result.meanPearson).toBeCloseTo((expected[0]! + expected[1]! + expected[2]!) / 3, 12);
    expect(result.folds[0]?.meanPearson).toBeCloseTo(0.9091237672046559 / 2, 12);
    expect(result.scoredGenes).toBe(3);
    expect(result.genesAbove).toBe(1);
  });

  it('averages the PAM50 genes present, by old symbols too', () => {
    expect(result.pam50.present.map((gene) => gene.symbol)).toEqual(['ESR1', 'NUF2']);
    expect(result.pam50.missing).toHaveLength(48);
    expect(result.pam50.meanPearson).toBeCloseTo((result.pearson[0]! + result.pearson[2]!) / 2, 14);
  });

  it('pools all slides for significance', () => {
    const r = [0.5367198354991007, 0.5916079783099616, 0.9704387694711827];
    const p = [0.21419085058219262, 0.16175748465203768, 0.00028401909898008833];
    const q = [p[0]!, p[0]!, p[2]! * 3];
    for (let g = 0; g < 3; g++) {
      expect(result.pooled.pearson[g]).toBeCloseTo(r[g]!, 12);
      expect(result.pooled.p[g]! / p[g]!).toBeCloseTo(1, 5);
      expect(result.pooled.q[g]! / q[g]!).toBeCloseTo(1, 5);
    }
  });

  it('gives the errors over all slides and genes', () => {
    expect(result.mse).toBeCloseTo(41.75 / 21, 12);
    expect(result.mae).toBeCloseTo(24.5 / 21, 12);
  });

  it('leaves a fold of two slides undefined but pools it', () => {
    const two = { ...second, slides: ['s5', 's6'], observed: second.observed.slice(0, 6) };
    const short = { ...two, predicted: second.predicted.slice(0, 6) };
    const alone = evaluatePredictions({ genes: GENES, folds: [short] });
    expect([...alone.pearson]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(alone.meanPearson).toBeNaN();
    expect(alone.scoredGenes).toBe(0);
    expect(alone.pooled.p[0]).toBeNaN();
    const both = evaluatePredictions({ genes: GENES, folds: [first, short] });
    expect(both.pearson[0]).toBeCloseTo(0.9091237672046559, 12);
    expect(both.pooled.p[0]).toBeGreaterThan(0);
  });

  it.each([
    [{ genes: [], folds: [first] }, 'metrics-empty', 'found 0 genes and 1 folds'],
    [{ genes: GENES, folds: [] }, 'metrics-empty', 'found 3 genes and 0 folds'],
    [
      { genes: GENES, folds: [{ ...first, predicted: new Float32Array(11) }] },
      'metrics-shape',
      'Fold "a": predicted must hold 4 slides x 3 genes = 12 values, found 11',
    ],
    [
      { genes: GENES, folds: [{ ...first, observed: new Float32Array(13) }] },
      'metrics-shape',
      'observed must hold',
    ],
    [
      { genes: GENES, folds: [{ ...second, predicted: second.predicted.with(5, Number.NaN) }] },
      'metrics-non-finite',
      'predicted expression of gene "CDCA1" in slide "s6" is NaN',
    ],
    [
      {
        genes: GENES,
        folds: [{ ...second, observed: second.observed.with(3, Number.POSITIVE_INFINITY) }],
      },
      'metrics-non-finite',
      'observed expression of gene "ESR1" in slide "s6" is Infinity',
    ],
  ])('refuses bad input %#', (input, code, text) => {
    expect(() => evaluatePredictions(input)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) }),
    );
  });
});
