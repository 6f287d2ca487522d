import { describe, expect, it } from 'vitest';
import { pixelShift, pixelShiftOp } from '../../src/ops/pixel-shift.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { moved } from './indexing.ts';
import { proveOp } from './prove.ts';

const cycle = (channels: number) =>
  Array.from({ length: channels }, (_, c) => [0, ((c + 1) % 3) - 1] as [number, number]);
const far = (channels: number) =>
  Array.from({ length: channels }, (_, c) => [2 - c, 3 * c - 4] as [number, number]);

proveOp({
  op: pixelShiftOp,
  cases: [
    { shapes: [[1, 1, 1, 1]], options: { shifts: [[0, 0]] } },
    { shapes: [[2, 17, 7, 13]], options: { shifts: cycle(17) } },
    { shapes: [[2, 7, 13, 17]], options: { shifts: cycle(17), channelsLast: true } },
    { shapes: [[3, 5, 5, 4]], options: { shifts: far(5) } },
    { shapes: [[3, 5, 4, 6]], options: { shifts: far(6), channelsLast: true } },
    { shapes: [[0, 2, 3, 3]], options: { shifts: cycle(2) } },
  ] as { shapes: number[][]; options: { shifts: [number, number][]; channelsLast?: boolean } }[],
  reference: ([x], { shifts, channelsLast = false }) =>
    moved(
      x!,
      x!.shape,
      (index) => {
        const [n, a, b, c] = index as [number, number, number, number];
        const [dy, dx] = shifts[channelsLast ? c : a]!;
        return channelsLast ? [n, a + dy, b + dx, c] : [n, a, b + dy, c + dx];
      },
      0,
    ),
  linearIn: [0],
  splits: [{ shapes: [[9, 8, 8, 4]], options: { shifts: far(4), channelsLast: true } }],
});

describe('pixelShift', () => {
  it('moves a NaN with its pixel, and shifts it out', async () => {
    const x = Tensor.from(await testDevice(), [Number.NaN, 1, Number.NaN, 1], [1, 2, 1, 2]);
    const shifts: [number, number][] = [
      [0, -1],
      [0, 1],
    ];
    expect([...(await pixelShift(x, shifts).floats())]).toEqual([0, Number.NaN, 1, 0]);
  });

  it('wants a shift for each channel', async () => {
    const x = Tensor.zeros(await testDevice(), [1, 2, 3, 3]);
    await expectError(
      () => pixelShift(x, [[0, 1]]),
      'shape',
      /pixel-shift: expected \[N, C, H, W\] and a whole \[dy, dx\] for each channel, found \[1, 2, 3, 3\] and 1 shifts/,
    );
    const half: [number, number] = [0.5, 0];
    await expectError(() => pixelShift(x, [half, half]), 'shape', /a whole \[dy, dx\]/);
  });
});
