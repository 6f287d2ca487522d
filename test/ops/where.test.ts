import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { sum } from '../../src/ops/reduce.ts';
import { log } from '../../src/ops/unary.ts';
import { where, whereOp } from '../../src/ops/where.ts';
import { sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

interface Json {
  condition: number[];
  shape: number[];
}

const cases = [[1], [13], [7, 31], [0, 3], [49, 197], [2, 3, 5, 7], []].map((shape, i) => {
  const random = new Random(i);
  const condition = Array.from({ length: sizeOf(shape) }, () => random.integer(3) - 1);
  return { shapes: [shape, shape], options: { condition, shape } };
});

proveOp({
  op: whereOp,
  options: ({ condition, shape }: Json, device) => ({
    condition: Tensor.from(device, condition, shape),
  }),
  cases,
  reference: ([a, b], { condition }) =>
    nd(a!.shape, (i) => (condition[i] ? a!.data[i]! : b!.data[i]!)),
});

describe.each(TUNINGS)('where, $tuning', ({ open }) => {
  it('keeps a NaN of the branch not taken out of value and gradient', async () => {
    const device = await open();
    const condition = Tensor.from(device, [1, 0, Number.NaN, -0]);
    const a = Parameter.of(Tensor.from(device, [2, Number.NaN, 3, 0]));
    const b = Parameter.of(Tensor.from(device, [Number.NaN, 1, Number.NaN, -4]));
    const y = where(condition, a, b);
    backward(sum(y));
    expect([...(await y.floats())]).toEqual([2, 1, 3, -4]);
    expect([...(await a.grad!.floats())]).toEqual([1, 0, 1, 0]);
    expect([...(await b.grad!.floats())]).toEqual([0, 1, 0, 1]);
  });

  it('guards a logarithm only as in PyTorch: the pole must be kept out of its input', async () => {
    const device = await open();
    const x = Parameter.of(Tensor.from(device, [0, 2]));
    const condition = Tensor.from(device, [0, 1]);
    const one = Tensor.from(device, [1, 1]);
    const y = where(condition, log(where(condition, x, one)), one);
    backward(sum(y));
    expect([...(await x.grad!.floats())]).toEqual([0, 0.5]);
  });
});

describe('where', () => {
  it('wants one shape and a float32 condition', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [2, 3]), Tensor.zeros(device, [3])];
    await expectError(
      () => where(a, a, b),
      'shape',
      /where: expected operands.*\[2, 3\] and \[3\]/,
    );
    await expectError(() => where(b, a, a), 'shape', /where: expected a condition \[2, 3\]/);
    const c = Tensor.from(device, new Uint32Array(6), [2, 3]);
    await expectError(() => where(c, a, a), 'dtype', /float32 condition, found u32/);
  });
});
