import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { max, maxOp, mean, meanOp, type ReduceOptions, sum, sumOp } from '../../src/ops/reduce.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd } from './nd.ts';
import { type FuzzCase, proveOp, TUNINGS } from './prove.ts';

const ofShapes = (shapes: readonly [Shape, number | null, boolean?][]): FuzzCase<ReduceOptions>[] =>
  shapes.map(([shape, axis, keepDims = false]) => ({
    shapes: [shape],
    options: { axis, keepDims },
  }));

const cases = ofShapes([
  [[1], null],
  [[], null],
  [[49, 197], 0],
  [[3, 25_761], 0],
  [[3, 25_761], 1],
  [[49, 197], 1],
  [[49, 197], null, true],
  [[3, 1031], 1],
  [[49, 196], 0],
  [[49, 196], 1],
  [[1031, 3], 0, true],
  [[2, 523, 5], -2],
  [[2, 3, 5, 7], 2],
  // Three stages: more runs of 128 than one stage adds up.
  [[70_001], null],
  // Two, with runs of 1024 where they go by fours.
  [[70_004], null],
  [[5, 523, 8], 1],
  [[1, 1], -1, true],
  [[0, 4], 1],
]);
const empty = ofShapes([
  [[0, 4], 0],
  [[3, 0], 1],
  [[0], null],
]);

/** Parts along the outer axis, along the reduced one, and of slices so long that not two fit a binding. */
const splits = ofShapes([
  [[5001], null],
  [[49, 197], 0],
  [[49, 197], 1],
  [[523, 2, 5], 0],
  [[23, 11, 17], 1],
  [[1031, 3], 0, true],
  [[3, 1500], 0],
  [[49, 200], 0],
  [[49, 200], 1],
  [[2, 3, 700], 1],
  [[1, 2500], 0],
  [[1500, 1, 2], 1],
]);

function reduceWith(combine: (values: Float64Array) => number) {
  return ([x]: readonly Nd[], { axis, keepDims }: ReduceOptions): Nd => {
    const { shape, data } = x!;
    const at = axis === null ? 0 : (axis + shape.length) % shape.length;
    const [outer, n, inner] =
      axis === null
        ? [1, data.length, 1]
        : [sizeOf(shape.slice(0, at)), shape[at]!, sizeOf(shape.slice(at + 1))];
    const kept = shape.map((size, d) => (axis === null || d === at ? 1 : size));
    const out = keepDims ? kept : axis === null ? [] : kept.filter((_, d) => d !== at);
    const values = new Float64Array(n);
    return {
      shape: out,
      data: nd([outer, inner], (index) => {
        const begin = Math.floor(index / inner) * n * inner + (index % inner);
        for (let j = 0; j < n; j++) values[j] = data[begin + j * inner]!;
        return combine(values);
      }).data,
    };
  };
}

const total = (values: Float64Array) => values.reduce((all, v) => all + v, 0);

proveOp({ op: sumOp, cases: [...cases, ...empty], splits, reference: reduceWith(total) });
proveOp({
  op: meanOp,
  cases,
  splits,
  reference: reduceWith((values) => total(values) / values.length),
});
proveOp({
  op: maxOp,
  cases,
  splits,
  // No ties, and none that a finite difference could make.
  draw: (random, shape) => random.permutation(sizeOf(shape)).map((v) => 0.25 * v - 100),
  reference: reduceWith((values) => values.reduce((most, v) => Math.max(most, v), -Infinity)),
});

describe.each(TUNINGS)('max, $tuning', ({ open }) => {
  it('shares its gradient among equal maxima, as torch.amax', async () => {
    const x = Parameter.of(Tensor.from(await open(), [2, 5, 5, 1, 5, 0], [2, 3]));
    backward(sum(max(x, 1)));
    expect([...(await x.grad!.floats())]).toEqual([0, 0.5, 0.5, 0, 1, 0]);
  });

  it('passes a NaN on, along the last axis and along others', async () => {
    const device = await open();
    const values = Array.from({ length: 700 }, (_, i) => (i === 311 ? Number.NaN : i));
    expect(await max(Tensor.from(device, values)).item()).toBeNaN();
    const columns = await max(Tensor.from(device, values, [350, 2]), 0).floats();
    expect([...columns]).toEqual([698, Number.NaN]);
    const x = Parameter.of(Tensor.from(device, values.slice(310, 314), [2, 2]));
    scope(() => backward(sum(max(x, 0))));
    expect(await x.grad!.floats()).toEqual(Float32Array.of(0, Number.NaN, 1, Number.NaN));
    x.dispose();
  });

  it('of nothing but infinities is infinite', async () => {
    const x = Tensor.from(await open(), new Float32Array(6).fill(-Infinity), [3, 2]);
    expect(await max(x).item()).toBe(-Infinity);
    expect([...(await max(x, 0).floats())]).toEqual([-Infinity, -Infinity]);
  });
});

describe('reductions', () => {
  it('refuse an axis that is not there', async () => {
    const x = Tensor.zeros(await testDevice(), [2, 3]);
    await expectError(
      () => sum(x, 2),
      'shape',
      /sum: expected an axis below 2, found axis 2 of \[2, 3\]/,
    );
    await expectError(() => max(x, -3), 'shape', /max: .*axis -3 of \[2, 3\]/);
    await expectError(() => mean(x, 0.5), 'shape', /mean: .*axis 0.5/);
  });

  it('refuse the mean and the maximum of nothing', async () => {
    const x = Tensor.zeros(await testDevice(), [0, 3]);
    await expectError(() => mean(x, 0), 'shape', /mean: expected at least one element.*\[0, 3\]/);
    await expectError(() => max(x), 'shape', /max: expected at least one element.*\[0, 3\]/);
  });
});
