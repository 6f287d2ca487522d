import { describe, expect, it } from 'vitest';
import { layerNorm, layerNormOp } from '../../src/ops/layer-norm.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { mapRows } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const shapes: Shape[] = [
  [5, 1],
  [7],
  [49, 197],
  [49, 196],
  [3, 1031],
  [2, 3, 33],
  [600, 4],
  [0, 6],
  [2, 25_761],
];

const withWeights = (all: readonly Shape[]) =>
  all.map((shape) => ({
    shapes: [shape, [shape.at(-1)!], [shape.at(-1)!]],
    options: { eps: 1e-5 },
  }));

proveOp({
  op: layerNormOp,
  cases: withWeights(shapes),
  splits: withWeights([
    [600, 4],
    [197, 13],
    [3, 7, 192],
  ]),
  reference: ([x, weight, bias], { eps }) =>
    mapRows(x!, (row) => {
      const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
      const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
      return row.map((v, j) => {
        return ((v - mean) / Math.sqrt(variance + eps)) * weight!.data[j]! + bias!.data[j]!;
      });
    }),
});

/** Rows at which sums of squares, or a mean alone, would lose their digits: [first element, the others around]. */
const HARD = {
  'a large mean': [1e4, 1e4],
  'an outlier in front': [1e4, 0],
  'a low start': [-50, 300],
};

describe.each(TUNINGS)('layer-norm, $tuning', ({ open }) => {
  it.each(Object.entries(HARD))('is exact for rows with %s', async (_, [first, level]) => {
    const device = await open();
    for (const n of [64, 131, 132, 1024]) {
      const row = Float32Array.from({ length: n }, (_, j) => level! + 0.03 * Math.sin(j * j));
      row[0] = first!;
      const [one, zero] = [
        Tensor.from(device, new Float32Array(n).fill(1)),
        Tensor.zeros(device, [n]),
      ];
      const found = await layerNorm(Tensor.from(device, row, [1, n]), one, zero, 1e-12).floats();
      const mean = row.reduce((sum, v) => sum + v, 0) / n;
      const deviation = Math.sqrt(row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n);
      const wanted = Float64Array.from(row, (v) => (v - mean) / deviation);
      const largest = wanted.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const worst = found.reduce((most, v, j) => Math.max(most, Math.abs(v - wanted[j]!)), 0);
      // Sums of squares about the first element lose digits when that is an outlier, the more the fewer lanes share a
      // row: 3e-6 with 8 lanes (lavapipe), 1.8e-5 with 4 (SwiftShader).
      expect(worst / largest).toBeLessThan(device.subgroupSize === 4 ? 4e-5 : 5e-6);
    }
  });

  it('keeps a NaN within its row', async () => {
    const device = await open();
    const [one, zero] = [Tensor.from(device, [1, 1]), Tensor.zeros(device, [2])];
    const x = Tensor.from(device, [1, Number.NaN, 5, 5], [2, 2]);
    const found = await layerNorm(x, one, zero).floats();
    expect([...found]).toEqual([Number.NaN, Number.NaN, 0, 0]);
  });
});

describe('layer-norm', () => {
  it('needs a weight and a bias for each feature', async () => {
    const device = await testDevice();
    const [x, four, three] = [[2, 4], [4], [3]].map((shape) => Tensor.zeros(device, shape));
    const found = /expected x \[..., n\] with weight \[n\].*found \[2, 4\] and \[4\] and \[3\]/;
    await expectError(() => layerNorm(x!, four!, three!), 'shape', found);
  });
});
