/**
 * The training loop: epochs, batches in a seeded order, loss, backward, clipping, AdamW; validation,
 * early stopping, checkpoints. A training that was stopped anywhere and resumed ends with the same bits.
 */
import { fitZScore } from '../data/expression-transform.ts';
import type { PackedBags } from '../data/packed-bags.ts';
import { shuffle } from '../data/shuffle.ts';
import { HistogradError } from '../errors.ts';
import { createModel } from '../models/registry.ts';
import { AdamW } from '../optim/adamw.ts';
import { GradScaler, requireUsableScale } from '../optim/grad-scaler.ts';
import { scheduleFactor } from '../optim/schedule.ts';
import type { CurvePoint } from '../report/types.ts';
import { Generator } from '../tensor/random.ts';
import { packWholeBags } from './bag-source.ts';
import { checkTask } from './check-task.ts';
import {
  newProgress,
  restoreCheckpoint,
  serializeCheckpoint,
  type TrainingState,
  taskIdentity,
} from './checkpoint.ts';
import { LossMonitor, type PendingStep, type StepResult } from './loss-monitor.ts';
import { explainNonFinite } from './non-finite.ts';
import { OneStep } from './one-step.ts';
import { applyScale, fitFeatureScale } from './scaling.ts';
import { interruption, stoppable } from './stoppable.ts';
import { type StreamedBatch, stepBatches, stepLimit } from './streaming.ts';
import type { TrainTask } from './task.ts';
import type { TrainedModel } from './trained-model.ts';
import { trainingSet, validate } from './validate.ts';

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
  /** In mixed precision: steps left out, because a gradient overflowed. */
  readonly skippedSteps?: number;
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
    await training.close();
  }
}

class Training {
  readonly task: TrainTask;
  readonly state: TrainingState;
  /** Standardised where asked for, [slides, genes]. */
  readonly targets: Float32Array;
  readonly stepsPerEpoch: number;
  readonly steps: OneStep;
  readonly monitor = new LossMonitor();
  metrics = '';
  startedAt = performance.now();
  checkpointAt = performance.now();
  checkpointStep: number;

  static async open(task: TrainTask): Promise<Training> {
    const { device, source, genes, options, modelOptions, kind, record } = task;
    const identity = taskIdentity(task);
    const generator = new Generator(options.seed);
    const sizes = { width: source.width, genes: genes.length };
    const model = createModel(kind, { device, generator }, sizes, modelOptions);
    const mixed = options.precision === 'mixed' && model.trainable;
    const scaler = mixed ? new GradScaler(device) : null;
    let optimizer: AdamW | undefined;
    try {
      optimizer = new AdamW(model.namedParameters(), options);
      const state: TrainingState = {
        identity,
        model,
        optimizer,
        generator,
        scaler,
        scales: { features: null, targets: null },
        progress: newProgress(),
        best: null,
      };
      const checkpoint = await record?.loadCheckpoint();
      if (checkpoint) restoreCheckpoint(state, checkpoint, record?.place ?? 'The checkpoint');
      else state.scales = await fitScales(task);
      return new Training(task, state);
    } catch (error) {
      optimizer?.dispose();
      scaler?.dispose();
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
    this.steps = new OneStep(task, state, this.targets, () => this.scheduleFactor());
  }

  /** All epochs that remain. */
  async run(): Promise<void> {
    const { task, monitor } = this;
    const { progress } = this.state;
    const { options, source } = task;
    while (progress.epoch < options.epochs && !progress.stopped) {
      // Of an epoch that was begun, what there is of it is still validated.
      const ends = this.endsEarly();
      progress.stopped = ends && progress.stepInEpoch === 0;
      if (progress.stopped) break;
      const left = ends ? 0 : undefined;
      const batches = epochBatches(task, progress.epoch).slice(progress.stepInEpoch, left);
      const sample = { maxPatches: options.maxPatches, seed: options.seed, epoch: progress.epoch };
      for await (const batch of stepBatches(source, batches, sample, stepLimit(task))) {
        const step = await this.step(batch);
        if (step) await this.account(await monitor.add(step));
        if (task.signal?.aborted) await this.interrupt();
        if (this.endsEarly()) break;
        if (this.checkpointDue()) await this.checkpoint();
      }
      if (task.signal?.aborted) await this.interrupt();
      await this.account(await monitor.drain());
      await this.endEpoch();
      if (task.signal?.aborted) await this.interrupt();
      if (this.checkpointDue()) await this.checkpoint();
    }
  }

  /** Whether `finishEarly` applies: not before the first step, without which there is no model. */
  endsEarly(): boolean {
    return this.task.finishEarly?.aborted === true && this.state.progress.step > 0;
  }

  /** One optimiser step; it waits for the GPU only where it is streamed. Null when it was stopped on the way. */
  async step(batch: PackedBags | StreamedBatch): Promise<PendingStep | null> {
    const { generator, progress } = this.state;
    const generatorOffset = generator.offset;
    const lr = this.task.options.lr * this.scheduleFactor();
    const outputs =
      'features' in batch ? await this.steps.run(batch) : await this.steps.runStreamed(batch);
    if (!outputs) return null;
    const { loss: lossTensor, ...others } = outputs;
    progress.step++;
    progress.stepInEpoch++;
    const { step, epoch } = progress;
    const { indices: slides } = batch;
    return { lossTensor, ...others, step, epoch: epoch + 1, lr, slides, generatorOffset };
  }

  /** Takes in results that came back: logs them, or stops at the first that is not finite. */
  async account(results: readonly StepResult[]): Promise<void> {
    const { progress } = this.state;
    for (const result of results) {
      const { step, epoch, loss, gradNorm, lr, scaling } = result;
      if (scaling?.skipped) {
        requireUsableScale({ scale: scaling.scale, skipped: scaling.row, step });
        progress.skipped++;
        progress.skippedInEpoch++;
        this.log({ step, epoch, skipped: true, scale: scaling.scale, lr });
        continue;
      }
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
        throw await explainNonFinite(
          this.task,
          this.state,
          this.targets,
          result,
          this.checkpointStep,
        );
      }
      progress.lossSum += loss;
      this.log({ step, epoch, loss, gradNorm, lr, ...(scaling && { scale: scaling.scale }) });
    }
    const last = results.findLast(({ scaling }) => !scaling?.skipped);
    if (results.length > 0) this.report(last ? { loss: last.loss } : {});
  }

