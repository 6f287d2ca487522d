/**
 * Reads losses and gradient norms back a window of steps late, so that no step waits for the GPU, and never more than
 * two windows of work are queued. Slow steps are windows of their own: a stop, and a display, would wait for all of them.
 */
import { noGrad } from '../autograd/tape.ts';
import { concat } from '../ops/layout.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What is known of a step when it is recorded. */
interface StepRecord {
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
  /** In mixed precision: the loss scale after the step, the steps left out in a row, and whether this was one. */
  readonly scaling?: { readonly scale: number; readonly row: number; readonly skipped: boolean };
}

/** A step whose results are still to come. */
export interface PendingStep extends StepRecord {
  /** Float32 [1]. */
  readonly lossTensor: Tensor;
  /** From `clipGradNorm`: [norm, factor, finite]. */
  readonly clip: Tensor;
  /** From `GradScaler.update`: [scale, steps left out in a row]. */
  readonly scaling?: Tensor | undefined;
}

const WINDOW = 8;
const WINDOW_MILLISECONDS = 100;

export class LossMonitor {
  readonly #recorded: PendingStep[] = [];
  #reading: Promise<StepResult[]> | null = null;
  #windowAt = performance.now();

  /** Takes over the tensors. Returns the results that came in meanwhile, oldest first. */
  async add(pending: PendingStep): Promise<StepResult[]> {
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
    for (const pending of this.#recorded.splice(0)) free(pending);
  }
}

type Results = Pick<PendingStep, 'lossTensor' | 'clip' | 'scaling'>;

/** All in one tensor, as they are read back. */
export function packed(steps: readonly Results[]): Tensor {
  return scope(() => noGrad(() => concat(steps.flatMap(tensorsOf), 0)));
}

function tensorsOf({ lossTensor, clip, scaling }: Results): Tensor[] {
  return [lossTensor, clip, ...(scaling ? [scaling] : [])];
}

function free(pending: PendingStep): void {
  for (const tensor of tensorsOf(pending)) tensor.dispose();
}

async function read(steps: PendingStep[]): Promise<StepResult[]> {
  const results = packed(steps);
  for (const pending of steps) free(pending);
  try {
    const values = await results.floats();
    let at = 0;
    return steps.map(({ lossTensor: _, clip: __, scaling, ...record }) => {
      const [loss, gradNorm, , finite] = values.subarray(at, at + 4);
      const [scale, row] = values.subarray(at + 4, at + 6);
      at += scaling ? 6 : 4;
      return {
        ...{ ...record, loss: loss!, gradNorm: gradNorm! },
        ...(scaling && { scaling: { scale: scale!, row: row!, skipped: finite === 0 } }),
      };
    });
  } finally {
    results.dispose();
  }
}
