import { beforeAll, describe, expect, it } from 'vitest';
import { writeError } from '../../src/data/node/atomic-write.ts';
import { Device } from '../../src/gpu/device.ts';
import { type ModelKind, trainingDefaults } from '../../src/models/registry.ts';
import { oversizeWarning, streamWarning } from '../../src/training/bag-limit.ts';
import type { BagSource } from '../../src/training/bag-source.ts';
import { neighbourWarning } from '../../src/training/check-task.ts';
import { predictBag, predictSlides } from '../../src/training/predict.ts';
import { TRAIN_DEFAULTS, type TrainTask } from '../../src/training/task.ts';
import { type TrainResult, train } from '../../src/training/train.ts';
import { serializeModel } from '../../src/training/trained-model.ts';
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
  stopWhen,
} from './example.ts';

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
  for await (const { expression } of predictSlides(device, result, source, split.test, 20))
    add(expression);
  result.model.dispose();
  return Buffer.concat(parts).toString('hex');
}

async function outcome(
  changes: Partial<TrainTask>,
  kind: ModelKind = 'direct-abmil',
): Promise<string> {
  return fingerprint(await train(task(kind, changes)));
}

describe('train', () => {
  it('learns: the loss falls, and the best epoch by validation is kept', async () => {
    const record = new MemoryRecord();
    const { source, targets, split } = exampleCohort(60);
    const options = exampleOptions({ epochs: 20, patience: 20, batchSize: 4 });
    const result = await train(task('direct-abmil', { source, targets, split, options, record }));
    result.model.dispose();
    const { points } = result;
    expect(points).toHaveLength(20);
    expect(points.at(-1)!.trainLoss!).toBeLessThan(0.5 * points[0]!.trainLoss!);
    const best = Math.max(...points.map((p) => p.validationPearson!));
    expect(best).toBeGreaterThan(0.5);
    expect(points[result.bestEpoch - 1]!.validationPearson).toBe(best);
    expect(record.lines.filter((line) => 'gradNorm' in line)).toHaveLength(20 * 8);
    expect(result.parameters).toBeGreaterThan(0);
    expect(result.peakBytes).toBeGreaterThan(0);
  });

  it.each(['direct-abmil', 'direct-patch-level'] as const)(
    '%s by default predicts about the mean, however short the training',
    async (kind) => {
      const options = { ...TRAIN_DEFAULTS, ...trainingDefaults(kind), epochs: 1 };
      const trained = await train(task(kind, { options }));
      const { source, split, targets } = cohort;
      const of = (slide: number, g: number) => targets[slide * GENES.length + g]!;
      let [error, spread] = [0, 0];
      for await (const { slide, expression } of predictSlides(
        device,
        trained,
        source,
        split.test,
        99,
      )) {
        for (const [g, value] of expression.entries()) {
          const mean = split.train.reduce((sum, i) => sum + of(i, g), 0) / split.train.length;
          error += (value - of(slide, g)) ** 2;
          spread += (mean - of(slide, g)) ** 2;
        }
      }
      trained.model.dispose();
      // 1.2 and 1.3; without target scaling 28 and 27.
      expect(error).toBeLessThan(1.5 * spread);
    },
  );

  it('warns where all training slides are neighbours, so that every prediction is their mean', () => {
    const warning =
      'with k = 100 and 45 training slides every prediction is their mean: choose a smaller k, such as 9';
    expect(neighbourWarning('knn', { k: 100, metric: 'cosine' }, 45)).toBe(warning);
    expect(neighbourWarning('knn', { k: 44, metric: 'cosine' }, 45)).toBeNull();
    expect(neighbourWarning('contrastive', { k: 45, weighting: 'uniform' }, 45)).toContain(
      'k = 45',
    );
    expect(neighbourWarning('contrastive', { k: 100, weighting: 'softmax' }, 45)).toBeNull();
    expect(neighbourWarning('ridge', {}, 45)).toBeNull();
  });

  it('keeps the last parameters where it is told to, validated or not', async () => {
    const result = await train(
      task('direct-abmil', { options: exampleOptions({ keepLast: true, patience: 1000 }) }),
    );
    const unwatched = { ...cohort.split, validation: [] };
    expect(result.bestEpoch).toBe(result.points.length);
    expect(result.points.every((point) => point.validationPearson !== undefined)).toBe(true);
    const last = await fingerprint(result);
    expect(last).toBe(await outcome({ split: unwatched }));
  });

  it('finishes early with what it has: a begun epoch is validated, and it does not go on later', async () => {
    const record = new MemoryRecord();
    const { source, signal: finishEarly } = stopAfter(cohort.source, 6);
    const result = await train(task('direct-abmil', { source, finishEarly, record }));
    // Four steps an epoch: the second was cut short.
    expect(result.points.map(({ step, epoch }) => [step, epoch])).toEqual([
      [4, 1],
      [6, 2],
    ]);
    expect(result.points[1]!.validationPearson).toBeDefined();
    const model = await fingerprint(result);
    expect(await outcome({ record })).toBe(model);
  });

  it('finishes early right where it was interrupted', async () => {
    const record = new MemoryRecord();
    await failure(train(task('direct-abmil', { record, ...stopAfter(cohort.source, 6) })));
    const result = await train(task('direct-abmil', { record, finishEarly: { aborted: true } }));
    expect(result.points.map(({ step }) => step)).toEqual([4, 6]);
    result.model.dispose();
  });

  it('that is to finish before it began takes one step', async () => {
    const result = await train(task('direct-abmil', { finishEarly: { aborted: true } }));
    expect(result.points.map(({ step }) => step)).toEqual([1]);
    result.model.dispose();
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
          const error = await failure(
            train(task(kind, { record, ...stopAfter(cohort.source, leg) })),
          );
          expect(error.code).toBe('interrupted');
          expect(error.message).toContain('--resume');
        }
        expect(await outcome({ record }, kind), `stopped after ${legs}`).toBe(expected);
        expect(record.log).toBe(whole.log);
      }
    },
  );

  it('a stop does not wait for the scales nor for a validation, which are done anew: the same bits and log', async () => {
    const options = exampleOptions({ evaluationPatches: 9 });
    const whole = new MemoryRecord();
    const expected = await outcome({ record: whole, options });
    const record = new MemoryRecord();
    const epochs = [];
    for (const reads of [2, 12, 1, 6]) {
      let read = 0;
      const stop = stopWhen(cohort.source, (_, sample) => sample === undefined && ++read === reads);
      const error = await failure(train(task('direct-abmil', { record, options, ...stop })));
      expect(error.code).toBe('interrupted');
      expect(read).toBe(reads);
      epochs.push(record.checkpoint && record.lines.filter((line) => 'trainLoss' in line).length);
    }
    // In the scales, then in the validation of the first epoch twice, and of the third.
    expect(epochs).toEqual([null, 0, 0, 1]);
    expect(await outcome({ record, options })).toBe(expected);
    expect(record.log).toBe(whole.log);
  });

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

  it('stops early when validation no longer improves', async () => {
    const options = exampleOptions({ epochs: 50, patience: 3, lr: 1e-20, weightDecay: 0 });
    const result = await train(task('direct-abmil', { options }));
    result.model.dispose();
    expect(result.points).toHaveLength(4);
    expect(result.bestEpoch).toBe(1);
  });

  it('validates every so many epochs, and at the last', async () => {
    const options = exampleOptions({ epochs: 5, validateEvery: 2 });
    const result = await train(task('direct-patch-level', { options }));
    result.model.dispose();
    const validated = result.points.filter((p) => p.validationPearson !== undefined);
    expect(validated.map((p) => p.epoch)).toEqual([2, 4, 5]);
  });

  it('keeps the last parameters without a validation part', async () => {
    const split = { ...cohort.split, validation: [] };
    const result = await train(task('direct-abmil', { split }));
    result.model.dispose();
    expect(result.bestEpoch).toBe(4);
    expect(result.points.every((p) => p.validationPearson === undefined)).toBe(true);
  });

  it('scores by squared error where a correlation over slides is undefined', async () => {
    const split = { ...cohort.split, validation: cohort.split.validation.slice(0, 1) };
    const options = exampleOptions({ epochs: 6, patience: 6 });
    const { points, bestEpoch, model } = await train(
      task('direct-patch-level', { split, options }),
    );
    model.dispose();
    const least = Math.min(...points.map((p) => p.validationLoss!));
    expect(points[bestEpoch - 1]!.validationLoss).toBe(least);
  });

  it.each([true, false])(
    'leaves no GPU memory behind, in epochs or at the end (steps replayed: %s)',
    async (capture) => {
      await outcome({}); // warm: pipelines, pools
      const before = device.memory.live;
      const live: number[] = [];
      const onProgress = () => live.push(device.memory.live);
      const options = exampleOptions({ epochs: 20, patience: 20 });
      await outcome({ onProgress, options, capture });
      expect(device.memory.live).toBe(before);
      // Four sets of shapes are recorded in the first half at the latest.
      const first = live.splice(0, live.length / 2);
      // Results of up to sixteen steps may be on their way back.
      expect(Math.max(...live)).toBeLessThan(Math.max(...first) + 12_000);
    },
  );
});

