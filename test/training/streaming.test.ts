/** Slides in pieces: training and prediction as with whole slides, in the memory of a piece. */
import { describe, expect, it } from 'vitest';
import type { BagSource } from '../../src/training/bag-source.ts';
import { predictBag, predictSlides } from '../../src/training/predict.ts';
import { fitFeatureScale } from '../../src/training/scaling.ts';
import type { TrainTask } from '../../src/training/task.ts';
import { type TrainResult, train } from '../../src/training/train.ts';
import { testDevice } from '../device.ts';
import {
  exampleCohort,
  exampleOptions,
  failure,
  GENES,
  MemoryRecord,
  memorySource,
  SMALL,
} from './example.ts';

/** Slides of 30 to 90 patches. */
const cohort = largerCohort(10);

function largerCohort(times: number) {
  const { bags, targets, split } = exampleCohort();
  const large = bags.map(({ features, rows, width }) => ({
    features: Float32Array.from(
      { length: times * features.length },
      (_, i) => features[i % features.length]! + 0.1 * Math.sin(i * i),
    ),
    rows: times * rows,
    width,
  }));
  return { bags: large, source: memorySource(large), targets, split };
}

async function task(
  changes: Partial<TrainTask['options']>,
  more: Partial<TrainTask> = {},
): Promise<TrainTask> {
  const { source, targets, split } = cohort;
  const options = exampleOptions({ maxPatches: 80, epochs: 3, lr: 1e-3, ...changes });
  return {
    ...{ device: await testDevice(), source, genes: GENES, targets, split, options },
    ...{ kind: 'direct-abmil', modelOptions: { ...SMALL['direct-abmil'], dropout: 0 } },
    ...more,
  };
}

async function run(changes: Partial<TrainTask['options']>, more: Partial<TrainTask> = {}) {
  const record = new MemoryRecord();
  const result = await train(await task(changes, { record, ...more }));
  return { record, result };
}

async function bits({ model }: TrainResult) {
  const state = [...(await model.stateDict())].map(([name, { data }]) => [name, [...data]]);
  model.dispose();
  return state;
}

function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(value - found[i]!)));
  expect(worst / scale).toBeLessThan(1e-4);
}

