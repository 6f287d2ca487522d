import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backwardFrom } from '../../src/autograd/tape.ts';
import { add, addOp, div, divOp, mulOp, subOp } from '../../src/ops/binary.ts';
import { scope } from '../../src/tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, type Random } from './nd.ts';
import { proveOp } from './prove.ts';

const splits = [
  [[1], [1]],
  [
    [49, 197],
    [49, 197],
  ],
  [
    [7, 31],
    [1, 31],
  ],
  [
    [7, 31],
    [7, 1],
  ],
  [[], [3, 5]],
  [[1031], []],
  [
    [1, 13],
    [11, 1],
  ],
  [
    [2, 1, 3, 1],
    [5, 1, 7],
  ],
  [
    [5, 2, 3, 2],
    [5, 2, 3, 2],
  ],
  [[600, 3], [3]],

  [[0, 5], [5]],
  // In parts of 1024 elements: both sides large, neither, and repeated outside, between and inside.
  [
    [3, 700],
    [3, 1],
  ],
  [
    [13, 11, 20],
    [13, 1, 20],
  ],
  [
    [4, 1, 300],
    [3, 1],
  ],
].map((shapes) => ({ shapes: shapes as Shape[], options: {} }));
/** A row of all genes is longer than the pretended binding, and what repeats must fit one. */
const cases = [...splits, { shapes: [[2, 25_761], [25_761]], options: {} }];

/** NumPy's rule: walks the output's index and drops what an operand repeats over. */
function broadcast(f: (p: number, q: number) => number) {
  return ([a, b]: readonly Nd[]): Nd => {
    const rank = Math.max(a!.shape.length, b!.shape.length);
    const pad = ({ shape }: Nd) => [...Array<number>(rank - shape.length).fill(1), ...shape];
    const [m, n] = [pad(a!), pad(b!)];
    const shape = m.map((size, d) => (size === 1 ? n[d]! : size));
    const at = (index: number, dims: number[]) => {
      let flat = 0;
      let stride = sizeOf(shape);
      for (let d = 0, rest = index; d < rank; d++) {
        stride /= shape[d]!;
        flat = flat * dims[d]! + (dims[d] === 1 ? 0 : Math.floor(rest / stride));
        rest %= stride;
      }
      return flat;
    };
    return nd(shape, (i) => f(a!.data[at(i, m)]!, b!.data[at(i, n)]!));
  };
}

proveOp({ op: addOp, cases, splits, reference: broadcast((p, q) => p + q) });
proveOp({ op: subOp, cases, splits, reference: broadcast((p, q) => p - q) });
proveOp({ op: mulOp, cases, splits, reference: broadcast((p, q) => p * q) });
proveOp({
  op: divOp,
  cases,
  splits,
  draw: (random: Random, shape) => nd(shape, () => random.awayFromZero(0.5)).data,
  reference: broadcast((p, q) => p / q),
});

describe('add', () => {
  it('names the shapes that do not broadcast', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.zeros(device, [3, 4]), Tensor.zeros(device, [3, 5])];
    await expectError(
      () => add(a, b),
      'shape',
      /add: expected shapes that broadcast.*\[3, 4\] and \[3, 5\]/,
    );
  });

  it('takes at most four dimensions', async () => {
    const x = Tensor.zeros(await testDevice(), [1, 1, 1, 1, 2]);
    await expectError(() => add(x, x), 'shape', /at most 4 dimensions, found \[1, 1, 1, 1, 2\]/);
  });
});

describe('div', () => {
  it('has a gradient where PyTorch has one: its factors do not overflow on the way', async () => {
    const device = await testDevice();
    const b = Parameter.of(Tensor.from(device, [1e10]));
    scope(() => backwardFrom(div(Tensor.from(device, [1e38]), b), Tensor.from(device, [1e15])));
    // -1e15 · (1e28 / 1e10); 1e15 · 1e28 would be infinite.
    expect((await b.grad!.floats())[0]! / -1e33).toBeCloseTo(1, 5);
    b.dispose();
  });
});
