/**
 * What one submission may hold. Operating systems take a GPU for hung that does not finish a submission in time: 2 s on
 * Windows (TDR) and with amdgpu on Linux, about 10 s in Chromium. Where a recording is cut changes no bits.
 */
import type { AdapterClass } from './adapter.ts';

/**
 * Floating-point operations, by class of adapter. The slowest GPUs in use, integrated ones, do some 10^11 of them a
 * second in our kernels. Fast ones need some milliseconds for as many, beside which the 0.1 ms of a submission is little.
 * (llama.cpp's Vulkan backend has 2 · 10^11, in float16.) Nobody watches a CPU.
 */
const MOST_WORK = { gpu: 1e11, cpu: Infinity } as const;
/** Operations in the time that a byte takes: slow GPUs move some 25 GB a second. */
const WORK_PER_BYTE = 4;

export interface SubmissionOptions {
  /** Submits by itself after so many dispatches, so that whoever shows a page on this GPU gets a turn in between. */
  dispatchesPerSubmission?: number;
  /** Submits by itself before a submission holds more floating-point operations than this, instead of by class of adapter. */
  workPerSubmission?: number;
}

/** Work of a dispatch, in floating-point operations: those that it does, or what takes as long as reading what it binds. */
export function workOf(flops: number, bytes: number): number {
  return Math.max(flops, WORK_PER_BYTE * bytes);
}

/** Counts what the recording under way holds. */
export class SubmissionLimit {
  readonly #mostDispatches: number;
  readonly #mostWork: number;
  #dispatches = 0;
  #work = 0;

  constructor(adapter: AdapterClass, options: SubmissionOptions) {
    this.#mostDispatches = options.dispatchesPerSubmission ?? Infinity;
    this.#mostWork = options.workPerSubmission ?? MOST_WORK[adapter];
  }

  /** Is there room for one more dispatch? For the first there always is. */
  fits(work: number): boolean {
    if (this.#dispatches === 0) return true;
    return this.#dispatches < this.#mostDispatches && this.#work + work <= this.#mostWork;
  }

  add(work: number): void {
    this.#dispatches++;
    this.#work += work;
  }

  reset(): void {
    this.#dispatches = 0;
    this.#work = 0;
  }
}