describe('training with --stream-above', () => {
  it.each([
    ['all steps', 20],
    ['some steps', 180],
  ])('%s in pieces: losses, norms and predictions of whole slides', async (_, streamAbove) => {
    const told: string[] = [];
    const onWarning = (text: string) => told.push(text);
    const [whole, streamed] = [await run({}), await run({ streamAbove }, { onWarning })];
    // Slides that fit are streamed for the size of the batch.
    const cause = /steps of more than 180 patches read their slides piece by piece/;
    expect(told).toEqual(streamAbove === 180 ? [expect.stringMatching(cause)] : []);
    for (const key of ['loss', 'gradNorm', 'validationPearson', 'validationLoss']) {
      const values = ({ lines }: MemoryRecord) => lines.flatMap((line) => line[key] ?? []);
      expect(values(whole.record).length).toBeGreaterThan(2);
      expectClose(values(streamed.record), values(whole.record));
    }
    expect(streamed.record.log).not.toBe(whole.record.log);
    const predictions = async ({ result }: typeof whole, above?: number) => {
      const found = [];
      const { device } = await task({});
      const { source, split } = cohort;
      for await (const slide of predictSlides(device, result, source, split.test, 100, above))
        found.push(slide);
      return found;
    };
    const expected = await predictions(whole);
    for (const above of [undefined, 1, 50]) {
      const found = await predictions(streamed, above);
      for (const [i, { slide, expression, attention }] of expected.entries()) {
        expect(found[i]!.slide).toBe(slide);
        expectClose(found[i]!.expression, expression);
        expectClose(found[i]!.attention!, attention!);
      }
    }
    whole.result.model.dispose();
    streamed.result.model.dispose();
  });

  it('interrupted and resumed: the same bits, with dropout and sampled patches', async () => {
    const options = { streamAbove: 100, maxPatches: 50 };
    const modelOptions = SMALL['direct-abmil'];
    const whole = await run(options, { modelOptions });
    const record = new MemoryRecord();
    for (const looks of [20, 45]) {
      let left = looks;
      // Looked at before every batch or piece and after every step.
      const signal = {
        get aborted() {
          return --left <= 0;
        },
      };
      const stopped = train(await task(options, { modelOptions, record, signal }));
      expect((await failure(stopped)).code).toBe('interrupted');
    }
    const resumed = await run(options, { modelOptions, record });
    expect(await bits(resumed.result)).toEqual(await bits(whole.result));
    expect(record.log).toBe(whole.record.log);
  });

  it('a stop does not wait for the end of a step, which is taken again later', async () => {
    const options = { streamAbove: 20 };
    const modelOptions = SMALL['direct-abmil'];
    const whole = await run(options, { modelOptions });
    const record = new MemoryRecord();
    for (const pieces of [30, 41]) {
      const signal = { aborted: false };
      let left = pieces;
      const source: BagSource = {
        ...cohort.source,
        async *pieces(slide, rows, sample) {
          for await (const { features } of cohort.source.batches([[slide]], sample)) {
            for (let at = 0; at < features.length; at += rows * source.width) {
              signal.aborted ||= --left <= 0;
              yield features.slice(at, at + rows * source.width);
            }
          }
        },
      };
      const stopped = train(await task(options, { modelOptions, record, signal, source }));
      expect((await failure(stopped)).code).toBe('interrupted');
      expect(left).toBe(0); // none was asked for after that
    }
    const resumed = await run(options, { modelOptions, record });
    expect(await bits(resumed.result)).toEqual(await bits(whole.result));
    expect(record.log).toBe(whole.record.log);
  });

  it('needs no more memory for larger slides, and leaves none behind', async () => {
    const { device } = await task({});
    const before = device.memory.live;
    const peaks = [];
    for (const times of [20, 60]) {
      const { source } = largerCohort(times);
      const { result } = await run({ streamAbove: 25, maxPatches: 1e6, epochs: 1 }, { source });
      result.model.dispose();
      peaks.push(result.peakBytes - before);
    }
    // Some losses may not have been read back yet; the features of the larger slides alone are 4 kB at least.
    expect(Math.abs(peaks[1]! - peaks[0]!)).toBeLessThan(2048);
    expect(peaks[0]).toBeGreaterThan(0);
    expect(device.memory.live).toBe(before);
  });

  it('says of a loss that is not finite that the layer was not looked for', async () => {
    const targets = cohort.targets.map((value) => value * 1e30);
    const options = { streamAbove: 20, targetScale: 'none' } as const;
    const error = await failure(train(await task(options, { targets })));
    expect(error.code).toBe('non-finite-loss');
    expect(error.message).toContain('go through the GPU in pieces; the layer was not looked for');
  });

  it.each([0, 2.5])('%s is refused', async (streamAbove) => {
    const error = await failure(train(await task({ streamAbove })));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain('streamAbove');
  });

  it('changes nothing for models that take whole slides only', async () => {
    const kind = 'direct-patch-level';
    const more = { kind, modelOptions: SMALL[kind] } as const;
    const whole = await run({}, more);
    const asked = await run({ streamAbove: 20 }, more);
    expect(await bits(asked.result)).toEqual(await bits(whole.result));
  });
});

it('features are scaled by the patches of large slides too, which are read in pieces', async () => {
  const sizes = [10, 70_000];
  const values = sizes.map((rows) => Float32Array.from({ length: rows }, (_, i) => Math.sin(i)));
  const bags = values.map((features, i) => ({ features, rows: sizes[i]!, width: 1 }));
  const whole = memorySource(bags);
  const asked: number[] = [];
  const source: BagSource = {
    ...whole,
    async *pieces(slide, rows) {
      asked.push(slide);
      for (let at = 0; at < sizes[slide]!; at += rows) yield values[slide]!.slice(at, at + rows);
    },
  };
  const expected = await fitFeatureScale(whole, [[0], [1]]);
  const found = await fitFeatureScale(source, [[1], [0]]);
  expect(asked).toEqual([1]);
  expectClose(found.mean, expected.mean);
  expectClose(found.std, expected.std);
});

it('one slide in memory, in pieces: the same prediction, and the slide stays as it is', async () => {
  const { result } = await run({ epochs: 1 });
  const { device } = await task({});
  const bag = cohort.bags[0]!;
  const copy = bag.features.slice();
  const whole = await predictBag(device, result, bag, 'S0');
  const streamed = await predictBag(device, result, bag, 'S0', 7);
  expect(streamed.patches).toBeNull();
  expectClose(streamed.expression, whole.expression);
  expectClose(streamed.attention!, whole.attention!);
  expect(bag.features).toEqual(copy);
  result.model.dispose();
});
