/**
 * One optimiser step on a batch. Batches that come again with the same sizes (bags cut to as many patches, whole
 * batches) are recorded and replayed, which gives the same bits at less cost per dispatch.
 */
import { autocast } from '../autograd/autocast.ts';
import { backward } from '../autograd/tape.ts';
import type { PackedBags } from '../data/packed-bags.ts';
import { everyStep } from '../gpu/recording.ts';
import { DirectAbmil } from '../models/direct-abmil.ts';
import { streamedBackward, streamedDryRun } from '../models/streamed-abmil.ts';
import { clipGradNorm } from '../optim/grad-norm.ts';
import { CapturedStep } from '../tensor/captured-step.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Segments } from '../tensor/segments.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { PatchSample } from './bag-source.ts';
import { requireHalfRange, rowOf } from './bag-source.ts';
import { takeRows, uploadBatch } from './batch.ts';
import type { TrainingState } from './checkpoint.ts';
import { packed } from './loss-monitor.ts';
import {
  patchesOf,
  pieceRows,
  type StreamedBatch,
  scaled,
  slidePieces,
  stepLimit,
} from './streaming.ts';
import type { TrainTask } from './task.ts';

/**
 * Memory that recorded steps may keep from others. Steps that need more are not held up by their dispatches. On a CPU
 * rasteriser, those on some ten megabytes already last a hundred times as long as their dispatches take to encode. A fast
 * GPU goes over 1 GiB a few times in 1 to 2 ms, in which some 60 dispatches (as Direct-ABMIL has) are encoded also
 * without a recording. WebGPU does not tell how much memory there is; a GPU with 4 GiB has the other 3 for the model,
 * for validation and for steps of other sizes.
 */
const MOST_CAPTURED_BYTES = { gpu: 2 ** 30, cpu: 64 * 2 ** 20 } as const;

type Inputs = { features: Tensor; targets: Tensor };

/** `loss` [1], `clip` from `clipGradNorm`, and in mixed precision the `scaling` of `GradScaler.update`. */
type Outputs = { loss: Tensor; clip: Tensor; scaling?: Tensor };

/** Ends a streamed step before its time. */
class Abandoned extends Error {}

export class OneStep {
  readonly #task: TrainTask;
  readonly #state: TrainingState;
  /** Of all slides, scaled as the model sees them. */
  readonly #targets: Float32Array;
  readonly #factor: () => number;
  readonly #captured: CapturedStep<Inputs, Outputs>;
  /** Kinds of steps whose kernels are still to be compiled. */
  readonly #aheadDue: Set<'whole' | 'streamed'>;
  #warned = false;
  /** Where the bags of the batch begin. */
  #offsets: Uint32Array = new Uint32Array();

