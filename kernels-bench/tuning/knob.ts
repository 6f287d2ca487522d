/** One choice of a tuning, the ways it may fall, and the work that shows which is best. */
import type { Device } from '../../src/gpu/device.ts';
import { type Tuning, tuningProblems } from '../../src/gpu/tuning.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

export interface TuneWork {
  /** Records the work once, in the caller's scope; the same numbers whatever the tuning, up to rounding. */
  run(): Tensor;
  dispose(): void;
}

export interface Knob {
  /** Family and shape class: 'matmul.large'. */
  readonly name: string;
  /** What it is in a tuning; plain data. */
  read(tuning: Tuning): unknown;
  /** `tuning` with this knob otherwise, in each way worth a trial. */
  alternatives(tuning: Tuning): Tuning[];
  /** `to` with this knob as in `from`. */
  copy(from: Tuning, to: Tuning): Tuning;
  prepare(device: Device): TuneWork;
}

interface Description<V> {
  name: string;
  read(tuning: Tuning): V;
  write(tuning: Tuning, value: V): Tuning;
  values(tuning: Tuning): readonly V[];
  prepare(device: Device): TuneWork;
}

export function knob<V>(description: Description<V>): Knob {
  const { name, read, write, values, prepare } = description;
  const same = (a: V, b: V) => JSON.stringify(a) === JSON.stringify(b);
  return {
    name,
    read,
    copy: (from, to) => write(to, read(from)),
    alternatives: (tuning) =>
      values(tuning)
        .filter((value) => !same(value, read(tuning)))
        .map((value) => write(tuning, value))
        .filter((changed) => tuningProblems(changed).length === 0),
    prepare,
  };
}
