/**
 * Reads losses and gradient norms back a window of steps late, so that no step waits for the GPU, and never more than
 * two windows of work are queued. Slow steps are windows of their own: a stop, and a display, would wait for all of them.
 */
import { noGrad } from '../autograd/tape.ts';
import { concat } from '../ops/layout.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What is known of a step when it is recorded. */
export interface StepRecord {
  /** From 1. */
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  /** The slides of its batch. */
  readonly slides: readonly number[];
  /** Draws made before the step. */
  readonly generatorOffset: number;
}

export interface StepResult extends StepRecord {
  readonly loss: number;
  readonly gradNorm: number;
}

interface Pending extends StepRecord {
  /** Float32 [1]. */
  readonly lossTensor: Tensor;
  /** From `clipGradNorm`: [norm, factor, finite]. */
  readonly clip: Tensor;
}

const WINDOW = 8;
const WINDOW_MILLISECONDS = 100;

export class LossMonitor {
  readonly #recorded: Pending[] = [];
  #reading: Promise<StepResult[]> | null = null;
  #windowAt = performance.now();

  /** Takes over the tensors. Returns the results that came in meanwhile, oldest first. */
  async add(pending: Pending): Promise<StepResult[]> {
    this.#recorded.push(pending);
    const young = performance.now() - this.#windowAt < WINDOW_MILLISECONDS;
    return young && this.#recorded.length < WINDOW ? [] : this.#next();
  }

  /** Waits for all steps so far. */
  async drain(): Promise<StepResult[]> {
    const earlier = await this.#next();
    return [...earlier, ...(await this.#next())];
  }

  /** Starts to read what is recorded, and waits for the window before it. */
  async #next(): Promise<StepResult[]> {
    const earlier = this.#reading;
    this.#windowAt = performance.now();
    this.#reading = this.#recorded.length > 0 ? read(this.#recorded.splice(0)) : null;
    // Awaited a window later; until then a failure is nobody's.
    this.#reading?.catch(() => {});
    return (await earlier) ?? [];
  }

  /** Frees what was recorded, and waits for the read under way, whatever comes of it. */
  async dispose(): Promise<void> {
    await this.#reading?.catch(() => {});
    this.#reading = null;
    for (const { lossTensor, clip } of this.#recorded.splice(0)) {
      lossTensor.dispose();
      clip.dispose();
    }
  }
}

async function read(steps: Pending[]): Promise<StepResult[]> {
  const packed = scope(() =>
    noGrad(() =>
      concat(
        steps.flatMap(({ lossTensor, clip }) => [lossTensor, clip]),
        0,
      ),
    ),
  );
  for (const { lossTensor, clip } of steps) {
    lossTensor.dispose();
    clip.dispose();
  }
  try {
    const values = await packed.floats();
    return steps.map(({ lossTensor: _, clip: __, ...record }, i) => ({
      ...record,
      loss: values[4 * i]!,
      gradNorm: values[4 * i + 1]!,
    }));
  } finally {
    packed.dispose();
  }
}
