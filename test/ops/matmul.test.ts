import { describe, expect, it } from 'vitest';
import { linear, linearOp, matmul, matmulOp } from '../../src/ops/matmul.ts';
import { chooseMatmul, type MatmulKernel, multiplyInto } from '../../src/ops/matmul-kernels.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, Random } from './nd.ts';
import { difference, proveOp, TUNINGS } from './prove.ts';

interface Sizes {
  batch: number;
  m: number;
  n: number;
  k: number;
}

interface Stored {
  transposeA: boolean;
  transposeB: boolean;
}

const plain = { transposeA: false, transposeB: false };
const STORED: readonly Stored[] = [
  plain,
  { transposeA: true, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: true },
];

/** op(a) op(b) + bias in float64. */
function product(a: Nd, b: Nd, bias: Nd | undefined, sizes: Sizes, stored: Stored): Nd {
  const { batch, m, n, k } = sizes;
  const out = nd([batch, m, n], (i) => bias?.data[i % n] ?? 0);
  for (let s = 0; s < batch; s++) {
    for (let i = 0; i < m; i++) {
      for (let l = 0; l < k; l++) {
        const left = a.data[s * m * k + (stored.transposeA ? l * m + i : i * k + l)]!;
        const row = (s * m + i) * n;
        for (let j = 0; j < n; j++) {
          const at = s * k * n + (stored.transposeB ? j * k + l : l * n + j);
          out.data[row + j]! += left * b.data[at]!;
        }
      }
    }
  }
  return out;
}

const shapesOf = ({ batch, m, n, k }: Sizes, { transposeA, transposeB }: Stored) => ({
  a: [batch, ...(transposeA ? [k, m] : [m, k])],
  b: [batch, ...(transposeB ? [n, k] : [k, n])],
});

proveOp({
  op: matmulOp,
  cases: [
    {
      shapes: [
        [1, 1],
        [1, 1],
      ],
      options: plain,
    },
    {
      shapes: [
        [49, 197],
        [197, 67],
      ],
      options: plain,
    },
    {
      shapes: [
        [197, 49],
        [31, 197],
      ],
      options: { transposeA: true, transposeB: true },
    },
    {
      shapes: [
        [64, 1031],
        [4, 1031],
      ],
      options: { transposeA: false, transposeB: true },
    },
    {
      shapes: [
        [5, 33, 17],
        [5, 33, 12],
      ],
      options: { transposeA: true, transposeB: false },
    },
    {
      shapes: [
        [2, 3],
        [3, 0],
      ],
      options: plain,
    },
    {
      shapes: [
        [2, 0],
        [0, 3],
      ],
      options: plain,
    },
    {
      shapes: [
        [0, 2, 3],
        [0, 3, 4],
      ],
      options: plain,
    },
  ],
  splits: [
    // The result only, then each operand, in each way it may be stored.
    [[65, 7], [7, 33], plain],
    [[197, 49], [49, 3], plain],
    [[1031, 5], [1031, 4], STORED[1]!],
    [[5, 197], [129, 197], STORED[2]!],
    [[67, 41], [35, 67], STORED[3]!],
    [[3, 1500], [1500, 2], plain],
    [[12, 700], [700, 8], plain],
    // Batches of more than a part holds, and batches each of which is larger.
    [[70, 5, 4], [70, 4, 6], plain],
    [[2, 40, 36], [2, 40, 33], STORED[1]!],
  ].map(([a, b, options]) => ({ shapes: [a, b] as number[][], options: options as Stored })),
  reference: ([a, b], stored) => {
    const [rows, columns] = a!.shape.slice(-2) as [number, number];
    const [m, k] = stored.transposeA ? [columns, rows] : [rows, columns];
    const n = b!.shape.at(stored.transposeB ? -2 : -1)!;
    const batch = a!.shape.length === 3 ? a!.shape[0]! : 1;
    const { data } = product(a!, b!, undefined, { batch, m, n, k }, stored);
    return { shape: a!.shape.length === 3 ? [batch, m, n] : [m, n], data };
  },
});

proveOp({
  op: linearOp,
  cases: [
    [[1], [1, 1], [1]],
    [[49, 197], [33, 197], [33]],
    [
      [3, 5, 64],
      [7, 64],
    ],
    [[600, 12], [4, 12], [4]],
    [[13], [5, 13], [5]],
    [[0, 6], [3, 6], [3]],
    // The genes of the widest head.
    [[3, 7], [25_761, 7], [25_761]],
    [[2, 0], [3, 0], [3]],
  ].map((shapes) => ({ shapes, options: {} })),
  splits: [
    [[49, 37], [65, 37], [65]],
    [[2, 3, 600], [5, 600], [5]],
    [
      [1100, 3],
      [2, 3],
    ],
    // Even a row exceeds a part: K is cut, and the bias added once.
    [[3, 2300], [2, 2300], [2]],
    [[3], [1500, 3], [1500]],
  ].map((shapes) => ({ shapes, options: {} })),
  reference: ([x, weight, bias]) => {
    const [n, k] = weight!.shape as [number, number];
    const lead = x!.shape.slice(0, -1);
    const m = lead.reduce((all, size) => all * size, 1);
    const sizes = { batch: 1, m, n, k };
    return { shape: [...lead, n], data: product(x!, weight!, bias, sizes, STORED[2]!).data };
  },
});

