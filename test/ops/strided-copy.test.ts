/** Reshape, permute, slice and concat (src/ops/layout.ts), all of which copy boxes. */
import { describe, it } from 'vitest';
import {
  concat,
  concatOp,
  permute,
  permuteOp,
  reshape,
  reshapeOp,
  slice,
  sliceOp,
} from '../../src/ops/layout.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { elementAt, moved, unravel } from './indexing.ts';
import { nd } from './nd.ts';
import { proveOp } from './prove.ts';

proveOp({
  op: reshapeOp,
  cases: [
    { shapes: [[1]], options: { shape: [] } },
    { shapes: [[49, 197]], options: { shape: [197, 7, 7] } },
    { shapes: [[0, 3]], options: { shape: [2, 0] } },
    { shapes: [[2, 2, 3, 5, 7]], options: { shape: [420] } },
  ],
  reference: ([x], { shape }) => ({ shape, data: x!.data }),
  splits: true,
});

proveOp({
  op: permuteOp,
  cases: [
    { shapes: [[]], options: { dims: [] } },
    { shapes: [[1031]], options: { dims: [0] } },
    { shapes: [[49, 197]], options: { dims: [1, 0] } },
    { shapes: [[5, 7, 11, 3]], options: { dims: [3, 1, 0, 2] } },
    { shapes: [[2, 33, 17]], options: { dims: [2, 0, 1] } },
    { shapes: [[4, 0]], options: { dims: [1, 0] } },
    { shapes: [[3, 5, 1, 49, 8]], options: { dims: [3, 0, 2, 1, 4] } },
    { shapes: [[2, 3, 2, 5, 2, 3, 1, 2, 3]], options: { dims: [8, 3, 1, 5, 6, 0, 2, 4, 7] } },
  ],
  reference: ([x], { dims }) =>
    moved(
      x!,
      dims.map((d) => x!.shape[d]!),
      (index) => dims.map((_, d) => index[dims.indexOf(d)]!),
    ),
  linearIn: [0],
  splits: true,
});

proveOp({
  op: sliceOp,
  cases: [
    { shapes: [[1]], options: { axis: 0, start: 0, end: 1 } },
    { shapes: [[49, 197]], options: { axis: -1, start: 3, end: 134 } },
    { shapes: [[1031, 2]], options: { axis: 0, start: 500, end: 1031 } },
    { shapes: [[2, 3, 5, 2, 7]], options: { axis: 2, start: 1, end: 3 } },
    { shapes: [[5, 3]], options: { axis: 0, start: 2, end: 2 } },
  ],
  reference: ([x], { axis, start, end }) => {
    const at = axis < 0 ? axis + x!.shape.length : axis;
    const shape = x!.shape.map((n, d) => (d === at ? end - start : n));
    return moved(x!, shape, (index) => index.map((i, d) => (d === at ? i + start : i)));
  },
  linearIn: [0],
  splits: true,
});

proveOp({
  op: concatOp,
  cases: [
    { shapes: [[3, 2]], options: { axis: 1 } },
    { shapes: [[1], [1], [1]], options: { axis: 0 } },
    {
      shapes: [
        [49, 197],
        [49, 3],
        [49, 64],
      ],
      options: { axis: -1 },
    },
    {
      shapes: [
        [600, 2],
        [7, 2],
      ],
      options: { axis: 0 },
    },
    {
      shapes: [
        [2, 3, 5],
        [2, 0, 5],
        [2, 1, 5],
      ],
      options: { axis: 1 },
    },
  ],
  reference: (inputs, { axis }) => {
    const rank = inputs[0]!.shape.length;
    const at = (axis + rank) % rank;
    const total = inputs.reduce((all, { shape }) => all + shape[at]!, 0);
    const shape = inputs[0]!.shape.map((n, d) => (d === at ? total : n));
    return nd(shape, (flat) => {
      const index = unravel(flat, shape);
      let input = 0;
      while (index[at]! >= inputs[input]!.shape[at]!) index[at]! -= inputs[input++]!.shape[at]!;
      return elementAt(inputs[input]!, index)!;
    });
  },
  splits: true,
});

describe('layout operations', () => {
  it('say what does not fit', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [2, 3]);
    await expectError(() => reshape(x, [-2, -3]), 'shape', /reshape: expected 6 .* \[-2, -3\]/);
    await expectError(
      () => reshape(x, [5]),
      'shape',
      /reshape: expected 6 elements as in \[2, 3\], found \[5\]/,
    );
    await expectError(
      () => permute(x, [0, 0]),
      'shape',
      /permute: expected a permutation of the 2 axes.*found \[0, 0\]/,
    );
    const deep = Tensor.zeros(device, [1, 1, 1, 1, 2]);
    const deepest = Tensor.zeros(device, Array<number>(9).fill(2));
    await expectError(
      () => permute(deepest, [8, 7, 6, 5, 4, 3, 2, 1, 0]),
      'shape',
      /copy of 9 axes .* at most 8/,
    );
    await expectError(
      () => slice(x, 1, 2, 4),
      'shape',
      /slice: expected whole numbers 0 <= start <= end <= 3, found start 2, end 4/,
    );
    await expectError(() => slice(x, 1, 0.5, 2), 'shape', /slice: .*start 0.5/);
    await expectError(
      () => slice(x, 2, 0, 1),
      'shape',
      /slice: expected an axis below 2, found axis 2 of \[2, 3\]/,
    );
    const y = Tensor.zeros(device, [3, 3]);
    await expectError(
      () => concat([x, y], 1),
      'shape',
      /concat: expected shapes equal but for axis 1, found \[2, 3\] and \[3, 3\]/,
    );
    await expectError(
      () => concat([x, deep], 0),
      'shape',
      /concat: .*found \[2, 3\] and \[1, 1, 1, 1, 2\]/,
    );
    await expectError(
      () => concat([], 0),
      'shape',
      /concat: expected at least one input, found none/,
    );
  });
});
