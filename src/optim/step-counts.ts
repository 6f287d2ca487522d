/**
 * How many steps each parameter has really taken. Counted on the GPU, which alone knows at once whether a step was left
 * out for a gradient that is not finite; what depends on the count is looked up there in tables made here in float64.
 */
import code from '../../shaders/step-counts.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('step-counts', code);

/** Two numbers that an update needs, by the number of the parameter's step. */
export interface PerStep {
  /** The step from which on they stay the same, at the latest. */
  readonly settled: number;
  /** @param step from 1 */
  at(step: number): readonly [number, number];
}

/** Entries of a table; 2^20 steps are more than any training takes. */
const MOST_ENTRIES = 2 ** 20;

export class StepCounts {
  /** Float32: [scale, finite] of the step under way, then the two numbers of each parameter. */
  readonly now: Tensor;
  readonly #device: Device;
  readonly #taken: Tensor;
  readonly #table: Tensor;
  readonly #tableOf: Tensor;

  /** @param perStep of each parameter; the same object for those that have the same */
  constructor(device: Device, perStep: readonly PerStep[]) {
    const entries: number[] = [];
    const places = new Map<PerStep, [number, number]>();
    const distinct = new Set(perStep);
    const longest = Math.min(MOST_ENTRIES, Math.floor(device.bindingBytes / 8 / distinct.size));
    for (const each of distinct) {
      const length = Math.min(Math.max(1, Math.ceil(each.settled)), longest);
      places.set(each, [entries.length / 2, length]);
      for (let step = 1; step <= length; step++) entries.push(...each.at(step));
    }
    const tableOf = Uint32Array.from(perStep.flatMap((each) => places.get(each) ?? [0, 1]));
    this.#device = device;
    this.#table = keep(Tensor.from(device, Float32Array.from(entries)));
    this.#tableOf = keep(Tensor.from(device, tableOf));
    this.#taken = keep(Tensor.from(device, new Uint32Array(perStep.length)));
    this.now = keep(Tensor.zeros(device, [1 + perStep.length, 2]));
  }

  /**
   * Counts a step of some parameters.
   *
   * @param clip from `clipGradNorm`
   * @param indices of the parameters, ascending
   */
  count(clip: Tensor, indices: readonly number[]): void {
    for (const { first, count } of runs(indices)) {
      this.#device.run(kernel, 'count', {
        buffers: {
          clip: clip.buffer,
          taken: this.#taken.buffer,
          table: this.#table.buffer,
          table_of: this.#tableOf.buffer,
          now: this.now.buffer,
        },
        params: { first, count },
        ...threadPlan(this.#device, count),
      });
    }
  }

  /** Steps taken, by parameter. */
  async read(): Promise<readonly number[]> {
    return [...(await this.#taken.data())];
  }

  assign(taken: readonly number[]): void {
    this.#taken.assign(Uint32Array.from(taken));
  }

  dispose(): void {
    for (const tensor of [this.now, this.#taken, this.#table, this.#tableOf]) tensor.dispose();
  }
}

/** Neighbours together. */
function runs(indices: readonly number[]): { first: number; count: number }[] {
  const found: { first: number; count: number }[] = [];
  for (const index of indices) {
    const last = found.at(-1);
    if (last && last.first + last.count === index) last.count++;
    else found.push({ first: index, count: 1 });
  }
  return found;
}
