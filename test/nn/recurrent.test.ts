import { describe, expect, it } from 'vitest';
import { Embedding } from '../../src/nn/embedding.ts';
import { neighbourGraph, SageConv } from '../../src/nn/graph-sage.ts';
import { LSTM, LSTMCell } from '../../src/nn/lstm.ts';
import { concat, reshape } from '../../src/ops/layout.ts';
import { spmm } from '../../src/ops/spmm.ts';
import { Csr } from '../../src/tensor/csr.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { proveLayer } from './prove-layer.ts';

const init = async () => ({ device: await testDevice(), generator: new Generator(3) });

proveLayer({
  layer: Embedding,
  make: (init, o: { count: number; width: number; paddingIdx: number | null; indices: number[] }) =>
    new Embedding(init, o.count, o.width, o.paddingIdx),
  call: (layer, _, { indices }) => layer.forward(indices),
});

interface LstmJson {
  inputs: number;
  hidden: number;
  numLayers: number;
  bias: boolean;
  batchFirst: boolean;
}

proveLayer({
  layer: LSTM,
  make: (init, { inputs, hidden, ...options }: LstmJson) => new LSTM(init, inputs, hidden, options),
  call(layer, [x, h, c]) {
    const { output, h: lastH, c: lastC } = layer.forward(x!, h && c ? { h, c } : undefined);
    return concat(
      [output, lastH, lastC].map((t) => reshape(t, [t.size])),
      0,
    );
  },
});

proveLayer({
  layer: LSTMCell,
  make: (init, { inputs, hidden, bias }: LstmJson) => new LSTMCell(init, inputs, hidden, bias),
  call(layer, [x, h, c]) {
    const after = layer.forward(x!, h && c ? { h, c } : undefined);
    return concat([after.h, after.c], 1);
  },
});

interface SageJson {
  inputs: number;
  outputs: number;
  concatSelf: boolean;
  neighbours: number[][];
}

proveLayer({
  layer: SageConv,
  make: (init, { inputs, outputs, concatSelf }: SageJson) =>
    new SageConv(init, inputs, outputs, concatSelf),
  call(layer, [x], { neighbours }) {
    const rows = neighbours.flatMap((others, r) => others.map(() => r));
    const edges = { rows, columns: neighbours.flat() };
    const count = neighbours.length;
    return layer.forward(x!, Csr.fromEdges(x!.device, count, count, edges).normalizeRows());
  },
});

/** Mean, mean square and extremes of a tensor. */
async function statistics(tensor: Tensor) {
  const values = await tensor.floats();
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const square = values.reduce((sum, v) => sum + v * v, 0) / values.length;
  return { mean, square, most: values.reduce((m, v) => Math.max(m, Math.abs(v)), 0) };
}

describe('initial parameters', () => {
  it('of an Embedding are N(0, 1), with zeros for padding', async () => {
    const layer = new Embedding(await init(), 500, 100, 7);
    const { mean, square, most } = await statistics(layer.weight);
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(square).toBeCloseTo(1, 1);
    expect(most).toBeGreaterThan(3);
    const values = await layer.weight.floats();
    expect(values.subarray(700, 800).every((v) => v === 0)).toBe(true);
    expect(values.subarray(690, 700).some((v) => v === 0)).toBe(false);
    layer.dispose();
  });

  it.each([
    ['an LSTM', async () => new LSTM(await init(), 30, 64, { numLayers: 2 }), 1 / 8],
    ['an LSTMCell', async () => new LSTMCell(await init(), 300, 16), 1 / 4],
    ['a SageConv', async () => new SageConv(await init(), 100, 50), Math.sqrt(6 / 150)],
  ] as const)('of %s are uniform within PyTorch’s bound', async (_, make, bound) => {
    const layer = await make();
    for (const parameter of layer.namedParameters().values()) {
      const { mean, square, most } = await statistics(parameter);
      // Four standard deviations of the mean of as many uniform numbers, and of their squares.
      const draws = Math.sqrt(parameter.size);
      expect(Math.abs(mean)).toBeLessThan((4 * bound) / Math.sqrt(3) / draws);
      expect(Math.abs(square / (bound * bound) - 1 / 3)).toBeLessThan((4 * 0.3) / draws);
      expect(most).toBeLessThanOrEqual(bound);
      expect(most).toBeGreaterThan(0.9 * bound);
    }
    layer.dispose();
  });
});

