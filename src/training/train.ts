/**
 * The training loop: epochs, batches in a seeded order, loss, backward, clipping, AdamW; validation,
 * early stopping, checkpoints. A training that was stopped anywhere and resumed ends with the same bits.
 */
import { backward } from '../autograd/tape.ts';
import { fitZScore } from '../data/expression-transform.ts';
import { shuffle } from '../data/shuffle.ts';
import { HistogradError } from '../errors.ts';
import { evaluatePredictions } from '../metrics/evaluate.ts';
import type { TrainingSet } from '../models/model.ts';
import { createModel } from '../models/registry.ts';
import { AdamW } from '../optim/adamw.ts';
import { clipGradNorm } from '../optim/grad-norm.ts';
import { scheduleFactor } from '../optim/schedule.ts';
import type { CurvePoint } from '../report/types.ts';
import { scope } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type PackedBags, packWholeBags, uploadBags, uploaded } from './bag-source.ts';
import { newProgress, restoreCheckpoint, serializeCheckpoint, type TrainingState } from './checkpoint.ts';
import { checkTask } from './check-task.ts';
import { LossMonitor, type StepRecord, type StepResult } from './loss-monitor.ts';
import { firstNonFiniteResult, nonFiniteGradients } from './non-finite.ts';
import { applyScale, fitFeatureScale, type Scale } from './scaling.ts';
import { SeekableGenerator } from './seekable-generator.ts';
import type { TrainTask } from './task.ts';
import { predictSlides, type TrainedModel } from './trained-model.ts';

export interface TrainResult extends TrainedModel {
  /** One per epoch; none for models without gradient training. */
  readonly points: readonly CurvePoint[];
  /** Trainable parameters. */
  readonly parameters: number;
  /** Wall-clock time, over all resumptions. */
  readonly seconds: number;
  /** Largest amount of live GPU memory seen at the end of a backward pass, in bytes. */
  readonly peakBytes: number;
  /** Epoch (from 1) whose parameters were kept; 0 without gradient training. */
  readonly bestEpoch: number;
}

/**
 * Trains one model on one split. With a validation part, the parameters of the best validation (mean Pearson
 * over genes; MSE where that is undefined) are kept, else the last ones. With a `record` that holds a checkpoint
 * it goes on from there.
 *
 * @returns the model, ready to predict; the caller disposes of it
 * @throws HistogradError `bad-task`; `interrupted` (after writing a checkpoint); `non-finite-loss` and
 *   `non-finite-gradient`, naming step and layer; `checkpoint-mismatch`; those of reading, writing and the device
 */
export async function train(task: TrainTask): Promise<TrainResult> {
  checkTask(task);
  const training = await Training.open(task);
  try {
    if (training.state.model.trainable) await training.run();
    return await training.finish();
  } catch (error) {
    training.state.model.dispose();
    throw error;
  } finally {
    training.close();
  }
}

class Training {
  readonly task: TrainTask;
  readonly state: TrainingState;
  /** Standardised where asked for, [slides, genes]. */
  readonly targets: Float32Array;
  readonly stepsPerEpoch: number;
  readonly monitor = new LossMonitor();
  metrics = '';
  startedAt = performance.now();
  checkpointAt = performance.now();
  checkpointStep: number;

