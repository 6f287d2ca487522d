import { describe, expect, it } from 'vitest';
import type { ProductPlan, RegisterTile } from '../../src/gpu/tuning.ts';
import { linear, linearOp, matmul, matmulOp } from '../../src/ops/matmul.ts';
import { chooseMatmul, multiplyInto } from '../../src/ops/matmul-kernels.ts';
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

const tile = (
  threads: RegisterTile['threads'],
  blocks: RegisterTile['blocks'],
  slice: number,
): [string, ProductPlan] => [
  `tiled ${threads} threads of ${blocks} blocks, slices of ${slice}`,
  { kernel: 'tiled', threads, blocks, slice },
];

/** Chosen for large products only. */
const TEXELS: ProductPlan = { kernel: 'texels' };

/** Each kernel on the sizes around its tiles, whichever one the adapter would choose. */
describe.each<[string, ProductPlan]>([
  ['subgroup', { kernel: 'subgroup' }],
  ['texels', TEXELS],
  ['rows', { kernel: 'rows', workgroup: 8 }],
  // Every form of thread_place, of blocks, and of turn, in shaders/shared/register_tile.wgsl.
  tile([16, 8], [1, 2], 16),
  tile([8, 4], [2, 2], 8),
  tile([4, 16], [1, 1], 32),
  tile([32, 2], [2, 1], 4),
])('the %s kernel', (_, plan) => {
  const SIZES: readonly Sizes[] = [
    { batch: 1, m: 1, n: 1, k: 1 },
    { batch: 1, m: 33, n: 65, k: 17 },
    { batch: 1, m: 31, n: 5, k: 197 },
    { batch: 3, m: 64, n: 36, k: 12 },
    { batch: 2, m: 68, n: 67, k: 15 },
    { batch: 1, m: 9, n: 132, k: 4 },
    // Around the narrow tile of the subgroup kernel, as columns and (turned) as rows.
    { batch: 1, m: 16, n: 17, k: 21 },
    { batch: 1, m: 37, n: 16, k: 10 },
    { batch: 3, m: 5, n: 44, k: 9 },
    // As textures: K in three parts (where both operands have it across their rows), and ends within a vec4.
    { batch: 1, m: 36, n: 68, k: 2052 },
    { batch: 1, m: 36, n: 68, k: 15 },
    { batch: 2, m: 33, n: 67, k: 16 },
  ];

  // Of the other tiles, each operand along K and across it: each tile compiles anew.
  const others = plan.kernel === 'tiled' && plan.slice !== 16;
  it.each(others ? [STORED[0]!, STORED[3]!] : STORED)(
    'multiplies when stored %j',
    async (stored) => {
      const device = await testDevice();
      const sizes = { subgroup: [4, 8], texels: [8] }[String(plan.kernel)];
      if (sizes && !sizes.includes(device.subgroupSize)) {
        // It is for CPU rasterisers: nothing else chooses it.
        const chosen = chooseMatmul(device, { batch: 1, m: 1000, n: 1000 });
        expect(chosen.kernel).not.toBe(plan.kernel);
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
        multiplyInto(x!, y!, biased ? z! : null, out, { ...sizes, ...stored }, plan);
        const expected = product(a, b, biased ? bias : undefined, sizes, stored);
        const allowance = { relative: 1e-5, floor: 1e-6 };
        const problem = difference(await out.floats(), expected.data, allowance);
        expect(problem, JSON.stringify(sizes)).toBeNull();
        for (const tensor of [x!, y!, z!, out]) tensor.dispose();
      }
    },
  );
});

describe.each(TUNINGS)('multiplyInto, $tuning', ({ open, tight }) => {
  // Columns 3 … 3 + N of every matrix in a wider result, from a part of one matrix against a batch.
  it.each([
    ['whole', { batch: 3, m: 9, n: 10, k: 7 }, undefined],
    ['in parts', { batch: 3, m: 37, n: 21, k: 30 }, undefined],
    ['from textures', { batch: 3, m: 37, n: 24, k: 28 }, TEXELS],
  ])('adds a product to a part of a larger tensor, %s', async (_, sizes, plan) => {
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
      multiplyInto(rows, right!, null, columns, { ...sizes, ...plain, accumulate: true }, plan);
      expect(await out!.floats()).toEqual(expected);
    }
  });
});

