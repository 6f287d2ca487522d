import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import {
  segmentLogSoftmaxOp,
  segmentMeanOp,
  segmentSoftmax,
  segmentSoftmaxOp,
  segmentSum,
  segmentSumOp,
  segmentWeightedSum,
  segmentWeightedSumOp,
} from '../../src/ops/segment.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

interface Json {
  offsets: number[];
}

const options = ({ offsets }: Json, device: Device) => ({
  segments: new Segments(device, offsets),
});

/** Bag lengths and widths: empty bags everywhere, and bags beyond the 256 rows that are summed in one stage. */
const BAGS: readonly [lengths: number[], d: number][] = [
  [[1], 1],
  [[49, 197], 5],
  [[0, 3, 0, 0, 7, 0], 3],
  [[256], 2],
  [[257, 1, 0, 130], 3],
  [[1031, 300], 1],
  [[0], 4],
  [[], 2],
];

/** For bindings of 1024 elements, with as many rows at most: long bags, bags shorter than a part, as many bags as rows, and none. */
const LARGE: readonly (typeof BAGS)[number][] = [
  [[701, 300], 3],
  [[0, 49, 197, 0, 130, 7, 7], 5],
  [Array<number>(400).fill(1), 4],
  [[], 2],
];

const cases = (second: boolean, bags = BAGS) =>
  bags.map(([lengths, d]) => {
    const offsets = [0];
    for (const n of lengths) offsets.push(offsets.at(-1)! + n);
    const total = offsets.at(-1)!;
    return {
      shapes: second
        ? [
            [total, d],
            [total, 1],
          ]
        : [[total, d]],
      options: { offsets },
    };
  });

/** For each bag and column, the rows of the bag. */
function sumWith(weight: (row: number, length: number, weights: Nd | undefined) => number) {
  return ([x, w]: readonly Nd[], { offsets }: Json): Nd => {
    const d = x!.shape[1]!;
    return nd([offsets.length - 1, d], (index) => {
      const bag = Math.floor(index / d);
      const [from, to] = [offsets[bag]!, offsets[bag + 1]!];
      let total = 0;
      for (let n = from; n < to; n++) {
        total += weight(n, to - from, w) * x!.data[n * d + (index % d)]!;
      }
      return total;
    });
  };
}

proveOp({
  op: segmentSumOp,
  options,
  cases: cases(false),
  splits: cases(false, LARGE),
  reference: sumWith(() => 1),
});
proveOp({
  op: segmentMeanOp,
  options,
  cases: cases(false),
  splits: cases(false, LARGE),
  reference: sumWith((_, length) => 1 / length),
});
proveOp({
  op: segmentWeightedSumOp,
  options,
  cases: cases(true),
  splits: cases(true, [
    [[800, 100], 3],
    [[0, 49, 197, 0, 130, 7, 7], 5],
  ]),
  reference: sumWith((row, _, weights) => weights!.data[row]!),
});

/** Softmax of every column within every bag. */
function softmaxOf([x]: readonly Nd[], { offsets }: Json): Nd {
  const [total, d] = x!.shape as [number, number];
  const out = nd([total, d], () => 0);
  for (let bag = 0; bag + 1 < offsets.length; bag++) {
    for (let c = 0; c < d; c++) {
      let all = 0;
      for (let n = offsets[bag]!; n < offsets[bag + 1]!; n++) {
        out.data[n * d + c] = Math.exp(x!.data[n * d + c]!);
        all += out.data[n * d + c]!;
      }
      for (let n = offsets[bag]!; n < offsets[bag + 1]!; n++) out.data[n * d + c]! /= all;
    }
  }
  return out;
}

proveOp({ op: segmentSoftmaxOp, options, cases: cases(false), reference: softmaxOf });
proveOp({
  op: segmentLogSoftmaxOp,
  options,
  cases: cases(false),
  reference(inputs, json) {
    const { shape, data } = softmaxOf(inputs, json);
    return nd(shape, (i) => Math.log(data[i]!));
  },
});

describe.each(TUNINGS)('segment-softmax, $tuning', ({ open }) => {
  it('keeps a NaN within its bag, and does not overflow', async () => {
    const device = await open();
    const segments = new Segments(device, [0, 2, 4]);
    const x = Tensor.from(device, [1, Number.NaN, 3e38, -3e38], [4, 1]);
    const found = await segmentSoftmax(x, segments).floats();
    expect([...found]).toEqual([Number.NaN, Number.NaN, 1, 0]);
    segments.dispose();
  });
});

describe('bags', () => {
  it('must have as many rows as the tensor', async () => {
    const device = await testDevice();
    const segments = new Segments(device, [0, 2, 5]);
    const found = /segment-sum: expected \[5, d\] for bags of 5 rows in all, found \[4, 3\]/;
    await expectError(() => segmentSum(Tensor.zeros(device, [4, 3]), segments), 'shape', found);
    await expectError(
      () => segmentSoftmax(Tensor.zeros(device, [5]), segments),
      'shape',
      /found \[5\]/,
    );
  });

  it('must have one weight per row', async () => {
    const device = await testDevice();
    const segments = new Segments(device, [0, 2]);
    const [x, w] = [Tensor.zeros(device, [2, 3]), Tensor.zeros(device, [2, 2])];
    const found = /expected weights \[2, 1\], found \[2, 3\] and \[2, 2\]/;
    await expectError(() => segmentWeightedSum(x, w, segments), 'shape', found);
  });
});
