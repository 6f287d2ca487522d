/** Training whose steps are replayed ends with the bits of training whose steps just run. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Recording } from '../../src/gpu/recording.ts';
import { DirectAbmil } from '../../src/models/direct-abmil.ts';
import type { ModelKind } from '../../src/models/registry.ts';
import { mse } from '../../src/ops/mse.ts';
import { affine } from '../../src/ops/unary.ts';
import type { TrainTask } from '../../src/training/task.ts';
import { train } from '../../src/training/train.ts';
import { testDevice } from '../device.ts';
import {
  exampleCohort,
  exampleOptions,
  failure,
  GENES,
  MemoryRecord,
  SMALL,
  stopAfter,
} from './example.ts';

afterEach(() => void vi.restoreAllMocks());

const cohort = exampleCohort();

/** Every bag has three patches: the epochs' batches of 3 and 2 bags repeat. */
async function task(kind: ModelKind, changes: Partial<TrainTask> = {}): Promise<TrainTask> {
  const { source, targets, split } = cohort;
  const options = exampleOptions({
    ...{ epochs: 8, patience: 8, maxPatches: 3, maxNorm: 0.5 },
    ...{ schedule: 'cosine', warmupEpochs: 1 },
  });
  return {
    ...{ device: await testDevice(), source, genes: GENES, targets, split, kind },
    ...{ modelOptions: SMALL[kind], options },
    ...changes,
  };
}

/** Parameters as bytes, and every loss, norm and learning rate as logged. */
async function outcome(kind: ModelKind, changes: Partial<TrainTask>) {
  const record = new MemoryRecord();
  const { model } = await train(await task(kind, { record, ...changes }));
  const parameters = [...(await model.stateDict())].map(([name, { data }]) => [name, [...data]]);
  model.dispose();
  const log = changes.record instanceof MemoryRecord ? changes.record.log : record.log;
  return { parameters, log };
}

describe.each(['direct-abmil', 'direct-patch-level', 'contrastive'] as const)(
  '%s, steps replayed',
  (kind) => {
    it('gives the same bits, also when interrupted and resumed', async () => {
      const replay = vi.spyOn(Recording.prototype, 'replay');
      const eager = await outcome(kind, { capture: false });
      expect(replay).not.toHaveBeenCalled();
      expect(await outcome(kind, { compileAhead: true })).toEqual(eager);
      // 32 steps of two sets of sizes, of which three each are not replayed.
      expect(replay).toHaveBeenCalledTimes(26);

      const record = new MemoryRecord();
      // One leg of each kind: what was recorded in one is run in the next.
      for (const [steps, capture] of [
        [13, true],
        [3, false],
        [9, true],
      ] as const) {
        const stopping = stopAfter(cohort.source, steps);
        const stopped = train(await task(kind, { record, capture, ...stopping }));
        expect((await failure(stopped)).code).toBe('interrupted');
      }
      expect(await outcome(kind, { record })).toEqual(eager);
    });
  },
);

it('a step that cannot be replayed runs as it is, with a warning', async () => {
  let steps = 0;
  const loss = (model: DirectAbmil, ...[bags, targets]: Parameters<DirectAbmil['loss']>) =>
    affine(mse(model.forward(bags).expression, targets), 1 + 0.1 * steps++);
  vi.spyOn(DirectAbmil.prototype, 'loss').mockImplementation(function (
    this: DirectAbmil,
    bags,
    targets,
  ) {
    return loss(this, bags, targets);
  });
  const eager = await outcome('direct-abmil', { capture: false });
  steps = 0;
  const replay = vi.spyOn(Recording.prototype, 'replay');
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  expect(await outcome('direct-abmil', { onWarning })).toEqual(eager);
  expect(replay).not.toHaveBeenCalled();
  expect(warnings[0]).toMatch(/direct-abmil: steps are not replayed.*unary.* had other values/);
  // Once for each set of sizes.
  expect(warnings).toHaveLength(2);
});

it('models without gradient training do not notice', async () => {
  const [eager, captured] = [
    await outcome('ridge', { capture: false }),
    await outcome('ridge', {}),
  ];
  expect(captured).toEqual(eager);
});