describe.each(TUNINGS)('multiplyInto, $tuning', ({ open }) => {
  it.each([
    { m: 18, n: 19, k: 7 },
    { m: 3, n: 21, k: 5 },
    { m: 21, n: 3, k: 7 },
    { m: 36, n: 68, k: 18, plan: TEXELS },
  ])('reads nothing around its operands (%j)', async ({ m, n, k, plan }) => {
    const device = await open();
    // Each operand lies in a frame of NaN, whichever way it is stored.
    const framed = (rows: number, columns: number, value: (r: number, c: number) => number) => {
      const wide = plan ? 4 * Math.ceil((columns + 5) / 4) : columns + 5;
      const data = new Float32Array((rows + 2) * wide).fill(Number.NaN);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) data[(r + 1) * wide + c + 4] = value(r, c);
      }
      const tensor = Tensor.from(device, data, [rows + 2, wide]);
      return { tensor, start: wide + 4, row: wide };
    };
    const left = (r: number, l: number) => ((r * 5 + l * 3) % 7) - 3;
    const right = (l: number, c: number) => ((l * 2 + c * 5) % 9) - 4;
    const expected = new Float32Array(m * n);
    for (let r = 0; r < m; r++) {
      for (let c = 0; c < n; c++) {
        for (let l = 0; l < k; l++) expected[r * n + c]! += left(r, l) * right(l, c);
      }
    }
    for (const stored of STORED) {
      const a = stored.transposeA ? framed(k, m, (l, r) => left(r, l)) : framed(m, k, left);
      const b = stored.transposeB ? framed(n, k, (c, l) => right(l, c)) : framed(k, n, right);
      const out = Tensor.empty(device, [m, n]);
      multiplyInto(a, b, null, out, { batch: 1, m, n, k, ...stored }, plan);
      expect(await out.floats(), JSON.stringify(stored)).toEqual(expected);
    }
  });
});

describe('a product of few tiles', () => {
  // On a GPU: 2 tiles, so that K is split into parts of 256 steps or a few more, the last one shorter.
  it.each([
    ['a bias', { m: 16, n: 130, k: 1111 }, true],
    ['a sum', { m: 3, n: 132, k: 600 }, false],
    ['neither', { m: 40, n: 5, k: 520 }, null],
  ])('is split along K, and its parts added with %s', async (_, size, biased) => {
    const device = await testDevice('gpu');
    const sizes = { batch: 2, ...size };
    const { batch, m, n, k } = sizes;
    const random = new Random(5);
    // Small integers: the parts add up exactly.
    const draw = (...shape: number[]) => nd(shape, () => random.integer(9) - 4);
    const [a, b, bias, before] = [draw(batch, m, k), draw(batch, k, n), draw(n), draw(batch, m, n)];
    const [x, y, z, out] = [a, b, bias, before].map(({ shape, data }) =>
      Tensor.from(device, Float32Array.from(data), shape),
    );
    const { dispatches } = device.counts;
    const { live } = device.memory;
    const accumulate = biased === false;
    multiplyInto(x!, y!, biased ? z! : null, out!, { ...sizes, ...plain, accumulate });
    expect(device.counts.dispatches - dispatches).toBe(2);
    expect(device.memory.live).toBe(live);
    const { data } = product(a, b, biased ? bias : undefined, sizes, plain);
    const expected = accumulate ? data.map((v, i) => v + before.data[i]!) : data;
    expect(await out!.floats()).toEqual(Float32Array.from(expected));
  });
});

describe('chooseMatmul', () => {
  it('goes by the shape', async () => {
    const gpu = await testDevice('nvidia');
    const { fewRows, fewColumns, skinny, small, large } = gpu.tuning.matmul;
    const chosen = (batch: number, m: number, n: number) => chooseMatmul(gpu, { batch, m, n });
    expect(chosen(1, 8, 9000)).toBe(fewRows);
    expect(chosen(1, 9000, 16)).toBe(fewColumns);
    expect(chosen(1, 32, 9000)).toBe(skinny);
    expect(chosen(1, 1024, 1024)).toBe(small);
    expect(chosen(1, 90_000, 64)).toBe(small);
    expect(chosen(8, 1024, 1024)).toBe(large);
    expect(large).not.toEqual(small);
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
