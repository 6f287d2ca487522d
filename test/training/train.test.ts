import { beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import type { ModelKind } from '../../src/models/registry.ts';
import type { TrainTask } from '../../src/training/task.ts';
import { type TrainResult, train } from '../../src/training/train.ts';
import { predictSlides } from '../../src/training/trained-model.ts';
import { testDevice } from '../device.ts';
import { exampleCohort, exampleOptions, failure, GENES, MemoryRecord, SMALL, stopAfter } from './example.ts';

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

const cohort = exampleCohort();

function task(kind: ModelKind, changes: Partial<TrainTask> = {}): TrainTask {
  const { source, targets, split } = cohort;
  return {
    device,
    source,
    genes: GENES,
    targets,
    split,
    kind,
    modelOptions: SMALL[kind],
    options: exampleOptions(),
    ...changes,
  };
}

/** All that a training gives, as bytes: parameters and test predictions. */
async function fingerprint(result: TrainResult): Promise<string> {
  const parts: Uint8Array[] = [];
  const add = ({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBufferLike>) =>
    parts.push(new Uint8Array(buffer, byteOffset, byteLength));
  for (const { data } of (await result.model.stateDict()).values()) add(data);
  const { source, split } = cohort;
  for await (const { expression } of predictSlides(device, result, source, split.test, 20)) add(expression);
  result.model.dispose();
  return Buffer.concat(parts).toString('hex');
}

async function outcome(changes: Partial<TrainTask>, kind: ModelKind = 'direct-abmil'): Promise<string> {
  return fingerprint(await train(task(kind, changes)));
}

describe('train', () => {
  it('learns: the loss falls, and the best epoch by validation is kept', async () => {
    const record = new MemoryRecord();
    const options = exampleOptions({ epochs: 60, patience: 60 });
    const result = await train(task('direct-abmil', { options, record }));
    result.model.dispose();
    const { points } = result;
    expect(points).toHaveLength(60);
    expect(points.at(-1)!.trainLoss!).toBeLessThan(0.5 * points[0]!.trainLoss!);
    const best = Math.max(...points.map((p) => p.validationPearson!));
    expect(best).toBeGreaterThan(0.5);
    expect(points[result.bestEpoch - 1]!.validationPearson).toBe(best);
    expect(record.lines.filter((line) => 'gradNorm' in line)).toHaveLength(60 * 4);
    expect(result.parameters).toBeGreaterThan(0);
    expect(result.peakBytes).toBeGreaterThan(0);
  });

  it('gives the same bits twice', async () => {
    expect(await outcome({})).toBe(await outcome({}));
  });

  it('depends on the seed', async () => {
    expect(await outcome({})).not.toBe(await outcome({ options: exampleOptions({ seed: 1 }) }));
  });

  it.each(['direct-abmil', 'direct-patch-level', 'contrastive'] as const)(
    '%s: stopped at any step and resumed, ends with the same bits and the same log',
    async (kind) => {
      const whole = new MemoryRecord();
      const expected = await outcome({ record: whole }, kind);
      const steps = whole.lines.filter((line) => 'gradNorm' in line).length;
      expect(steps).toBe(16);
      for (const legs of [[1], [4], [5, 1, 5], [16]]) {
        const record = new MemoryRecord();
        for (const leg of legs) {
          const error = await failure(train(task(kind, { record, ...stopAfter(cohort.source, leg) })));
          expect(error.code).toBe('interrupted');
          expect(error.message).toContain('--resume');
        }
        expect(await outcome({ record }, kind), `stopped after ${legs}`).toBe(expected);
        expect(record.log).toBe(whole.log);
      }
    },
  );

  it('keeps a checkpoint every so many steps, and resumes from one that lies behind the log', async () => {
    const whole = new MemoryRecord();
    const options = exampleOptions({ checkpointSteps: 3 });
    const expected = await outcome({ record: whole, options });
    expect(whole.checkpoints).toBeGreaterThan(5);
    // As after a kill: the checkpoint is old, the log goes on beyond it.
    const record = new MemoryRecord();
    const saved: Uint8Array[] = [];
    const spy = Object.assign(record, {
      saveCheckpoint: async (bytes: Uint8Array) => {
        saved.push(bytes.slice());
      },
    });
    await outcome({ record: spy, options });
    const late = new MemoryRecord();
    late.checkpoint = saved[1]!;
    late.log = record.log;
    expect(await outcome({ record: late, options })).toBe(expected);
    expect(late.log).toBe(whole.log);
  });
});
