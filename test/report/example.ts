import type { CurvePoint, ModelReport, ReportData } from '../../src/report/report.ts';

/** mulberry32: a small generator, so that the example is the same everywhere. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Spec {
  name: string;
  regime?: string;
  /** How much of the truth the model sees, 0..1. */
  skill: number;
  seconds: number;
  parameters: number;
  epochs: number;
  modelsTrained?: number;
  loss?: string;
}

/** A plausible report: genes with different predictability, `folds` x `slides` test slides. */
export function example(
  genes: string[],
  specs: readonly Spec[],
  { folds = 3, slides = 14, seed = 1, validation = true } = {},
): ReportData {
  const next = random(seed);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const level = genes.map(() => 2 + 6 * next());
  const ease = genes.map(() => 0.75 * next() ** 1.5);
  const truth = Array.from({ length: folds }, () =>
    Float32Array.from(
      { length: slides * genes.length },
      (_, i) => level[i % genes.length]! + normal(),
    ),
  );
  const models = specs.map(
    (spec): ModelReport => ({
      name: spec.name,
      regime: spec.regime ?? 'all genes',
      loss: spec.loss ?? 'MSE',
      parameters: spec.parameters,
      seconds: spec.seconds,
      modelsTrained: spec.modelsTrained ?? folds,
      ...(spec.epochs > 0 ? { peakBytes: 180e6 } : {}),
      curves:
        spec.epochs === 0
          ? []
          : truth.map((_, fold) => ({
              fold: `fold ${fold + 1}`,
              points: Array.from({ length: spec.epochs * 4 }, (__, i): CurvePoint => {
                const epoch = Math.floor(i / 4) + 1;
                const fall = Math.exp(-epoch / (6 + fold));
                const point: CurvePoint = {
                  step: i + 1,
                  epoch,
                  trainLoss: 0.5 + 2 * fall + 0.1 * next(),
                };
                if (validation && i % 4 === 3) {
                  point.validationLoss = 0.8 + 1.8 * fall + 0.08 * next() + epoch * 0.004;
                  point.validationPearson = spec.skill * 0.6 * (1 - fall) + 0.02 * normal();
                }
                return point;
              }),
            })),
      folds: truth.map((observed, fold) => ({
        name: `fold ${fold + 1}`,
        slides: Array.from({ length: slides }, (_, i) => `slide-${fold + 1}-${i + 1}`),
        observed,
        predicted: observed.map((value, i) => {
          const g = i % genes.length;
          const signal = spec.skill * ease[g]!;
          return level[g]! + 0.6 * (signal * (value - level[g]!) + 0.55 * (1 - signal) * normal());
        }),
      })),
    }),
  );
  return {
    title: 'Gene expression from histology: four models',
    command: 'histograd train --features features/ --expression expression.csv --folds 3 --seed 1',
    environment: {
      adapter: 'llvmpipe (Mesa 25.0.7)',
      histograd: '0.1.0',
      node: 'v20.20.2',
      seed: '1',
      date: '2025-11-21',
    },
    config: {
      seed: 1,
      folds,
      optimiser: { name: 'AdamW', learningRate: 1e-4 },
      models: specs.map((spec) => spec.name),
    },
    genes,
    expressionUnit: 'log2(1 + count)',
    models,
  };
}

export const SPECS: Spec[] = [
  { name: 'Direct-ABMIL', skill: 1, seconds: 84, parameters: 920_000, epochs: 30 },
  { name: 'Direct-Patch-Level', skill: 0.85, seconds: 41, parameters: 640_000, epochs: 30 },
  {
    name: 'Contrastive',
    skill: 0.95,
    seconds: 133,
    parameters: 1_450_000,
    epochs: 30,
    loss: 'InfoNCE',
  },
  { name: 'kNN', skill: 0.6, seconds: 0.4, parameters: 0, epochs: 0 },
  { name: 'Ridge (floor)', skill: 0.7, seconds: 1.2, parameters: 64_000, epochs: 0 },
];

export const SOME_PAM50 =
  'ESR1 PGR ERBB2 MKI67 CDCA1 KRT5 KRT17 FOXA1 MYC EGFR BCL2 GRB7 AURKX CCNB1 UBE2C'.split(' ');
