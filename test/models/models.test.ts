import { describe, expect, it } from 'vitest';
import { CONTRASTIVE, Contrastive } from '../../src/models/contrastive.ts';
import { DirectAbmil } from '../../src/models/direct-abmil.ts';
import { DirectPatchLevel } from '../../src/models/direct-patch-level.ts';
import type { Bags, ExpressionModel, TrainingSet } from '../../src/models/model.ts';
import { createModel, MODEL_KINDS } from '../../src/models/registry.ts';
import { retrieve } from '../../src/models/retrieval.ts';
import { RIDGE, Ridge } from '../../src/models/ridge.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const SIZES = { width: 6, genes: 4 };

/** Deterministic numbers that look random enough. */
const wave = (n: number, phase: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + phase));

async function bagsOf(lengths: readonly number[], phase = 0): Promise<Bags> {
  const device = await testDevice();
  const total = lengths.reduce((sum, n) => sum + n, 0);
  return {
    features: Tensor.from(device, wave(total * SIZES.width, phase), [total, SIZES.width]),
    segments: Segments.ofLengths(device, lengths),
  };
}

async function trainingSet(phase = 3): Promise<TrainingSet> {
  const lengths = [2, 3, 1, 4, 2];
  const bags = await bagsOf(lengths, phase);
  return {
    targets: wave(lengths.length * SIZES.genes, 5),
    count: lengths.length,
    async *batches() {
      yield bags;
    },
  };
}

async function make(kind: (typeof MODEL_KINDS)[number], options = {}): Promise<ExpressionModel> {
  const context = { device: await testDevice(), generator: new Generator(2) };
  return createModel(kind, context, SIZES, options).eval();
}

const SMALL = { hidden: 8, attention: 4 };

describe('every model', () => {
  const options = {
    'direct-abmil': SMALL,
    'direct-patch-level': { hidden: 8 },
    contrastive: { ...SMALL, geneHidden: 8, k: 3 },
    knn: { k: 2 },
    ridge: {},
  };

  it.each(MODEL_KINDS)('%s predicts a bag the same alone as among others', async (kind) => {
    const model = await make(kind, options[kind]);
    await model.prepare(await trainingSet());
    const together = await bagsOf([3, 1, 5]);
    const alone: Bags = {
      features: Tensor.from(together.features.device, wave(9 * 6, 0).slice(4 * 6), [5, 6]),
      segments: Segments.ofLengths(together.features.device, [5]),
    };
    const expected = (await model.predict(together)).expression.slice(2 * SIZES.genes);
    const found = (await model.predict(alone)).expression;
    expect(found.length).toBe(SIZES.genes);
    found.forEach((v, g) => void expect(v).toBeCloseTo(expected[g]!, 5));
    model.dispose();
  });

  it.each(['contrastive', 'knn', 'ridge'] as const)(
    '%s refuses to predict before it has seen the training set, and predicts from its memory alone',
    async (kind) => {
      const model = await make(kind, options[kind]);
      const bags = await bagsOf([3, 2]);
      await expect(model.predict(bags)).rejects.toThrow(/memory of the training set/);
      await model.prepare(await trainingSet());
      const restored = await make(kind, options[kind]);
      restored.loadStateDict(await model.stateDict());
      restored.memory = new Map(model.memory);
      expect(await restored.predict(bags)).toEqual(await model.predict(bags));
      model.dispose();
      restored.dispose();
    },
  );

  it.each([
    ['knn', { kk: 3 }, /knn has no option kk \(did you mean k[\s\S]*Options of knn: k, metric/],
    ['knn', { k: 'many' }, /knn.k is "many", expected a whole number from 1/],
    ['knn', { k: 0 }, /knn.k is 0/],
    ['knn', { metric: 'manhattan' }, /knn.metric is "manhattan", expected euclidean or cosine/],
    ['direct-abmil', { hidden: -3 }, /direct-abmil.hidden is -3/],
    ['direct-abmil', { hidden: 2.5 }, /direct-abmil.hidden is 2.5/],
    ['direct-abmil', { dropout: 1 }, /dropout is 1, expected a number from 0 up to/],
    ['direct-abmil', { gated: 1 }, /gated is 1, expected a boolean/],
    ['contrastive', { weighting: 'foo' }, /weighting is "foo", expected softmax or uniform/],
    ['contrastive', { retrievalTemperature: 0 }, /retrievalTemperature is 0/],
    ['ridge', { from: Number.NaN }, /ridge.from is NaN/],
    ['ridge', { from: 9 }, /ridge.from is 9, above ridge.to, which is/],
  ] as const)('%s refuses %j', async (kind, options, text) => {
    await expectError(() => make(kind, options), 'bad-option', text);
  });

  it('refuses sizes that are none', async () => {
    const context = { device: await testDevice(), generator: new Generator(2) };
    const text = /ridge: genes is 1.5, expected a whole number from 1/;
    const create = () => createModel('ridge', context, { width: 3, genes: 1.5 });
    await expectError(create, 'bad-option', text);
  });
});

describe('Direct-ABMIL', () => {
  it.each([true, false])(
    'gives attention that sums to one over each bag (gated: %s)',
    async (gated) => {
      const context = { device: await testDevice(), generator: new Generator(1) };
      const model = new DirectAbmil(context, SIZES, { ...SMALL, gated, dropout: 0 });
      const { attention } = await model.predict(await bagsOf([3, 1, 5]));
      const sum = (from: number, to: number) =>
        attention!.slice(from, to).reduce((s, v) => s + v, 0);
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 9],
      ] as const)
        expect(sum(from, to)).toBeCloseTo(1, 5);
      model.dispose();
    },
  );

  it('predicts a patch as a bag of one', async () => {
    const model = await make('direct-abmil', SMALL);
    const bags = await bagsOf([1, 1, 1]);
    const { expression } = await model.predict(bags);
    const patches = await model.predictPatches(bags.features);
    patches!.forEach((v, i) => void expect(v).toBeCloseTo(expression[i]!, 5));
    model.dispose();
  });
});