describe('train: what goes wrong', () => {
  it('a loss that is not finite: names step, slides and layer, and keeps the last good checkpoint', async () => {
    const record = new MemoryRecord();
    const options = exampleOptions({ lr: 1e30, checkpointSteps: 1 });
    const error = await failure(train(task('direct-abmil', { record, options })));
    expect(error.code).toBe('non-finite-loss');
    expect(error.message).toMatch(/loss of step 2 \(epoch 1; slides S\d+, S\d+/);
    expect(error.message).toMatch(
      /first non-finite value is in layer (embed|head|attention\.\w+) \(/,
    );
    expect(error.message).toMatch(/recomputed with the parameters of step \d+/);
    expect(error.message).toContain('The last good checkpoint, of step 1, is kept in memory');
    expect(record.checkpoints).toBe(1);
  });

  it('a gradient that is not finite stops training too', async () => {
    const targets = cohort.targets.map((value) => value * 1e17);
    const source = memorySource(
      cohort.bags.map((bag) => ({ ...bag, features: bag.features.map((x) => x * 1e4) })),
    );
    const options = exampleOptions({ targetScale: 'none', featureScale: 'none' });
    const error = await failure(train(task('direct-patch-level', { source, targets, options })));
    expect(error.code).toBe('non-finite-gradient');
    expect(error.message).toContain('gradient of step 1');
    expect(error.message).toContain('norm overflows');
    expect(error.message).not.toContain('first non-finite value');
  });

  it('a step that throws frees what it had uploaded', async () => {
    const source: BagSource = {
      ...cohort.source,
      async *batches(order, sample) {
        let count = 0;
        for await (const batch of cohort.source.batches(order, sample)) {
          // A batch that the layers refuse, after two that are still in flight.
          yield sample && ++count === 3 ? { ...batch, offsets: Uint32Array.of(0, 1) } : batch;
        }
      },
    };
    const before = device.memory.live;
    await expect(train(task('direct-abmil', { source }))).rejects.toThrow();
    expect(device.memory.live).toBe(before);
  });

  it('NaN in features, where scaling sees it', async () => {
    const bags = cohort.bags.map((bag) => ({ ...bag, features: bag.features.slice() }));
    bags[1]!.features[2] = Number.NaN;
    const source = memorySource(bags);
    const scaled = await failure(train(task('direct-abmil', { source })));
    expect(scaled.code).toBe('non-finite-feature');
    expect(scaled.message).toContain('Feature 2');
    expect(scaled.message).toContain('S1');
  });

  it('NaN in targets: names slide and gene', async () => {
    const targets = cohort.targets.slice();
    targets[3 * GENES.length + 2] = Number.NaN;
    const error = await failure(train(task('ridge', { targets })));
    expect(error.code).toBe('non-finite-target');
    expect(error.message).toContain('gene G2 in slide S3');
  });

  it.each([
    ['lr', -1],
    ['epochs', 0],
    ['batchSize', 2.5],
    ['patience', Number.NaN],
  ] as const)('option %s = %s', async (name, value) => {
    const error = await failure(train(task('knn', { options: exampleOptions({ [name]: value }) })));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain(name);
  });

  it('a model option out of its range', async () => {
    const modelOptions = { ...SMALL['direct-abmil'], dropout: 1 };
    const error = await failure(train(task('direct-abmil', { modelOptions })));
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain('direct-abmil.dropout is 1');
  });

  it.each([1, 2])('steps of %d, where Contrastive would have a slide alone', async (batchSize) => {
    // Of 11 slides in pairs, one is left.
    const options = exampleOptions({ batchSize });
    const error = await failure(train(task('contrastive', { options })));
    expect(error.code).toBe('bad-option');
    expect(error.message).toMatch(/11 training slides in steps of \d at most one would be alone/);
  });

  it('slides that do not fit into one buffer: a random part predicts, a step that is too large is refused', async () => {
    // Room for 12 patches of 8 hidden columns: less than 3 bags of at most 9.
    const small = await Device.open();
    const most = { maxStorageBufferBindingSize: 12 * 8 * 4, maxBufferSize: 2 ** 20 };
    const limits = { ...small.limits, ...most };
    Object.defineProperty(small, 'limits', { value: limits, configurable: true });
    const kind = 'direct-patch-level';
    const whole = exampleOptions({ maxPatches: 100 });
    const error = await failure(train(task(kind, { device: small, options: whole })));
    expect(error.code).toBe('batch-too-large');
    expect(error.message).toContain('--batch-size');
    expect(error.message).toContain('12 of them');

    limits.maxStorageBufferBindingSize = 4 * 8 * 4;
    const bag = cohort.bags.find(({ rows }) => rows > 5)!;
    const trained = await train(
      task(kind, { device: small, options: exampleOptions({ batchSize: 1, epochs: 1 }) }),
    );
    const first = await predictBag(small, trained, bag, 'S');
    expect(first.patches).toHaveLength(4);
    expect(await predictBag(small, trained, bag, 'S')).toEqual(first);
    const warning = oversizeWarning(small, cohort.source, kind, SMALL[kind]);
    expect(warning).toContain('holds 4 patches');
    expect(oversizeWarning(device, cohort.source, kind, SMALL[kind])).toBeNull();
    expect(oversizeWarning(small, cohort.source, 'direct-abmil', {})).toBeNull();
    expect(streamWarning([kind])).toContain(`changes nothing here: ${kind} takes slides whole`);
    expect(streamWarning([kind, 'direct-abmil']) ?? streamWarning([])).toBeNull();
    small.close();
  });

  it('a split without training slides, targets that do not fit', async () => {
    const split = { ...cohort.split, train: [] };
    expect((await failure(train(task('knn', { split })))).message).toContain('no training slides');
    const targets = cohort.targets.slice(1);
    expect((await failure(train(task('knn', { targets })))).code).toBe('bad-task');
  });

  it('a checkpoint of another model, other genes, another width, other options', async () => {
    const record = new MemoryRecord();
    await outcome({ record });
    const saved = record.checkpoint!;
    const genes = ['A', 'B', 'C', 'D', 'E'];
    const wide = memorySource(cohort.bags.map((b) => ({ ...b, width: 3, rows: b.rows * 2 })));
    const attempts: [string, TrainTask][] = [
      ['model: expected "contrastive", found "direct-abmil"', task('contrastive')],
      ['genes: expected ["A"', task('direct-abmil', { genes })],
      ['feature width: expected 3, found 6', task('direct-abmil', { source: wide })],
      ['training options', task('direct-abmil', { options: exampleOptions({ lr: 1e-3 }) })],
      ['targets', task('direct-abmil', { targets: cohort.targets.map((v) => v + 1) })],
    ];
    const before = device.memory.live;
    for (const [text, other] of attempts) {
      record.checkpoint = saved;
      const error = await failure(train({ ...other, record }));
      expect(error.code).toBe('checkpoint-mismatch');
      expect(error.message).toContain(text);
      expect(device.memory.live).toBe(before);
    }
    record.checkpoint = await serializeModel(await train(task('knn')));
    expect((await failure(train(task('knn', { record })))).message).toContain('histograd-model');
  });

  it('a checkpoint made with another tuning of the kernels, whose bits would not go on', async () => {
    const record = new MemoryRecord();
    await outcome({ record });
    const { tuning: own } = device;
    const tuning = { ...own, name: 'mine', thread: { workgroup: 2 * own.thread.workgroup } };
    const tuned = await Device.open({ tuning });
    const error = await failure(train(task('direct-abmil', { device: tuned, record })));
    expect(error.code).toBe('checkpoint-mismatch');
    const { mark } = tuned.chosenTuning;
    expect(error.message).toContain(`tuning of the kernels: expected "${mark}", found nothing`);
    tuned.close();
  });

  it('a device that is lost in the middle: the checkpoint serves to resume, with the same bits', async () => {
    const expected = await outcome({});
    const record = new MemoryRecord();
    const doomed = await Device.open();
    let batches = 0;
    const source: BagSource = {
      ...cohort.source,
      async *batches(order, sample) {
        for await (const batch of cohort.source.batches(order, sample)) {
          if (sample && ++batches === 6) doomed.raw.destroy();
          yield batch;
        }
      },
    };
    const options = exampleOptions({ checkpointSteps: 2 });
    const error = await failure(
      train(task('direct-abmil', { device: doomed, source, record, options })),
    );
    expect(error.code).toBe('device-lost');
    expect(record.checkpoints).toBe(2);
    expect(await outcome({ record, options })).toBe(expected);
  });

  it('a full disk', async () => {
    const record = new MemoryRecord();
    record.saveCheckpoint = async () => {
      throw writeError(
        '/full/checkpoint.safetensors',
        Object.assign(new Error('no space'), { code: 'ENOSPC' }),
      );
    };
    const before = device.memory.live;
    const error = await failure(train(task('direct-abmil', { record })));
    expect(error.code).toBe('disk-full');
    expect(device.memory.live).toBe(before);
  });
});
