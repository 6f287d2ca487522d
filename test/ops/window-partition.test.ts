import { describe, expect, it } from 'vitest';
import {
  windowPartition,
  windowPartitionOp,
  windowReverse,
  windowReverseOp,
} from '../../src/ops/window-partition.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { moved } from './indexing.ts';
import { proveOp } from './prove.ts';

const MAPS = [
  { map: [1, 1, 1, 1], size: 1 },
  { map: [2, 14, 7, 8], size: 7 },
  { map: [3, 6, 10, 5], size: 2 },
  { map: [1, 49, 49, 1], size: 49 },
  { map: [0, 4, 4, 3], size: 2 },
] as const;

proveOp({
  op: windowPartitionOp,
  cases: MAPS.map(({ map, size }) => ({ shapes: [map], options: { size } })),
  reference: ([x], { size }) => {
    const [b, h, w, c] = x!.shape as [number, number, number, number];
    const across = w / size;
    const down = h / size;
    return moved(x!, [b * down * across, size * size, c], ([window, cell, channel]) => [
      Math.floor(window! / (down * across)),
      (Math.floor(window! / across) % down) * size + Math.floor(cell! / size),
      (window! % across) * size + (cell! % size),
      channel!,
    ]);
  },
  linearIn: [0],
  splits: true,
});

proveOp({
  op: windowReverseOp,
  cases: MAPS.map(({ map: [b, height, width, c], size }) => ({
    shapes: [[(b * height * width) / size ** 2, size ** 2, c]],
    options: { size, height, width },
  })),
  reference: ([x], { size, height, width }) => {
    const [count, , c] = x!.shape as [number, number, number];
    const each = (height / size) * (width / size);
    return moved(x!, [count / each, height, width, c], ([b, row, column, channel]) => [
      b! * each + Math.floor(row! / size) * (width / size) + Math.floor(column! / size),
      (row! % size) * size + (column! % size),
      channel!,
    ]);
  },
  linearIn: [0],
  splits: true,
});

describe('windows', () => {
  it('are one copy each way', async () => {
    const device = await testDevice();
    const x = Tensor.from(
      device,
      Float32Array.from({ length: 2 * 14 * 14 * 3 }, (_, i) => i),
    );
    const map = x.view([2, 14, 14, 3]);
    const before = device.counts.dispatches;
    const back = windowReverse(windowPartition(map, 7), 7, 14, 14);
    expect(device.counts.dispatches - before).toBe(2);
    expect(await back.floats()).toEqual(await x.floats());
  });

  it('say what does not fit', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [1, 6, 7, 2]);
    await expectError(
      () => windowPartition(x, 3),
      'shape',
      /window-partition: expected \[B, H, W, C\] with H and W multiples of 3 \(pad it first\), found \[1, 6, 7, 2\]/,
    );
    const windows = Tensor.zeros(device, [4, 9, 2]);
    await expectError(() => windowReverse(windows, 3, 6, 7), 'shape', /for H 6, W 7 and w 3/);
    await expectError(() => windowReverse(windows, 3, 9, 6), 'shape', /window-reverse/);
  });
});
