import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import {
  channelUnitNorm,
  channelUnitNormOp,
  pixelNorm,
  pixelNormOp,
} from '../../src/ops/channel-norm.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const shapes: Shape[] = [
  [5, 1],
  [49, 197],
  [3, 1031],
  [2, 7, 4],
  [2, 64, 3, 5],
  [3, 3, 7, 7],
  [1, 5, 8, 8],
  [0, 3, 2],
];

const withEps = (of: readonly Shape[]) =>
  of.map((shape) => ({ shapes: [shape], options: { eps: 1e-2 } }));
const splits = withEps([
  [9, 5, 8, 8],
  [150, 2, 7],
]);

/** x divided by what `divisor` makes of the sum of its squares over the channels. */
function reference(x: Nd, divisor: (squares: number, channels: number) => number): Nd {
  const [, channels] = x.shape as [number, number];
  const positions = sizeOf(x.shape.slice(2));
  return nd(x.shape, (i) => {
    const first = Math.floor(i / (channels * positions)) * channels * positions + (i % positions);
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += x.data[first + c * positions]! ** 2;
    return x.data[i]! / divisor(squares, channels);
  });
}

proveOp({
  op: pixelNormOp,
  cases: withEps(shapes),
  splits,
  reference: ([x], { eps }) => reference(x!, (squares, c) => Math.sqrt(squares / c + eps)),
});

proveOp({
  op: channelUnitNormOp,
  cases: withEps(shapes),
  splits,
  reference: ([x], { eps }) => reference(x!, (squares) => Math.sqrt(squares) + eps),
  // One channel is ±1 but for eps: its gradient, eps / (|x| + eps)², is the difference of two nearly equal numbers.
  draw: (random, shape) => nd(shape, () => random.awayFromZero(0.1)).data,
});

describe.each(TUNINGS)('channel norms, $tuning', ({ open }) => {
  it('of nothing are nothing, with a finite gradient', async () => {
    const device = await open();
    for (const [norm, scale] of [
      [channelUnitNorm, 1e10],
      [pixelNorm, 1e4],
    ] as const) {
      const x = Parameter.of(Tensor.zeros(device, [1, 3, 2]));
      const y = scope(() => {
        const y = norm(x);
        backwardFrom(y, Tensor.from(device, [1, 2, 3, 0, -1, 1], [1, 3, 2]));
        return y;
      });
      expect([...(await y.floats())]).toEqual([0, 0, 0, 0, 0, 0]);
      const found = await x.grad!.floats();
      [1, 2, 3, 0, -1, 1].forEach((g, i) => {
        expect(found[i]! / scale).toBeCloseTo(g, 5);
      });
    }
  });

  it('keep a NaN at its position', async () => {
    const device = await open();
    for (const positions of [3, 4, 33]) {
      const values = Array.from({ length: 5 * positions }, (_, i) => (i === 1 ? Number.NaN : i));
      const x = Tensor.from(device, values, [1, 5, positions]);
      for (const y of [pixelNorm(x), channelUnitNorm(x)]) {
        const found = await y.floats();
        found.forEach((v, i) => {
          expect(Number.isNaN(v)).toBe(i % positions === 1);
        });
      }
    }
  });
});

describe('channel norms', () => {
  it('need channels', async () => {
    const x = Tensor.zeros(await testDevice(), [3]);
    await expectError(() => pixelNorm(x), 'shape', /pixel-norm: expected x \[N, C, \.\.\.\]/);
  });
});