/** Each kernel on the sizes around its tiles, whichever one the adapter would choose. */
describe.each<MatmulKernel>(['subgroup', 'tiled', 'rows'])('the %s kernel', (kernel) => {
  const SIZES: readonly Sizes[] = [
    { batch: 1, m: 1, n: 1, k: 1 },
    { batch: 1, m: 33, n: 65, k: 17 },
    { batch: 1, m: 31, n: 5, k: 197 },
    { batch: 3, m: 64, n: 36, k: 12 },
    { batch: 2, m: 68, n: 67, k: 15 },
    { batch: 1, m: 9, n: 132, k: 4 },
  ];

  it.each(STORED)('multiplies when stored %j', async (stored) => {
    const device = await testDevice();
    if (kernel === 'subgroup' && device.subgroupSize !== 4 && device.subgroupSize !== 8) {
      // It is for CPU rasterisers: nothing else chooses it.
      expect(chooseMatmul(device, 1000)).not.toBe('subgroup');
      return;
    }
    const random = new Random(3);
    const draw = (shape: number[]) => nd(shape, () => Math.fround(random.normal()));
    for (const sizes of SIZES) {
      const shapes = shapesOf(sizes, stored);
      const [a, b, bias] = [draw(shapes.a), draw(shapes.b), draw([sizes.n])];
      const out = Tensor.empty(device, [sizes.batch, sizes.m, sizes.n]);
      const [x, y, z] = [a, b, bias].map(({ shape, data }) =>
        Tensor.from(device, Float32Array.from(data), shape),
      );
      // With a bias where `linear` has one too, so that no further pipelines are compiled.
      const biased = stored.transposeB && !stored.transposeA;
      multiplyInto(x!, y!, biased ? z! : null, out, { ...sizes, ...stored }, kernel);
      const expected = product(a, b, biased ? bias : undefined, sizes, stored);
      const allowance = { relative: 1e-5, floor: 1e-6 };
      const problem = difference(await out.floats(), expected.data, allowance);
      expect(problem, JSON.stringify(sizes)).toBeNull();
      for (const tensor of [x!, y!, z!, out]) tensor.dispose();
    }
  });
});

describe.each(TUNINGS)('multiplyInto, $tuning', ({ open, tight }) => {
  // Columns 3 … 3 + N of every matrix in a wider result, from a part of one matrix against a batch.
  it.each([
    ['whole', { batch: 3, m: 9, n: 10, k: 7 }],
    ['in parts', { batch: 3, m: 37, n: 21, k: 30 }],
  ])('adds a product to a part of a larger tensor, %s', async (_, sizes) => {
    const { batch, m, n, k } = sizes;
    const random = new Random(9);
    const wide = n + 5;
    const draw = (...shape: number[]) => nd(shape, () => random.integer(9) - 4);
    const [weight, x, before] = [draw(m + 2, k), draw(batch, k, n), draw(batch, m, wide)];
    const expected = Float32Array.from(before.data);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          for (let l = 0; l < k; l++) {
            const right = x.data[(b * k + l) * n + j]!;
            expected[(b * m + i) * wide + 3 + j]! += weight.data[(i + 2) * k + l]! * right;
          }
        }
      }
    }
    for (const device of [await open(), await tight()]) {
      const [a, right, out] = [weight, x, before].map(({ shape, data }) =>
        Tensor.from(device, Float32Array.from(data), shape),
      );
      const rows = { tensor: a!, start: 2 * k, batch: 0 };
      const columns = { tensor: out!, start: 3, row: wide };
      multiplyInto(rows, right!, null, columns, { ...sizes, ...plain, accumulate: true });
      expect(await out!.floats()).toEqual(expected);
    }
  });
});

describe('chooseMatmul', () => {
  it('takes the tiles on a GPU, and few rows on their own', async () => {
    const gpu = await testDevice('gpu');
    expect([chooseMatmul(gpu, 8), chooseMatmul(gpu, 9)]).toEqual(['rows', 'tiled']);
  });
});

describe('matmul', () => {
  it('says which sizes do not fit', async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
    const found = /matmul: expected \[M, K\] and \[K, N\].*found \[2, 3\] and \[2, 3\]/;
    await expectError(() => matmul(zeros(2, 3), zeros(2, 3)), 'shape', found);
    const transposed = { transposeA: true, transposeB: true };
    const flags = /a transposed, b transposed, found \[2, 3\] and \[2, 3\]/;
    await expectError(() => matmul(zeros(2, 3), zeros(2, 3), transposed), 'shape', flags);
    const batch = /found \[2, 3, 4\] and \[3, 4, 3\]/;
    await expectError(() => matmul(zeros(2, 3, 4), zeros(3, 4, 3)), 'shape', batch);
    await expectError(() => matmul(zeros(3), zeros(3)), 'shape', /found \[3\] and \[3\]/);
  });
});

describe('linear', () => {
  it('says which sizes do not fit', async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
    const found = /linear: expected x \[..., in\].*found \[2, 3\] and \[4, 5\]/;
    await expectError(() => linear(zeros(2, 3), zeros(4, 5)), 'shape', found);
    const bias = /found \[2, 3\] and \[4, 3\] and \[3\]/;
    await expectError(() => linear(zeros(2, 3), zeros(4, 3), zeros(3)), 'shape', bias);
  });
});