  /** @param factor on the learning rate, of the step to be taken */
  constructor(task: TrainTask, state: TrainingState, targets: Float32Array, factor: () => number) {
    this.#task = task;
    this.#state = state;
    this.#targets = targets;
    this.#factor = factor;
    const ahead = task.compileAhead ?? task.device.adapter.class === 'gpu';
    this.#aheadDue = new Set(ahead ? ['whole', 'streamed'] : []);
    this.#captured = new CapturedStep(task.device, (inputs) => this.#body(inputs), {
      mostBytes: MOST_CAPTURED_BYTES[task.device.class],
      onRefused: (error) =>
        task.onWarning?.(
          `${task.kind}: steps are not replayed, which would only be faster: ${error.message}`,
        ),
    });
  }

  /** Compiles the kernels of a step aside, and those that its results are read with, so that the first one stalls nobody. */
  async #compileAhead(kind: 'whole' | 'streamed', step: () => Outputs): Promise<void> {
    if (!this.#aheadDue.delete(kind)) return;
    await this.#task.device.compileAhead(() =>
      scope(() => {
        const { loss: lossTensor, ...others } = step();
        packed([{ lossTensor, ...others }]).dispose();
      }),
    );
  }

  /** Records the step; nothing here waits for the GPU, but that the first one waits for its kernels. */
  async run(batch: PackedBags): Promise<Outputs> {
    const { device, capture = true } = this.#task;
    this.#state.model.train();
    this.#offsets = batch.offsets;
    await this.#compileAhead('whole', () => {
      const copy = { ...batch, features: batch.features.slice() }; // they are scaled in place
      return this.#body(this.#upload(copy));
    });
    const outputs = scope(() => {
      const inputs = this.#upload(batch);
      // The offsets are data of the step: other offsets are another step.
      return capture ? this.#captured.run(inputs, batch.offsets.join(' ')) : this.#body(inputs);
    });
    device.flush();
    return outputs;
  }

  /**
   * The step on a batch that does not fit: slide by slide, piece by piece. That may take minutes, so that a stop does
   * not wait for its end.
   *
   * @returns null when the task's signal aborted; nothing has changed then
   * @throws HistogradError `half-range` as `uploadBags`; what reading and `streamedBackward` throw
   */
  async runStreamed({ indices, sample }: StreamedBatch): Promise<Outputs | null> {
    const { device, source, genes, signal } = this.#task;
    const { model, optimizer, generator, scales, scaler } = this.#state;
    const { offset } = generator;
    if (!(model instanceof DirectAbmil))
      throw new Error('only Direct-ABMIL takes slides in pieces');
    model.train();
    this.#warnOfSize(indices, sample);
    const share = 1 / indices.length;
    await this.#compileAhead('streamed', () => {
      const patches = indices.map((slide) => patchesOf(source, [slide], sample));
      const rows = pieceRows(patches, stepLimit(this.#task));
      streamedDryRun(model, rows, Tensor.zeros(device, [1, genes.length]), { share, scaler });
      return { loss: Tensor.from(device, [0]), ...this.#update() };
    });
    let total = 0;
    try {
      for (const slide of indices) {
        const row = takeRows(this.#targets, [slide], genes.length);
        const targets = keep(Tensor.from(device, row, [1, genes.length]));
        const raw = slidePieces(source, slide, stepLimit(this.#task), sample);
        const used = patchesOf(source, [slide], sample);
        const pieces = scaled(raw, scales.features, (piece, before) => {
          if (signal?.aborted) throw new Abandoned();
          if (!scaler) return;
          requireHalfRange(piece, source.width, (row) =>
            rowOf(source.slides[slide]!, before / source.width + row, used),
          );
        });
        total += await streamedBackward(model, pieces, targets, {
          share,
          scaler,
          onPiece: () => this.#notePeak(),
        }).finally(() => targets.dispose());
      }
      return scope(() => ({ loss: Tensor.from(device, [total]), ...this.#update() }));
    } catch (error) {
      if (!(error instanceof Abandoned)) throw error;
      generator.seek(offset);
      return null;
    } finally {
      optimizer.zeroGrad(); // what a slide that was not finished left
    }
  }

  /** Slides that would fit one by one are streamed for the size of the batch, which costs time: said once. */
  #warnOfSize(indices: readonly number[], sample: PatchSample): void {
    const { source, kind, onWarning } = this.#task;
    const limit = stepLimit(this.#task);
    const fits = indices.every((slide) => patchesOf(source, [slide], sample) <= limit);
    if (!fits || this.#warned) return;
    this.#warned = true;
    onWarning?.(
      `${kind}: steps of more than ${limit} patches read their slides piece by piece; fewer slides or patches to a step, or a higher --stream-above, take them at once`,
    );
  }

  dispose(): void {
    this.#captured.dispose();
  }

  #upload(batch: PackedBags): Inputs {
    const { scales, scaler } = this.#state;
    const dtype = scaler ? 'f16' : 'f32'; // every model multiplies the features first
    const { bags, targets } = uploadBatch(this.#task, scales, this.#targets, batch, dtype);
    return { features: bags.features, targets };
  }

  #body(inputs: Inputs): Outputs {
    const loss = this.#backward(inputs);
    return { loss, ...this.#update() };
  }

  /** The loss [1]; its gradients are left to the parameters. */
  #backward({ features, targets }: Inputs): Tensor {
    const { device } = this.#task;
    const { model, scaler } = this.#state;
    const segments = new Segments(device, this.#offsets);
    try {
      const loss = autocast(() => model.loss({ features, segments }, targets), scaler !== null);
      backward(scaler?.scale(loss) ?? loss);
      const { peakBytes } = this.#state.progress;
      everyStep(
        () => this.#notePeak(),
        () => {
          this.#state.progress.peakBytes = peakBytes;
        },
      );
      return loss.view([1]);
    } finally {
      segments.dispose(); // not a tensor: no scope knows of it
    }
  }

  /** From the gradients to the next parameters. */
  #update(): Omit<Outputs, 'loss'> {
    const { model, optimizer, scaler } = this.#state;
    const maxNorm = this.#task.options.maxNorm ?? undefined;
    const parameters = model.namedParameters().values();
    const clip = scaler?.unscale(parameters, maxNorm) ?? clipGradNorm(parameters, maxNorm);
    optimizer.step(clip, this.#factor);
    optimizer.zeroGrad();
    return { clip, ...(scaler && { scaling: scaler.update(clip) }) };
  }

  #notePeak(): void {
    const { progress } = this.#state;
    progress.peakBytes = Math.max(progress.peakBytes, this.#task.device.memory.live);
  }
}
