/**
 * Where the bags of a packed matrix begin: bag b owns rows offsets[b] … offsets[b + 1] − 1.
 *
 * The index arrays that kernels need are made once per set of bags and live until `dispose`.
 */
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { keep } from './scope.ts';
import { Tensor } from './tensor.ts';

/** Long bags are summed in runs of this many rows first. */
const RUN = 128;

export class Segments {
  readonly offsets: Uint32Array;
  readonly #device: Device;
  readonly #tensors = new Map<string, Tensor>();

  /** @param offsets ascending, from 0 to the number of rows; one entry more than bags. Bags may be empty. */
  constructor(device: Device, offsets: ArrayLike<number>) {
    this.offsets = Uint32Array.from(offsets);
    this.#device = device;
    const given = Array.from(offsets);
    const ascends = given.every((o, i) => Number.isInteger(o) && o >= (i > 0 ? given[i - 1]! : 0));
    if (given[0] !== 0 || !ascends) {
      throw new HistogradError(
        'segments',
        `Segments: offsets must ascend from 0, found [${given.slice(0, 8).join(', ')}${given.length > 8 ? ', …' : ''}].`,
        'Give the row where each bag begins, and the total number of rows last.',
      );
    }
  }

  /** Bags from their sizes. */
  static ofLengths(device: Device, lengths: ArrayLike<number>): Segments {
    const offsets = [0];
    for (let i = 0; i < lengths.length; i++) offsets.push(offsets[i]! + lengths[i]!);
    return new Segments(device, offsets);
  }

  get count(): number {
    return this.offsets.length - 1;
  }

  get total(): number {
    return this.offsets.at(-1)!;
  }

  /** offsets, on the GPU. */
  get starts(): Tensor {
    return this.#tensor('starts', () => this.offsets);
  }

  /** For each row, its bag. */
  get rowBag(): Tensor {
    return this.#tensor('rowBag', () => {
      const bags = new Uint32Array(this.total);
      for (let b = 0; b < this.count; b++) bags.fill(b, this.offsets[b], this.offsets[b + 1]);
      return bags;
    });
  }

  /** 0, 1, 2, … one per bag. */
  get bagIndex(): Tensor {
    return this.#tensor('bagIndex', () => Uint32Array.from({ length: this.count }, (_, b) => b));
  }

  /** Bags cut into runs of at most 128 rows: where each run starts, and where each bag's runs start. */
  get runs() {
    const starts: number[] = [];
    const bagStarts = [0];
    for (let b = 0; b < this.count; b++) {
      for (let n = this.offsets[b]!; n < this.offsets[b + 1]!; n += RUN) starts.push(n);
      bagStarts.push(starts.length);
    }
    const count = starts.length;
    starts.push(this.total);
    return {
      starts: this.#tensor('runs', () => Uint32Array.from(starts)),
      offsets: starts,
      bagStarts: this.#tensor('bagRuns', () => Uint32Array.from(bagStarts)),
      bagOffsets: bagStarts,
      count,
    };
  }

  dispose(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }

  #tensor(name: string, make: () => Uint32Array): Tensor {
    let tensor = this.#tensors.get(name);
    if (!tensor) {
      tensor = keep(Tensor.from(this.#device, make()));
      this.#tensors.set(name, tensor);
    }
    return tensor;
  }
}