describe('LSTMCell', () => {
  it('refuses inputs and states that would broadcast', async () => {
    const options = await init();
    const layer = new LSTMCell(options, 3, 2);
    const zeros = (...shape: number[]) => Tensor.zeros(options.device, shape);
    const rank = /LSTMCell.*: expected x \[N, in\], found \[3\]/;
    await expectError(() => layer.forward(zeros(3)), 'shape', rank);
    const state = { h: zeros(1, 2), c: zeros(4, 2) };
    const found = /expected h and c \[4, 2\], found \[1, 2\] and \[4, 2\]/;
    await expectError(() => layer.forward(zeros(4, 3), state), 'shape', found);
    layer.dispose();
  });
});

describe('LSTM', () => {
  it('has PyTorch’s names', async () => {
    const layer = new LSTM(await init(), 3, 2, { numLayers: 2 });
    const names = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'];
    const expected = [0, 1].flatMap((l) => names.map((name) => `${name}_l${l}`));
    expect([...layer.namedParameters().keys()].sort()).toEqual(expected.sort());
    layer.dispose();
  });

  it('refuses inputs and states of other shapes', async () => {
    const options = await init();
    const layer = new LSTM(options, 3, 2);
    const zeros = (...shape: number[]) => Tensor.zeros(options.device, shape);
    const wrong = /LSTM.*: expected x \[T, N, 3\] with T > 0, found \[4, 3\]/;
    await expectError(() => layer.forward(zeros(4, 3)), 'shape', wrong);
    await expectError(() => layer.forward(zeros(0, 4, 3)), 'shape', /found \[0, 4, 3\]/);
    const state = { h: zeros(1, 5, 2), c: zeros(1, 4, 2) };
    const found = /an initial state \[1, 4, 2\], found \[1, 5, 2\]/;
    await expectError(() => layer.forward(zeros(6, 4, 3), state), 'shape', found);
    layer.dispose();
  });
});

describe('Embedding', () => {
  it('names an index outside the table', async () => {
    const layer = new Embedding(await init(), 64, 2);
    const found = /row 64 \(entry 1\) is outside 0 … 63/;
    await expectError(() => layer.forward([0, 64]), 'index', found);
    layer.dispose();
    const options = await init();
    await expectError(() => new Embedding(options, 3, 2, 3), 'option', /from 0 to 2, found 3/);
  });
});

describe('neighbourGraph', () => {
  /** The neighbours of each spot. */
  async function neighbours(
    coordinates: [number, number][],
    options?: Parameters<typeof neighbourGraph>[2],
  ) {
    const graph = neighbourGraph(await testDevice(), coordinates, options);
    return coordinates.map((_, r) => [
      ...graph.columnIndex.subarray(graph.starts[r], graph.starts[r + 1]),
    ]);
  }

  it('takes the four nearest others within two array units, as Hist2ST', async () => {
    // A row of spots, one of them far away, one on the edge of the distance.
    const row: [number, number][] = [
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 0],
      [3.5, 0],
      [1, 0.5],
      [9, 9],
    ];
    const found = await neighbours(row);
    expect(found[0]).toEqual([1, 5, 2]);
    expect(found[1]).toEqual([5, 0, 2, 3]);
    expect(found[6]).toEqual([]);
  });

  it('takes the first of equally near spots', async () => {
    const cross: [number, number][] = [
      [0, 0],
      [0, 1],
      [1, 0],
      [0, -1],
      [-1, 0],
    ];
    expect((await neighbours(cross, { neighbours: 2 }))[0]).toEqual([1, 2]);
    expect((await neighbours(cross, { maxDistance: 1 }))[1]).toEqual([0]);
  });

  it('takes means, and gives a lone spot zeros', async () => {
    const device = await testDevice();
    const graph = neighbourGraph(device, [
      [0, 0],
      [1, 0],
      [0, 1],
      [50, 50],
    ]);
    const x = Tensor.from(device, [3, 5, 7, 11], [4, 1]);
    expect([...(await spmm(graph, x).floats())]).toEqual([6, 5, 4, 0]);
    const layer = new SageConv(await init(), 1, 2);
    const y = scope(() => layer.forward(x, graph));
    expect([...(await y.floats())].slice(6)).toEqual([0, 0]);
    graph.dispose();
    layer.dispose();
  });

  it('refuses no neighbours at all', async () => {
    const device = await testDevice();
    const none = () => neighbourGraph(device, [], { neighbours: 0 });
    await expectError(none, 'option', /from 1 on, found 0/);
  });
});
