/** Mixed precision: it learns as float32 does, leaves out steps that overflow, and resumes with the same bits. */
import { describe, expect, it, vi } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { Recording } from '../../src/gpu/recording.ts';
import type { ModelKind } from '../../src/models/registry.ts';
import type { TrainTask } from '../../src/training/task.ts';
import { train } from '../../src/training/train.ts';
import { testDevice } from '../device.ts';
import {
  exampleCohort,
  exampleOptions,
  failure,
  GENES,
  MemoryRecord,
  memorySource,
  SMALL,
  stopAfter,
} from './example.ts';

const cohort = exampleCohort();
/** Gradients of the loss above 1: 65,536 times as much is beyond float16. */
const LARGE = cohort.targets.map((value) => 1000 * value);

async function task(
  kind: ModelKind,
  options: Partial<TrainTask['options']>,
  changes: Partial<TrainTask> = {},
): Promise<TrainTask> {
  const { source, targets, split } = cohort;
  return {
    ...{ device: await testDevice(), source, genes: GENES, targets, split, kind },
    modelOptions: SMALL[kind],
    options: exampleOptions({
      ...{ epochs: 8, patience: 8, maxPatches: 3, precision: 'mixed' },
      ...options,
    }),
    ...changes,
  };
}

async function outcome(
  kind: ModelKind,
  options: Partial<TrainTask['options']> = {},
  changes: Partial<TrainTask> = {},
  record = new MemoryRecord(),
) {
  const { model, skippedSteps } = await train(await task(kind, options, { record, ...changes }));
  const parameters = [...(await model.stateDict())].map(([name, { data }]) => [name, [...data]]);
  model.dispose();
  return { parameters, log: record.log, lines: record.lines, skippedSteps };
}

describe.each(['direct-abmil', 'direct-patch-level', 'contrastive'] as const)(
  '%s in mixed precision',
  (kind) => {
    it('has the losses of float32 but for its rounding, and learns', async () => {
      // Hardly moving, so that steps that are left out make no difference.
      const half = await outcome(kind, { lr: 1e-7 });
      const full = await outcome(kind, { lr: 1e-7, precision: 'float32' });
      const taken = half.lines.filter(({ loss }) => loss !== undefined);
      expect(taken.length).toBeGreaterThan(20);
      for (const { step, loss } of taken) {
        const other = full.lines.find((line) => line.step === step)!.loss!;
        expect(Math.abs(loss! / other - 1)).toBeLessThan(0.01);
      }
      expect(half.parameters).not.toEqual(full.parameters);
      expect(half.lines.some(({ scale }) => scale !== undefined)).toBe(true);
      expect(full.lines.some(({ scale }) => scale !== undefined)).toBe(false);
      expect(full.skippedSteps).toBeUndefined();
      const learnt = await outcome(kind);
      const curve = learnt.lines.flatMap(({ trainLoss }) => trainLoss ?? []);
      expect(curve.at(-1)).toBeLessThan(0.9 * curve[0]!);
    });

    it('is the same interrupted, resumed, and without replay', async () => {
      const replay = vi.spyOn(Recording.prototype, 'replay');
      const whole = await outcome(kind);
      expect(replay.mock.calls.length).toBeGreaterThan(15);
      replay.mockRestore();
      expect(await outcome(kind, {}, { capture: false })).toEqual(whole);
      const record = new MemoryRecord();
      for (const steps of [2, 11]) {
        const stopped = train(await task(kind, {}, { record, ...stopAfter(cohort.source, steps) }));
        expect((await failure(stopped)).code).toBe('interrupted');
      }
      expect(await outcome(kind, {}, {}, record)).toEqual(whole);
    });
  },
);