  /** Validates where due, keeps the best parameters, and decides on early stopping. */
  async endEpoch(): Promise<void> {
    const { task, state } = this;
    const { progress } = state;
    const { options, split } = task;
    const epoch = progress.epoch + 1;
    const point: CurvePoint = { step: progress.step, epoch };
    const taken = progress.stepInEpoch - progress.skippedInEpoch;
    if (taken > 0) point.trainLoss = progress.lossSum / taken;
    const last = epoch === options.epochs || this.endsEarly();
    const due = epoch % options.validateEvery === 0 || last;
    if (split.validation.length > 0 && due) {
      const { mse, scaledMse, pearson } = await validate(task, state, this.targets).catch(
        (error: unknown) => {
          // The epoch is validated anew later.
          if (error instanceof HistogradError && error.code === 'interrupted')
            return this.interrupt();
          throw error;
        },
      );
      // The contrastive loss is on another scale than an error of expression.
      if (task.kind !== 'contrastive') point.validationLoss = scaledMse;
      if (Number.isFinite(pearson)) point.validationPearson = pearson;
      const score = Number.isFinite(pearson) ? pearson : -mse;
      if (progress.bestScore === null || score > progress.bestScore) {
        progress.bestScore = score;
        progress.bestEpoch = epoch;
        progress.validationsSinceBest = 0;
        if (!options.keepLast) state.best = await state.model.stateDict();
      } else {
        progress.validationsSinceBest++;
      }
      progress.stopped = progress.validationsSinceBest * options.validateEvery >= options.patience;
    }
    progress.stopped ||= this.endsEarly();
    progress.points.push(point);
    progress.epoch = epoch;
    progress.stepInEpoch = 0;
    progress.lossSum = 0;
    progress.skippedInEpoch = 0;
    this.log({ ...point });
    await this.flushMetrics();
    this.report({ point, ...(point.trainLoss !== undefined && { loss: point.trainLoss }) });
  }

  /** The best parameters, and what the model has to remember of the training set. */
  async finish(): Promise<TrainResult> {
    const { task, state } = this;
    const { model, progress, scales, best } = state;
    if (model.trainable && task.record) await this.checkpoint();
    const { step, skipped } = progress;
    if (step > 0 && skipped === step) {
      task.onWarning?.(
        `${task.kind} is as untrained as it began: a gradient overflowed float16 in all ${step} steps, which were left out. Train for more steps, by which the loss scale finds its level, or in float32`,
      );
    }
    if (best) model.loadStateDict(best);
    model.eval();
    await model.prepare(trainingSet(task, state, this.targets));
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
      ...(state.scaler && { skippedSteps: progress.skipped }),
    };
  }

  async close(): Promise<void> {
    await this.monitor.dispose();
    this.steps.dispose();
    this.state.optimizer.dispose();
    this.state.scaler?.dispose();
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

  async interrupt(): Promise<never> {
    await this.checkpoint();
    const { record } = this.task;
    const kept = record ? `; a checkpoint is kept in ${record.place}` : '';
    throw interruption(`after step ${this.state.progress.step}${kept}`, record);
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
    await task.record.saveCheckpoint(await serializeCheckpoint(state));
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
    const { epoch, step, peakBytes, skipped } = this.state.progress;
    const totalSteps = epochs * this.stepsPerEpoch;
    this.task.onProgress?.({
      epoch: Math.min(epoch + 1, epochs),
      epochs,
      step,
      totalSteps,
      peakBytes,
      ...(this.state.scaler && { skipped }),
      ...news,
    });
  }
}

async function fitScales(task: TrainTask) {
  const { split, targets, genes, options } = task;
  const source = stoppable(task);
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
