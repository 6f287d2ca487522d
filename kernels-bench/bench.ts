/** What is measured: one piece of work with the least that it must compute and move. */
import type { AdapterClass } from '../src/gpu/adapter.ts';
import type { Device } from '../src/gpu/device.ts';

/** The least that a piece of work must compute and move. */
export interface Cost {
  /** Floating-point operations, two for a multiply-add. */
  readonly flops: number;
  /** Bytes that must cross memory at least once: inputs read, results written. */
  readonly bytes: number;
}

export interface Work {
  /** Known after the first run at the latest. */
  readonly cost: Cost;
  /** Runs after the first that do more than all later ones, and one such; 1 without it. */
  readonly warmUps?: number;
  /** Records the work once; the caller opens a scope around it and waits. */
  run(): void;
  dispose(): void;
}

export interface Bench {
  /** Names the same work among the peers. */
  readonly id: string;
  /** For people: operation and shape. */
  readonly name: string;
  /** Belongs to `--quick`. */
  readonly quick: boolean;
  /** The only class of adapter where it says something. */
  readonly on?: AdapterClass;
  prepare(device: Device): Work;
  /** Other ways to do the same, timed in turns with it, but for `--quick`; each a result of its own. */
  readonly others?: readonly Bench[];
}

export const FLOAT = 4;
