import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import {
  bceWithLogits,
  bceWithLogitsOp,
  l1,
  l1Op,
  smoothL1,
  smoothL1Op,
} from '../../src/ops/pointwise-loss.ts';
import { sum } from '../../src/ops/reduce.ts';
import type { Reduction } from '../../src/ops/reduction.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, type Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

const SHAPES: readonly Shape[] = [[1], [13], [49, 197], [2, 3, 5, 7], [3, 1031], [], [2, 25_761]];

/** All shapes with all reductions, the empty tensor where nothing is reduced. */
function cases<O>(options: O) {
  const reduced = (['mean', 'sum', 'none'] as const).flatMap((reduction) =>
    SHAPES.map((shape) => ({ shapes: [shape, shape], options: { ...options, reduction } })),
  );
  return [
    ...reduced,
    {
      shapes: [
        [0, 3],
        [0, 3],
      ],
      options: { ...options, reduction: 'none' as const },
    },
  ];
}

function reduce([x, y]: readonly Nd[], reduction: Reduction, f: (x: number, y: number) => number) {
  const each = nd(x!.shape, (i) => f(x!.data[i]!, y!.data[i]!));
  if (reduction === 'none') return each;
  const total = each.data.reduce((t, v) => t + v, 0);
  return nd([], () => (reduction === 'sum' ? total : total / each.data.length));
}

/** Predictions in (0.1, 0.9), targets outside (−0.1, 1.1): never at the kink of |x − y|. */
const apart = (random: Random, shape: Shape, input: number) =>
  nd(shape, () => {
    if (input === 0) return random.uniform(0.1, 0.9);
    return random.uniform() < 0.5 ? random.uniform(-1.4, -0.1) : random.uniform(1.1, 2.4);
  }).data;

proveOp({
  op: l1Op,
  draw: apart,
  cases: cases({}),
  reference: (inputs, { reduction }) => reduce(inputs, reduction, (x, y) => Math.abs(x - y)),
});

proveOp({
  op: smoothL1Op,
  draw: apart,
  cases: [...cases({ beta: 1 }), ...cases({ beta: 0.3 })],
  reference: (inputs, { reduction, beta }) =>
    reduce(inputs, reduction, (x, y) => {
      const d = Math.abs(x - y);
      return d < beta ? (d * d) / (2 * beta) : d - beta / 2;
    }),
});

proveOp({
  op: bceWithLogitsOp,
  draw: (random, shape, input) =>
    nd(shape, () => (input === 0 ? 3 * random.normal() : random.uniform())).data,
  cases: [...cases({ posWeight: 1 }), ...cases({ posWeight: 3 })],
  reference: (inputs, { reduction, posWeight }) =>
    reduce(inputs, reduction, (x, y) => {
      const p = 1 / (1 + Math.exp(-x));
      const q = 1 / (1 + Math.exp(x));
      return -(posWeight * y * Math.log(p) + (1 - y) * Math.log(q));
    }),
});

describe.each(TUNINGS)('losses over elements, $tuning', ({ open }) => {
  it('stay finite where the probabilities are 0 and 1', async () => {
    const device = await open();
    const logits = Parameter.of(Tensor.from(device, [1e4, -1e4, 1e4, -1e4]));
    const targets = Tensor.from(device, [1, 0, 0, 1]);
    const each = bceWithLogits(logits, targets, { reduction: 'none' });
    expect([...(await each.floats())]).toEqual([0, 0, 1e4, 1e4]);
    backward(sum(each));
    expect([...(await logits.grad!.floats())]).toEqual([0, 0, 1, -1]);
  });

  it.each([
    ['l1', l1],
    ['smoothL1', smoothL1],
    ['bceWithLogits', bceWithLogits],
  ] as const)('%s shows a NaN in its value and in its gradient', async (_name, f) => {
    const device = await open();
    const x = Parameter.of(Tensor.from(device, [1, Number.NaN, 2, 0, 3]));
    const loss = f(x, Tensor.from(device, [0, 0, 0, 1, 1]));
    backward(loss);
    expect(await loss.item()).toBeNaN();
    const grad = [...(await x.grad!.floats())];
    expect(grad.map((v) => Number.isNaN(v))).toEqual([false, true, false, false, false]);
  });

  it('have the gradient 0 where prediction and target agree', async () => {
    const device = await open();
    const x = Parameter.of(Tensor.from(device, [1, 2, 3]));
    backward(l1(x, Tensor.from(device, [1, 4, 1]), { reduction: 'sum' }));
    expect([...(await x.grad!.floats())]).toEqual([0, -1, 1]);
  });
});

describe('losses over elements', () => {
  it('are the mean by default; smoothL1 without beta is l1', async () => {
    const device = await testDevice();
    const [x, y] = [Tensor.from(device, [0, 2, 4]), Tensor.from(device, [0, 0, 0])];
    expect(await l1(x, y).item()).toBe(2);
    expect(await smoothL1(x, y).item()).toBeCloseTo((1.5 + 3.5) / 3, 6);
    expect(await smoothL1(x, y, { beta: 0 }).item()).toBe(2);
  });

  it('say what does not fit', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [4, 3]), Tensor.zeros(device, [3])];
    const empty = Tensor.zeros(device, [0, 3]);
    await expectError(() => l1(a, b), 'shape', /l1: expected prediction.*\[4, 3\] and \[3\]/);
    await expectError(() => l1(empty, empty), 'shape', /l1: expected at least one element/);
    await expectError(() => smoothL1(a, a, { beta: -1 }), 'option', /smooth-l1: .*beta.*found -1/);
    await expectError(() => bceWithLogits(a, a, { posWeight: Number.NaN }), 'option', /posWeight/);
    const typo = { reduction: 'average' as Reduction };
    await expectError(() => l1(a, a, typo), 'option', /l1: .*found average/);
  });
});
