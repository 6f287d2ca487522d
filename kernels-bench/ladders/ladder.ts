/**
 * A ladder is the history of a kernel: from the plain version up, each rung one idea, and last what the product runs.
 * `climb.ts` times the rungs in turns; `test/kernels-bench/ladders.node.test.ts` holds each against a float64 reference;
 * `<id>.md` is the essay with the figures.
 */
import type { AdapterClass } from '../../src/gpu/adapter.ts';
import type { Device } from '../../src/gpu/device.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Cost } from '../bench.ts';

interface Rung {
  readonly name: string;
  /** What it does otherwise than the rung below, and why that should gain; one sentence. */
  readonly changed: string;
  /** The classes of adapter on whose way up it lies. The last rung of a class is the product's own call. */
  readonly on: readonly AdapterClass[];
  /** Records the work once, and returns what it computed; the caller opens a scope around it. */
  run(): Tensor | readonly Tensor[];
}

export interface Climb {
  readonly cost: Cost;
  readonly rungs: readonly Rung[];
  /** What every rung has to compute, in float64; of several tensors, one after the other. */
  reference(): Promise<Float64Array>;
  dispose(): void;
}

export interface Ladder {
  /** Also the name of its essay and of the folder of its kernels. */
  readonly id: string;
  /** For people: operation and full shape. */
  readonly name: string;
  /** `small`: for the test; sizes that are no multiples of the tiles, as far as the rungs take them. */
  prepare(device: Device, size: 'full' | 'small'): Climb;
}
