import { afterAll, describe, expect, it } from 'vitest';
import { Device } from '../../src/gpu/device.ts';
import { type SpmmOptions, spmm, spmmOp } from '../../src/ops/spmm.ts';
import { Csr } from '../../src/tensor/csr.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, Random } from './nd.ts';
import { proveOp, TUNINGS } from './prove.ts';

interface Json {
  shape: [number, number];
  rows: number[];
  columns: number[];
  values: number[] | null;
}

const random = new Random(11);

function elements(shape: [number, number], count: number, weighted: boolean): Json {
  const draw = (below: number) => Array.from({ length: count }, () => random.integer(below));
  const values = weighted
    ? Array.from({ length: count }, () => Math.fround(random.normal()))
    : null;
  return { shape, rows: draw(shape[0]), columns: draw(shape[1]), values };
}

/** A row longer than what one thread adds up, rows of every other kind, and rows without elements. */
const long: Json = {
  shape: [5, 13],
  rows: [...Array<number>(700).fill(3), 0, 4, 4],
  columns: Array.from({ length: 703 }, (_, i) => i % 13),
  values: Array.from({ length: 703 }, () => Math.fround(random.normal())),
};

const cases: { shapes: number[][]; options: Json }[] = [
  [elements([1, 1], 1, true), 1],
  [elements([49, 197], 331, true), 5],
  [elements([197, 31], 131, false), 3],
  [long, 2],
  [{ ...long, values: null }, 1],
  [elements([3, 4], 0, false), 7],
  [{ shape: [0, 3], rows: [], columns: [], values: null }, 2],
  [{ shape: [3, 0], rows: [], columns: [], values: null }, 2],
].map(([options, d]) => ({
  shapes: [[(options as Json).shape[1], d as number]],
  options: options as Json,
}));

proveOp<SpmmOptions, Json>({
  op: spmmOp,
  options: ({ shape: [m, n], ...edges }, device) => ({
    matrix: Csr.fromEdges(device, m, n, edges),
  }),
  cases,
  reference: ([x], { shape, rows, columns, values }) => {
    const d = x!.shape[1]!;
    const out = nd([shape[0], d], () => 0);
    rows.forEach((r, e) => {
      for (let c = 0; c < d; c++) {
        out.data[r * d + c]! += (values?.[e] ?? 1) * x!.data[columns[e]! * d + c]!;
      }
    });
    return out;
  },
  linearIn: [0],
});

const devices: Device[] = [];
afterAll(() => {
  for (const device of devices) device.close();
});

describe.each(TUNINGS)('spmm, $tuning', ({ open }) => {
  it('takes means over neighbours: zeros, not NaN, where there are none', async () => {
    const device = await open();
    const edges = { rows: [0, 0, 2], columns: [1, 2, 0] };
    const graph = Csr.fromEdges(device, 3, 3, edges).normalizeRows();
    const x = Tensor.from(device, [1, 2, 4, 8, 16, 32], [3, 2]);
    expect([...(await spmm(graph, x).floats())]).toEqual([10, 20, 0, 0, 1, 2]);
    graph.dispose();
  });

  it('keeps a NaN within the rows that use it', async () => {
    const device = await open();
    const matrix = Csr.fromEdges(device, 3, 2, { rows: [0, 1, 2], columns: [1, 0, 1] });
    const found = await spmm(matrix, Tensor.from(device, [1, Number.NaN], [2, 1])).floats();
    expect([...found]).toEqual([Number.NaN, 1, Number.NaN]);
    matrix.dispose();
  });
});

describe('spmm', () => {
  it('cuts a result that exceeds a binding', async () => {
    const device = await Device.open({ bindingBytes: 4096 });
    devices.push(device);
    const count = 700;
    const identity = Array.from({ length: count }, (_, i) => i);
    const matrix = Csr.fromEdges(device, count, 64, {
      rows: identity,
      columns: identity.map((i) => i % 64),
    });
    const x = Tensor.from(
      device,
      Float32Array.from({ length: 64 * 3 }, (_, i) => i),
      [64, 3],
    );
    const found = await spmm(matrix, x).floats();
    expect(found.every((v, i) => v === (Math.floor(i / 3) % 64) * 3 + (i % 3))).toBe(true);
    matrix.dispose();
  });

  it('needs as many rows as the matrix has columns', async () => {
    const device = await testDevice();
    const matrix = Csr.fromEdges(device, 2, 3, { rows: [0], columns: [2] });
    const found = /spmm: expected x \[3, d\] for a sparse matrix \[2, 3\], found \[2, 4\]/;
    await expectError(() => spmm(matrix, Tensor.zeros(device, [2, 4])), 'shape', found);
  });
});
