import { describe, expect, it } from 'vitest';
import { featureDistance } from '../../src/ops/feature-distance.ts';
import type { Op } from '../../src/ops/op.ts';
import type { Reduction } from '../../src/ops/reduction.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp } from './prove.ts';

const featureDistanceOp: Op<{ reduction: Reduction }> = {
  name: 'feature-distance',
  apply: ([a1, b1, a2, b2, w1, w2], options) =>
    featureDistance([a1!, a2!], [b1!, b2!], [w1!, w2!], options),
};

function layerDistance(a: Nd, b: Nd, weight: Nd): number[] {
  const [n, channels, height, width] = a.shape as [number, number, number, number];
  const positions = height * width;
  return Array.from({ length: n }, (_, image) => {
    let total = 0;
    for (let at = 0; at < positions; at++) {
      const vectors = [a, b].map(({ data }) =>
        Array.from({ length: channels }, (_, c) => data[(image * channels + c) * positions + at]!),
      );
      const [u, v] = vectors.map((f) => {
        const length = Math.sqrt(f.reduce((t, e) => t + e * e, 0)) + 1e-10;
        return f.map((e) => e / length);
      });
      for (let c = 0; c < channels; c++) total += weight.data[c]! * (u![c]! - v![c]!) ** 2;
    }
    return total / positions;
  });
}

const layers = (n: number, c: number, h: number, w: number): Shape[] => [
  [n, c, h, w],
  [n, c, h, w],
  [n, 5, 2, 3],
  [n, 5, 2, 3],
  [1, c, 1, 1],
  [1, 5, 1, 1],
];

proveOp({
  op: featureDistanceOp,
  cases: [
    { shapes: layers(1, 3, 1, 1), options: { reduction: 'mean' as const } },
    { shapes: layers(2, 13, 3, 7), options: { reduction: 'none' as const } },
    { shapes: layers(3, 64, 7, 7), options: { reduction: 'mean' as const } },
  ],
  reference: ([a1, b1, a2, b2, w1, w2], { reduction }) => {
    const second = layerDistance(a2!, b2!, w2!);
    const each = layerDistance(a1!, b1!, w1!).map((v, i) => v + second[i]!);
    if (reduction === 'none') return nd([each.length], (i) => each[i]!);
    return nd([], () => each.reduce((t, v) => t + v, 0) / each.length);
  },
});

describe('feature-distance', () => {
  it('is 0 between features that differ by their length only', async () => {
    const device = await testDevice();
    const a = Tensor.from(device, [1, 2, 3, 4], [1, 2, 1, 2]);
    const b = Tensor.from(device, [2, 4, 6, 8], [1, 2, 1, 2]);
    const w = Tensor.from(device, [1, 1], [1, 2, 1, 1]);
    expect(await featureDistance([a], [b], [w]).item()).toBeLessThan(1e-12);
  });

  it('says what does not fit', async () => {
    const device = await testDevice();
    const a = Tensor.zeros(device, [1, 2, 3, 4]);
    const w = Tensor.zeros(device, [2]);
    await expectError(() => featureDistance([a], [a], []), 'option', /found 1, 1 and 0/);
    await expectError(
      () => featureDistance([a], [a], [w]),
      'shape',
      /weights \[1, C, 1, 1\].*\[2\]/,
    );
  });
});
