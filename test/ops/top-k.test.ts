import { afterAll, describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { mul } from '../../src/ops/binary.ts';
import { sum } from '../../src/ops/reduce.ts';
import { takeAlongRows, takeAlongRowsOp } from '../../src/ops/take-along-rows.ts';
import { activeRows, paddingMask, topK, topKMask, topKMean } from '../../src/ops/top-k.ts';
import { sizeOf, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { type Nd, nd, Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

/** Positions in torch.topk's order: descending, a NaN first, of equals the first. */
function order(row: ArrayLike<number>): number[] {
  const above = (a: number, b: number) => (Number.isNaN(a) ? !Number.isNaN(b) : a > b);
  const before = (i: number, j: number) =>
    above(row[i]!, row[j]!) ? -1 : above(row[j]!, row[i]!) ? 1 : i - j;
  return Array.from(row, (_, i) => i).sort(before);
}

/** No two values of a row are near one another, so that small steps change no order. */
function apart(random: Random, shape: readonly number[]): number[] {
  const n = shape.at(-1)!;
  return Array.from({ length: sizeOf(shape.slice(0, -1)) }, () =>
    random.permutation(n).map((rank) => 0.2 * (rank - n / 3) + 0.01 * random.uniform()),
  ).flat();
}

interface Indices {
  indices: number[];
}

const random = new Random(3);
const picks = (rows: number, n: number, k: number) =>
  Array.from({ length: rows }, () => random.permutation(n).slice(0, k)).flat();

proveOp({
  op: takeAlongRowsOp,
  options: ({ indices, shape }: Indices & { shape?: number[] }, device) => ({
    indices: Tensor.from(device, Uint32Array.from(indices), shape ?? goldenShape(indices)),
  }),
  cases: [
    [[1, 1], 1],
    [[5, 49], 13],
    [[2, 3, 197], 197],
    [[0, 7], 3],
    [[4, 5], 0],
  ].map(([shape, k]) => {
    const [dims, count] = [shape as number[], k as number];
    const lead = dims.slice(0, -1);
    const indices = picks(sizeOf(lead), dims.at(-1)!, count);
    return { shapes: [dims], options: { indices, shape: [...lead, count] } };
  }),
  reference: ([x], { indices }) => {
    const n = x!.shape.at(-1)!;
    const rows = x!.shape.slice(0, -1);
    const k = indices.length / Math.max(1, sizeOf(rows)) || (sizeOf(rows) === 0 ? 3 : 0);
    return nd([...rows, k], (i) => x!.data[Math.floor(i / k) * n + indices[i]!]!);
  },
  linearIn: [0],
});

/** The goldens give the indices as a list; their shapes are these. */
function goldenShape(indices: number[]): number[] {
  const shapes: Record<number, number[]> = {
    1: [1, 1],
    25: [5, 5],
    42: [2, 3, 7],
    591: [3, 197],
    3: [3],
  };
  return shapes[indices.length]!;
}

// Compositions, against the goldens of torch.topk and of HE2RNA's forward_fixed_k.
proveOp<{ k: number }, { k: number }>({
  op: { name: 'top-k', apply: ([x], { k }) => topK(x!, k).values },
  cases: [
    { shapes: [[1, 1]], options: { k: 1 } },
    { shapes: [[49, 13]], options: { k: 13 } },
    { shapes: [[3, 256]], options: { k: 31 } },
    { shapes: [[3, 257]], options: { k: 31 } },
    { shapes: [[2, 1031]], options: { k: 1031 } },
    { shapes: [[0, 300]], options: { k: 2 } },
  ],
  draw: apart,
  reference: ([x], { k }) => {
    const n = x!.shape.at(-1)!;
    const rows = sizeOf(x!.shape.slice(0, -1));
    const data = Array.from({ length: rows }, (_, r) => {
      const row = x!.data.subarray(r * n, (r + 1) * n);
      return [...row].sort((a, b) => b - a).slice(0, k);
    }).flat();
    return { shape: [...x!.shape.slice(0, -1), k], data: Float64Array.from(data) };
  },
});

interface Pool {
  ks: number[];
  mask: number[][] | null;
}

function pool([x]: readonly Nd[], { ks, mask }: Pool): Nd {
  const n = x!.shape.at(-1)!;
  const perBag = sizeOf(x!.shape.slice(1, -1));
  return nd(x!.shape.slice(0, -1), (index) => {
    const valid = mask?.[Math.floor(index / perBag)] ?? Array<number>(n).fill(1);
    const row = [...x!.data.subarray(index * n, (index + 1) * n)].map((v, t) => v * valid[t]!);
    const sorted = row.sort((a, b) => b - a);
    let total = 0;
    for (const k of ks) {
      let [above, below] = [0, 0];
      for (let j = 0; j < k; j++) {
        above += sorted[j]! * valid[j]!;
        below += valid[j]!;
      }
      total += below === 0 ? 0 : above / below;
    }
    return total / ks.length;
  });
}

const prefix = (counts: number[], n: number) =>
  counts.map((count) => Array.from({ length: n }, (_, t) => (t < count ? 1 : 0)));

proveOp<Pool, Pool>({
  op: {
    name: 'top-k-mean',
    apply: ([x], { ks, mask }) =>
      topKMean(x!, {
        ks,
        mask: mask && Tensor.from(x!.device, mask.flat(), [mask.length, mask[0]!.length]),
      }),
  },
  cases: [
    { shapes: [[5, 49]], options: { ks: [1, 7, 49], mask: null } },
    { shapes: [[2, 3, 13]], options: { ks: [2], mask: prefix([0, 5], 13) } },
    { shapes: [[2, 3, 263]], options: { ks: [10, 200], mask: prefix([263, 11], 263) } },
  ],
  draw: apart,
  reference: pool,
});

const devices: Device[] = [];
afterAll(() => {
  for (const device of devices) device.close();
});

describe.each(TUNINGS)('topK, $tuning', ({ open }) => {
  const hard = [0, -0, 1, Number.NaN, -Infinity, 3e38, Infinity, 1, -1e-40, 1e-40, -3e38, 1];

  it.each([12, 256, 300, 1000])('sorts as torch.topk, rows of %d', async (n) => {
    const device = await open();
    const draw = new Random(n);
    const rows = [
      Array.from({ length: n }, (_, i) => hard[i % hard.length]!),
      Array.from({ length: n }, () => Math.fround(draw.normal())),
      Array.from({ length: n }, () => draw.integer(5) - 2),
      Array.from({ length: n }, () => 7),
    ];
    const k = Math.ceil(n / 2);
    const { values, indices } = topK(Tensor.from(device, rows.flat(), [4, n]), k);
    expect(indices.dtype).toBe('u32');
    const wanted = rows.flatMap((row) => order(row.map(Math.fround)).slice(0, k));
    expect([...(await indices.data())]).toEqual(wanted);
    const found = await values.floats();
    wanted.forEach((t, i) => {
      expect(found[i]).toBe(Math.fround(rows[Math.floor(i / k)]![t]!));
    });
  });

  it('marks the k largest', async () => {
    const x = Tensor.from(await open(), [3, 1, 2, 2, 2, 5], [2, 3]);
    expect([...(await topKMask(x, 2).floats())]).toEqual([1, 0, 1, 1, 0, 1]);
    expect([...(await topKMask(x, 0).floats())]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('gives each gradient to the element that was selected, one of equals', async () => {
    const device = await open();
    const x = Parameter.of(Tensor.from(device, [1, 4, 4, 2], [1, 4]));
    const weights = Tensor.from(device, [10, 1], [1, 2]);
    const loss = sum(mul(topK(x, 2).values, weights));
    expect(await loss.item()).toBe(44);
    backward(loss);
    expect([...(await x.grad!.floats())]).toEqual([0, 10, 1, 0]);
  });

  it('says which rows have anything above 0', async () => {
    const x = Tensor.from(await open(), [0, -1, 0, 1e-30, -Infinity, 5], [3, 2]);
    expect([...(await activeRows(x).floats())]).toEqual([0, 1, 1]);
  });
});

describe('topK', () => {
  it.each([100, 400])('cuts what exceeds a binding, rows of %d', async (n) => {
    const device = await Device.open({ bindingBytes: 64 * 2 * n * 4 });
    devices.push(device);
    const draw = new Random(9);
    const x = Tensor.from(
      device,
      Float32Array.from({ length: 300 * n }, () => draw.normal()),
      [300, n],
    );
    const [found, values] = [await x.floats(), topK(x, 3)];
    const wanted = Array.from({ length: 300 }, (_, r) =>
      order(found.subarray(r * n, (r + 1) * n)).slice(0, 3),
    ).flat();
    expect([...(await values.indices.data())]).toEqual(wanted);
    const mask = await topKMask(x, 3).floats();
    expect(mask.reduce((total, v) => total + v, 0)).toBe(900);
  });

  it('refuses k beyond the row, and rows without an axis', async () => {
    const device = await testDevice();
    const x = Tensor.zeros(device, [2, 5]);
    await expectError(() => topK(x, 6), 'option', /topK: expected k from 0 to 5, .* found 6/);
    await expectError(() => topKMask(x, 1.5), 'option', /found 1.5/);
    await expectError(() => topKMean(x, { ks: [1, 0] }), 'option', /from 1 to 5, .* found 0/);
    await expectError(() => topKMean(x, { ks: [] }), 'option', /found none/);
    await expectError(() => topK(Tensor.scalar(device, 1), 1), 'shape', /at least one dimension/);
    const mask = Tensor.zeros(device, [2, 4]);
    await expectError(
      () => topKMean(x, { ks: [1], mask }),
      'shape',
      /a mask \[2, 5\], found \[2, 4\]/,
    );
  });

  it('refuses indices of other rows', async () => {
    const device = await testDevice();
    const indices = Tensor.from(device, new Uint32Array(6), [3, 2]);
    const x = Tensor.zeros(device, [2, 5]);
    await expectError(
      () => takeAlongRows(x, indices),
      'shape',
      /found \[2, 5\] with u32 indices \[3, 2\]/,
    );
    await expectError(() => takeAlongRows(x, x), 'shape', /with f32 indices/);
  });

  it('masks the padding behind the valid positions', async () => {
    const device = await testDevice();
    expect([...(await paddingMask(device, [2, 0, 3], 3).floats())]).toEqual([
      1, 1, 0, 0, 0, 0, 1, 1, 1,
    ]);
    await expectError(
      () => paddingMask(device, [4], 3),
      'option',
      /from 0 to 3, found 4 \(entry 0\)/,
    );
  });
});
