import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Op } from '../../src/ops/op.ts';
import { pearsonColumns, pearsonColumnsOp, pearsonLoss } from '../../src/ops/pearson-loss.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

function correlations([x, y]: readonly Nd[], eps: number): number[] {
  const [rows, n] = x!.shape as [number, number];
  return Array.from({ length: n }, (_, column) => {
    const values = [x!, y!].map(({ data }) =>
      Array.from({ length: rows }, (_, row) => data[row * n + column]!),
    );
    const [a, b] = values.map((v) => {
      const mean = v.reduce((t, e) => t + e, 0) / rows;
      return v.map((e) => e - mean);
    }) as [number[], number[]];
    const dot = (p: number[], q: number[]) => p.reduce((t, e, i) => t + e * q[i]!, 0);
    return dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) + eps);
  });
}

// Two rows would do (r is ±1), but with so little under the root the differences are rough.
const cases = [
  [5, 1],
  [13, 7],
  [49, 197],
  [197, 13],
].map((shape) => ({ shapes: [shape, shape], options: { eps: 1e-8 } }));

proveOp({
  op: pearsonColumnsOp,
  cases,
  reference: (inputs, { eps }) => {
    const r = correlations(inputs, eps);
    return nd([r.length], (i) => r[i]!);
  },
});

const pearsonLossOp: Op<Record<string, never>> = {
  name: 'pearson-loss',
  apply: ([x, y]) => pearsonLoss(x!, y!),
};

proveOp({
  op: pearsonLossOp,
  cases: cases.map(({ shapes }) => ({ shapes, options: {} })),
  reference: (inputs) => {
    const r = correlations(inputs, 1e-8);
    return nd([], () => 1 - r.reduce((t, v) => t + v, 0) / r.length);
  },
});

describe.each(TUNINGS)('pearson-loss, $tuning', ({ open }) => {
  it('takes a constant gene, however it rounds, for uncorrelated and gives it no gradient', async () => {
    const device = await open();
    const rows = 7;
    // Genes: constant prediction 0.1, constant target 1/3, both constant, neither.
    const x = nd([rows, 4], (i) => [0.1, i, 0.1, i][i % 4]!);
    const y = nd([rows, 4], (i) => [i, 1 / 3, 0.7, i * i][i % 4]!);
    const [a, b] = [x, y].map(({ data, shape }) =>
      Parameter.of(Tensor.from(device, Float32Array.from(data), shape)),
    ) as [Parameter, Parameter];
    const r = [...(await pearsonColumns(a, b).floats())];
    expect(r.slice(0, 3)).toEqual([0, 0, 0]);
    expect(r[3]).toBeGreaterThan(0.9);
    backward(pearsonLoss(a, b));
    for (const { grad } of [a, b]) {
      const values = await grad!.floats();
      expect(values.every((v, i) => (i % 4 === 3 ? Number.isFinite(v) : v === 0))).toBe(true);
      expect(values.some((v) => v !== 0)).toBe(true);
    }
  });

  it('shows a NaN', async () => {
    const device = await open();
    const x = Parameter.of(Tensor.from(device, [1, 2, Number.NaN, 3, 2, 1], [3, 2]));
    const loss = pearsonLoss(x, Tensor.from(device, [1, 2, 3, 4, 5, 7], [3, 2]));
    backward(loss);
    expect(await loss.item()).toBeNaN();
    const grad = [...(await x.grad!.floats())];
    expect(grad.map((v) => Number.isNaN(v))).toEqual([true, false, true, false, true, false]);
  });
});

describe('pearson-loss', () => {
  it('is 0, 1 or 2 for the same, unrelated and opposite values', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2, 3, 4], [4, 1]);
    const across = Tensor.from(device, [1, -1, -1, 1], [4, 1]);
    const down = Tensor.from(device, [7, 5, 3, 1], [4, 1]);
    expect(await pearsonLoss(x, x).item()).toBeCloseTo(0, 6);
    expect(await pearsonLoss(x, across).item()).toBeCloseTo(1, 6);
    expect(await pearsonLoss(x, down).item()).toBeCloseTo(2, 6);
  });

  it('needs two matrices of one shape', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [5, 3])];
    await expectError(() => pearsonLoss(a, b), 'shape', /pearson-columns: .*\[4, 3\] and \[5, 3\]/);
    const none = Tensor.zeros(device, [0, 3]);
    await expectError(() => pearsonLoss(none, none), 'shape', /two non-empty matrices/);
  });
});