  static async open(task: TrainTask): Promise<Training> {
    const { device, source, genes, options, modelOptions, kind, record } = task;
    const generator = new SeekableGenerator(options.seed);
    const sizes = { width: source.width, genes: genes.length };
    const model = createModel(kind, { device, generator }, sizes, modelOptions);
    try {
      const optimizer = new AdamW(model.namedParameters(), options);
      const state: TrainingState = {
        model,
        optimizer,
        generator,
        scales: { features: null, targets: null },
        progress: newProgress(),
        best: null,
      };
      const checkpoint = await record?.loadCheckpoint();
      if (checkpoint) restoreCheckpoint(task, state, checkpoint, record?.place ?? 'The checkpoint');
      else state.scales = await fitScales(task);
      return new Training(task, state);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  private constructor(task: TrainTask, state: TrainingState) {
    this.task = task;
    this.state = state;
    this.checkpointStep = state.progress.step;
    this.targets = Float32Array.from(task.targets);
    if (state.scales.targets) applyScale(this.targets, state.scales.targets);
    this.stepsPerEpoch = epochBatches(task, 0).length;
  }

  /** All epochs that remain. */
  async run(): Promise<void> {
    const { task, monitor } = this;
    const { progress } = this.state;
    const { options, source } = task;
    while (progress.epoch < options.epochs && !progress.stopped) {
      const batches = epochBatches(task, progress.epoch).slice(progress.stepInEpoch);
      const sample = { maxPatches: options.maxPatches, seed: options.seed, epoch: progress.epoch };
      for await (const batch of source.batches(batches, sample)) {
        const results = await monitor.add(this.step(batch));
        await this.account(results);
        if (task.signal?.aborted) await this.interrupt();
        if (this.checkpointDue()) await this.checkpoint();
      }
      if (task.signal?.aborted) await this.interrupt();
      await this.account(await monitor.drain());
      await this.endEpoch();
      if (task.signal?.aborted) await this.interrupt();
      if (this.checkpointDue()) await this.checkpoint();
    }
  }

  /** One optimiser step; nothing here waits for the GPU. */
  step(batch: PackedBags): StepRecord & { lossTensor: Tensor; clip: Tensor } {
    const { device, options } = this.task;
    const { model, optimizer, generator, progress } = this.state;
    const generatorOffset = generator.offset;
    const lr = options.lr * this.scheduleFactor();
    model.train();
    const { lossTensor, clip } = scope(() => {
      const { bags, targets } = this.upload(batch);
      const loss = model.loss(bags, targets);
      backward(loss);
      progress.peakBytes = Math.max(progress.peakBytes, device.memory.live);
      const clip = clipGradNorm(model.namedParameters().values(), options.maxNorm ?? undefined);
      optimizer.step(clip, lr);
      optimizer.zeroGrad();
      bags.segments.dispose();
      return { lossTensor: loss.view([1]), clip };
    });
    device.flush();
    progress.step++;
    progress.stepInEpoch++;
    const { step, epoch } = progress;
    return { lossTensor, clip, step, epoch: epoch + 1, lr, slides: batch.indices, generatorOffset };
  }

  /** Takes in results that came back: logs them, or stops at the first that is not finite. */
  async account(results: readonly StepResult[]): Promise<void> {
    const { progress } = this.state;
    for (const result of results) {
      const { step, epoch, loss, gradNorm, lr } = result;
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) throw await this.explain(result);
      progress.lossSum += loss;
      this.log({ step, epoch, loss, gradNorm, lr });
    }
    const last = results.at(-1);
    if (last) this.report({ loss: last.loss });
  }

  /** Validates where due, keeps the best parameters, and decides on early stopping. */
  async endEpoch(): Promise<void> {
    const { task, state } = this;
    const { progress } = state;
    const { options, split } = task;
    const epoch = progress.epoch + 1;
    const point: CurvePoint = {
      step: progress.step,
      epoch,
      trainLoss: progress.lossSum / progress.stepInEpoch,
    };
    const due = epoch % options.validateEvery === 0 || epoch === options.epochs;
    if (split.validation.length > 0 && due) {
      const { mse, scaledMse, pearson } = await this.validate();
      // The contrastive loss is on another scale than an error of expression.
      if (task.kind !== 'contrastive') point.validationLoss = scaledMse;
      if (Number.isFinite(pearson)) point.validationPearson = pearson;
      const score = Number.isFinite(pearson) ? pearson : -mse;
      if (progress.bestScore === null || score > progress.bestScore) {
        progress.bestScore = score;
        progress.bestEpoch = epoch;
        progress.validationsSinceBest = 0;
        state.best = await state.model.stateDict();
      } else {
        progress.validationsSinceBest++;
      }
      progress.stopped = progress.validationsSinceBest * options.validateEvery >= options.patience;
    }
    progress.points.push(point);
    progress.epoch = epoch;
    progress.stepInEpoch = 0;
    progress.lossSum = 0;
    this.log({ ...point });
    await this.flushMetrics();
    this.report({ point, ...(point.trainLoss !== undefined && { loss: point.trainLoss }) });
  }

  async validate(): Promise<{ mse: number; scaledMse: number; pearson: number }> {
    const { split, genes, targets } = this.task;
    const { model, scales } = this.state;
    model.eval();
    await model.prepare(this.trainingSet());
    const predicted = await this.predict(split.validation);
    const observed = gatherRows(targets, split.validation, genes.length);
    const name = 'validation';
    const slides = split.validation.map(String);
    const { mse, meanPearson } = evaluatePredictions({
      genes,
      folds: [{ name, slides, observed, predicted }],
    });
    return { mse, scaledMse: scaledError(observed, predicted, scales.targets), pearson: meanPearson };
  }

  /** The best parameters, and what the model has to remember of the training set. */
  async finish(): Promise<TrainResult> {
    const { task, state } = this;
    const { model, progress, scales, best } = state;
    if (model.trainable && task.record) await this.checkpoint();
    if (best) model.loadStateDict(best);
    model.eval();
    await model.prepare(this.trainingSet());
    this.tick();
    return {
      kind: task.kind,
      options: task.modelOptions,
      genes: task.genes,
      width: task.source.width,
      scales,
      model,
      points: progress.points,
      parameters: model.parameterCount(),
      seconds: progress.seconds,
      peakBytes: Math.max(progress.peakBytes, task.device.memory.live),
      bestEpoch: best ? progress.bestEpoch : progress.epoch,
    };
  }

  close(): void {
    this.monitor.dispose();
    this.state.optimizer.dispose();
  }

  async predict(slides: readonly number[]): Promise<Float32Array> {
    const { device, source, genes, options } = this.task;
    const { model, scales } = this.state;
    const rows = new Float32Array(slides.length * genes.length);
    let at = 0;
    const trained = { model, scales, genes };
    for await (const { expression } of predictSlides(device, trained, source, slides, options.evaluationPatches)) {
      rows.set(expression, at);
      at += expression.length;
    }
    return rows;
  }

  trainingSet(): TrainingSet {
    const { device, source, split, genes, options } = this.task;
    const order = packWholeBags(source, split.train, options.evaluationPatches);
    return {
      targets: gatherRows(this.targets, split.train, genes.length),
      count: split.train.length,
      batches: () => uploaded(device, source, order, this.state.scales.features),
    };
  }

  upload(batch: PackedBags) {
    const { device, source, genes } = this.task;
    const rows = gatherRows(this.targets, batch.indices, genes.length);
    return {
      bags: uploadBags(device, batch, source.width, this.state.scales.features),
      targets: Tensor.from(device, rows, [batch.indices.length, genes.length]),
    };
  }

  scheduleFactor(): number {
    const { epochs, schedule, warmupEpochs, lr, minLr } = this.task.options;
    const { stepsPerEpoch, state } = this;
    return scheduleFactor(
      {
        kind: schedule,
        warmupSteps: warmupEpochs * stepsPerEpoch,
        totalSteps: epochs * stepsPerEpoch,
        floor: Math.min(1, minLr / lr),
      },
      state.progress.step,
    );
  }

  /** Computes the batch of a failed step again, to say what went wrong in it. */
  async explain({ step, epoch, slides, loss, generatorOffset }: StepResult): Promise<HistogradError> {
    const { task, state } = this;
    const { source, options, record, kind } = task;
    const sample = { maxPatches: options.maxPatches, seed: options.seed, epoch: epoch - 1 };
    const finiteLoss = Number.isFinite(loss);
    let where = '';
    for await (const batch of source.batches([slides], sample)) {
      const { bags, targets } = this.upload(batch);
      state.generator.seek(generatorOffset);
      state.model.train();
      const first = await firstNonFiniteResult(state.model, bags, targets);
      state.generator.seek(generatorOffset);
      const spoilt = first ? [] : await nonFiniteGradients(state.model, bags, targets);
      if (first) where = ` The first non-finite value is in ${first}.`;
      if (spoilt.length > 0) where = ` Not finite are the gradients of ${spoilt.join(', ')}.`;
      bags.features.dispose();
      bags.segments.dispose();
      targets.dispose();
    }
    const names = slides.map((slide) => source.slides[slide]!.id);
    const kept =
      record && this.checkpointStep > 0
        ? ` The last good checkpoint, of step ${this.checkpointStep}, is kept in ${record.place}.`
        : '';
    return new HistogradError(
      finiteLoss ? 'non-finite-gradient' : 'non-finite-loss',
      `Training ${kind} stopped: the ${finiteLoss ? 'gradient' : 'loss'} of step ${step} (epoch ${epoch}; slides ${names.join(', ')}) is ${finiteLoss ? 'not finite' : loss}.${where}`,
      `Lower the learning rate (--lr), scale the features (--feature-scale zscore) or clip gradients (--max-norm).${kept}`,
    );
  }

  async interrupt(): Promise<never> {
    await this.checkpoint();
    const { record } = this.task;
    throw new HistogradError(
      'interrupted',
      `Training was interrupted after step ${this.state.progress.step}.`,
      record
        ? `A checkpoint is kept in ${record.place}: run the same command with --resume to go on.`
        : 'Nothing was kept: train with an output folder to be able to resume.',
    );
  }

  checkpointDue(): boolean {
    const { checkpointSeconds, checkpointSteps } = this.task.options;
    const { step } = this.state.progress;
    if (!this.task.record) return false;
    if (checkpointSteps > 0 && step - this.checkpointStep >= checkpointSteps) return true;
    return performance.now() - this.checkpointAt >= 1000 * checkpointSeconds;
  }

  /** Only states whose losses are known to be finite are saved. */
  async checkpoint(): Promise<void> {
    const { task, state } = this;
    await this.account(await this.monitor.drain());
    if (!task.record) return;
    await this.flushMetrics();
    this.tick();
    await task.record.saveCheckpoint(await serializeCheckpoint(task, state));
    this.checkpointStep = state.progress.step;
    this.checkpointAt = performance.now();
  }

  log(line: Record<string, unknown>): void {
    if (this.task.record) this.metrics += `${JSON.stringify(line)}\n`;
  }

  async flushMetrics(): Promise<void> {
    const { progress } = this.state;
    const { record } = this.task;
    if (!record || this.metrics === '') return;
    progress.metricsPosition = await record.writeMetrics(progress.metricsPosition, this.metrics);
    this.metrics = '';
  }

  /** Adds the time since the last call. */
  tick(): void {
    const now = performance.now();
    this.state.progress.seconds += (now - this.startedAt) / 1000;
    this.startedAt = now;
  }

  report(news: { loss?: number; point?: CurvePoint }): void {
    const { epochs } = this.task.options;
    const { epoch, step } = this.state.progress;
    const totalSteps = epochs * this.stepsPerEpoch;
    this.task.onProgress?.({ epoch: Math.min(epoch + 1, epochs), epochs, step, totalSteps, ...news });
  }
}

async function fitScales({ source, split, targets, genes, options }: TrainTask) {
  const { featureScale, targetScale, evaluationPatches } = options;
  const order = packWholeBags(source, split.train, evaluationPatches);
  return {
    features: featureScale === 'zscore' ? await fitFeatureScale(source, order) : null,
    targets: targetScale === 'zscore' ? fitZScore(targets, split.train, genes.length) : null,
  };
}

/** An epoch's batches of slides, in random order, as even in size as can be: no batch is a leftover of one. */
function epochBatches({ split, options }: TrainTask, epoch: number): number[][] {
  const { train: slides } = split;
  const order = shuffle(slides.length, options.seed, epoch).map((i) => slides[i]!);
  const count = Math.ceil(order.length / options.batchSize);
  const start = (batch: number) => Math.floor((batch * order.length) / count);
  return Array.from({ length: count }, (_, b) => order.slice(start(b), start(b + 1)));
}

function gatherRows(values: Float32Array, rows: readonly number[], columns: number): Float32Array {
  const out = new Float32Array(rows.length * columns);
  for (const [i, row] of rows.entries()) {
    out.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return out;
}

/** Mean squared error in the units of the training loss. */
function scaledError(observed: Float32Array, predicted: Float32Array, scale: Scale | null): number {
  let total = 0;
  for (let i = 0; i < observed.length; i++) {
    const std = scale ? scale.std[i % scale.std.length]! : 1;
    total += ((observed[i]! - predicted[i]!) / std) ** 2;
  }
  return total / observed.length;
}