describe('steps that overflow', () => {
  const options = { targetScale: 'none' } as const;
  const large = { targets: LARGE };

  it('are left out, counted and logged, before and after an interruption', async () => {
    const skips: number[] = [];
    const onProgress = ({ skipped }: { skipped?: number }) => void skips.push(skipped ?? -1);
    const whole = await outcome('direct-abmil', options, { ...large, onProgress });
    const skipped = whole.lines.filter((line) => line.skipped);
    expect(skipped.length).toBeGreaterThan(2);
    expect(skipped.length).toBeLessThan(30);
    expect(whole.skippedSteps).toBe(skipped.length);
    expect(skips.at(-1)).toBe(skipped.length);
    // Each halves the scale, and the loss of an epoch is that of the steps that were taken.
    expect(skipped.map(({ scale }) => scale)).toEqual(skipped.map((_, i) => 2 ** (15 - i)));
    for (const { trainLoss } of whole.lines) expect(trainLoss ?? 1).toBeGreaterThan(0);

    const record = new MemoryRecord();
    for (const steps of [2, 5]) {
      const stopped = train(
        await task('direct-abmil', options, {
          ...{ record, ...large },
          ...stopAfter(cohort.source, steps),
        }),
      );
      expect((await failure(stopped)).code).toBe('interrupted');
    }
    expect(await outcome('direct-abmil', options, large, record)).toEqual(whole);
  });

  it('all of them: says that the model is not trained', async () => {
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const targets = cohort.targets.map((value) => 1e6 * value);
    const { skippedSteps } = await outcome(
      'direct-abmil',
      { ...options, epochs: 1 },
      { targets, onWarning },
    );
    expect(skippedSteps).toBeGreaterThan(2);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`direct-abmil is as untrained as it began`);
    expect(warnings[0]).toContain(`in all ${skippedSteps} steps`);
    await outcome('direct-abmil', options, { ...large, onWarning });
    expect(warnings).toHaveLength(1);
  });

  it('too many in a row end the training, with what to do', async () => {
    const record = new MemoryRecord();
    const targets = cohort.targets.map((value) => 1e30 * value);
    const endless = { ...options, epochs: 30, patience: 30, checkpointSteps: 1 };
    const { live } = (await testDevice()).memory;
    const error = await failure(train(await task('direct-abmil', endless, { targets, record })));
    expect(error.code).toBe('loss-scale');
    expect((await testDevice()).memory.live).toBe(live);
    expect(error.message).toMatch(/loss scale is .*were left out[\s\S]*train in float32/);
  });
});

it('slides in pieces: the losses of whole slides', async () => {
  const modelOptions = { ...SMALL['direct-abmil'], dropout: 0 };
  const whole = await outcome('direct-abmil', {}, { modelOptions });
  const streamed = await outcome('direct-abmil', { streamAbove: 2 }, { modelOptions });
  const losses = ({ lines }: typeof whole) => lines.flatMap(({ trainLoss }) => trainLoss ?? []);
  for (const [epoch, loss] of losses(streamed).entries())
    expect(Math.abs(loss / losses(whole)[epoch]! - 1)).toBeLessThan(0.02);
  expect(streamed.lines.some(({ scale }) => scale !== undefined)).toBe(true);
});

it.each([
  ['whole', undefined, /row 2 of (.* from )?slide S5, column 1 .* is 100000,/],
  ['in pieces', 2, /row 2 of (.* from )?slide S5, column 1 .* is 100000,/],
])('features that float16 does not reach are refused, %s', async (_, streamAbove, found) => {
  const bags = cohort.bags.map(({ features, ...bag }, s) => ({
    ...bag,
    features: features.map((value, i) =>
      s === 5 && i >= 2 * bag.width && i % bag.width === 1 ? 1e5 : value,
    ),
  }));
  const source = memorySource(bags);
  const stopped = train(
    await task('direct-abmil', { streamAbove, featureScale: 'none' }, { source }),
  );
  const error = await failure(stopped);
  expect(error.code).toBe('half-range');
  expect(error.message).toMatch(found);
});

it('the kernels of GPUs, which read halves where the adapter has them, give the same losses', async () => {
  const [gpu, cpu] = [await testDevice('gpu'), await testDevice('cpu')];
  const losses = async (device: Device) =>
    (await outcome('direct-abmil', { lr: 1e-7 }, { device })).lines.map(({ loss }) => loss);
  const [found, expected] = [await losses(gpu), await losses(cpu)];
  expect(found).toHaveLength(expected.length);
  for (const [i, loss] of expected.entries()) {
    if (loss !== undefined) expect(Math.abs(found[i]! / loss - 1)).toBeLessThan(0.01);
  }
});

it('another precision is refused', async () => {
  const wrong = await task('direct-abmil', {});
  Reflect.set(wrong.options, 'precision', 'fp16');
  const error = await failure(train(wrong));
  expect(error.code).toBe('bad-option');
  expect(error.message).toContain('precision is fp16, expected float32 or mixed');
});

it('a checkpoint of the other precision is refused', async () => {
  const record = new MemoryRecord();
  await outcome('direct-abmil', { precision: 'float32' }, {}, record);
  const error = await failure(train(await task('direct-abmil', {}, { record })));
  expect(error.code).toBe('checkpoint-mismatch');
  expect(error.message).toContain('training options');
});