describe('Direct-Patch-Level', () => {
  it('predicts a bag as the mean over its patches: the mean commutes with the head', async () => {
    const context = { device: await testDevice(), generator: new Generator(1) };
    const model = new DirectPatchLevel(context, SIZES, { hidden: 8, dropout: 0 });
    const bags = await bagsOf([3, 4]);
    const { expression } = await model.predict(bags);
    const patches = await model.predictPatches(bags.features);
    for (let g = 0; g < SIZES.genes; g++) {
      const mean = [0, 1, 2].reduce((sum, n) => sum + patches[n * SIZES.genes + g]! / 3, 0);
      expect(expression[g]).toBeCloseTo(mean, 5);
    }
    model.dispose();
  });
});

describe('kNN', () => {
  it.each(['euclidean', 'cosine'])(
    'returns the profile of the nearest slide (%s)',
    async (metric) => {
      const model = await make('knn', { k: 1, metric });
      const training = await trainingSet();
      await model.prepare(training);
      for await (const bags of training.batches()) {
        // Every training slide is its own nearest neighbour.
        expect((await model.predict(bags)).expression).toEqual(training.targets);
      }
    },
  );
});

describe('Contrastive', () => {
  it('averages the training profiles: its prediction stays inside their range', async () => {
    const context = { device: await testDevice(), generator: new Generator(1) };
    const options = { ...CONTRASTIVE, ...SMALL, geneHidden: 8, k: 5 };
    const model = new Contrastive(context, SIZES, options).eval();
    const training = await trainingSet();
    await model.prepare(training);
    const { expression } = await model.predict(await bagsOf([3, 2]));
    for (let g = 0; g < SIZES.genes; g++) {
      const profile = Array.from({ length: 5 }, (_, i) => training.targets[i * SIZES.genes + g]!);
      for (const b of [0, 1]) {
        expect(expression[b * SIZES.genes + g]).toBeGreaterThanOrEqual(Math.min(...profile) - 1e-5);
        expect(expression[b * SIZES.genes + g]).toBeLessThanOrEqual(Math.max(...profile) + 1e-5);
      }
    }
    model.dispose();
  });
});

describe('ridge', () => {
  /** Ridge by Gaussian elimination on the normal equations of two standardised features. */
  it('solves the normal equations', async () => {
    const device = await testDevice();
    const x = [
      [1, 2],
      [2, 1],
      [3, 5],
      [4, 3],
      [5, 9],
      [6, 4],
    ];
    const targets = Float32Array.from([3, 1, 4, 1, 5, 9]);
    const model = new Ridge(RIDGE);
    const bags = {
      features: Tensor.from(device, x.flat(), [6, 2]),
      segments: Segments.ofLengths(device, [1, 1, 1, 1, 1, 1]),
    };
    await model.prepare({
      targets,
      count: 6,
      async *batches() {
        yield bags;
      },
    });
    const column = (j: number) => x.map((row) => row[j]!);
    const standard = (v: number[]) => {
      const mean = v.reduce((s, a) => s + a, 0) / 6;
      const sd = Math.sqrt(v.reduce((s, a) => s + (a - mean) ** 2, 0) / 6);
      return v.map((a) => (a - mean) / sd);
    };
    const [a, b] = [standard(column(0)), standard(column(1))];
    const mean = 23 / 6;
    const dot = (u: number[], v: number[]) => u.reduce((s, w, i) => s + w * v[i]!, 0);
    const y = [...targets].map((t) => t - mean);
    const lambda = model.penalty;
    const [p, q, r] = [dot(a, a) + lambda, dot(a, b), dot(b, b) + lambda];
    const det = p * r - q * q;
    const w = [(r * dot(a, y) - q * dot(b, y)) / det, (p * dot(b, y) - q * dot(a, y)) / det];
    const { expression } = await model.predict(bags);
    expression.forEach(
      (v, i) => void expect(v).toBeCloseTo(mean + w[0]! * a[i]! + w[1]! * b[i]!, 4),
    );
  });
});

describe('retrieve', () => {
  const profiles = Float32Array.of(1, 10, 2, 20, 4, 40);
  const scores = Float64Array.of(0.1, 0.9, 0.5);

  it('takes the plain mean of the k nearest', () => {
    const options = { k: 2, weighting: 'uniform', temperature: 1 } as const;
    expect([...retrieve(scores, profiles, options)]).toEqual([3, 30]);
  });

  it('weights by softmax of score over temperature', () => {
    const options = { k: 3, weighting: 'softmax', temperature: 0.5 } as const;
    const weights = [...scores].map((s) => Math.exp(s / 0.5));
    const total = weights.reduce((s, v) => s + v, 0);
    const expected = (weights[0]! * 1 + weights[1]! * 2 + weights[2]! * 4) / total;
    expect(retrieve(scores, profiles, options)[0]).toBeCloseTo(expected, 5);
  });
});
