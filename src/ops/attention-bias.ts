/** What is added to the scores of attention: a trained table read by index, constant masks, or several of them. */
import code from '../../shaders/attention-bias.wgsl';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('attention-bias', code);

/**
 * Which row of a bias table belongs to each pair of a query and a key. Its GPU copies are made once and live
 * until `dispose`: a layer holds one.
 */
export class BiasIndex {
  readonly queries: number;
  readonly keys: number;
  /** Rows of the table. */
  readonly rows: number;
  /** Whether the table is [H, rows] (TRIPLEX, LeViT), not [rows, H] (Swin). */
  readonly headsFirst: boolean;
  readonly #device: Device;
  readonly #index: Uint32Array;
  #tensors: { indices: Tensor; starts: Tensor; positions: Tensor } | null = null;

  /** @param index the row for query i and key j at i · keys + j; queries · keys of them */
  constructor(
    device: Device,
    index: ArrayLike<number>,
    sizes: { queries: number; keys: number; rows: number },
    headsFirst = false,
  ) {
    const { queries, keys, rows } = sizes;
    this.#device = device;
    this.#index = Uint32Array.from(index);
    this.queries = queries;
    this.keys = keys;
    this.rows = rows;
    this.headsFirst = headsFirst;
    const wrong = Array.from(index).find((r) => !Number.isInteger(r) || r < 0 || r >= rows);
    if (index.length !== queries * keys || wrong !== undefined) {
      const found = wrong === undefined ? `${index.length} rows` : `row ${wrong}`;
      throw new HistogradError(
        'index',
        `BiasIndex: expected ${queries} · ${keys} rows in 0 … ${rows - 1}, found ${found}.`,
        'Give one row of the bias table for each pair of a query and a key.',
      );
    }
  }

  /** The table's shape for that many heads. */
  tableShape(heads: number): number[] {
    return this.headsFirst ? [heads, this.rows] : [this.rows, heads];
  }

  /** The rows, and for each row of the table the pairs that hold it. */
  get tensors(): { indices: Tensor; starts: Tensor; positions: Tensor } {
    if (!this.#tensors) {
      const starts = new Uint32Array(this.rows + 1);
      for (const r of this.#index) starts[r + 1] = starts[r + 1]! + 1;
      for (let r = 0; r < this.rows; r++) starts[r + 1] = starts[r + 1]! + starts[r]!;
      const order = Uint32Array.from(this.#index, (_, i) => i);
      order.sort((a, b) => this.#index[a]! - this.#index[b]! || a - b);
      const put = (values: Uint32Array) => keep(Tensor.from(this.#device, values));
      this.#tensors = { indices: put(this.#index), starts: put(starts), positions: put(order) };
    }
    return this.#tensors;
  }

  dispose(): void {
    for (const tensor of Object.values(this.#tensors ?? {})) tensor.dispose();
    this.#tensors = null;
  }
}

/** How an element of a table is found. */
function tableStrides(index: BiasIndex, heads: number) {
  return index.headsFirst
    ? { row_stride: 1, head_stride: index.rows }
    : { row_stride: heads, head_stride: 1 };
}

/** An additive bias [batches, heads, queries, keys]; an axis of 1 repeats, batch b uses b mod batches. */
export interface Additive {
  readonly tensor: Tensor;
  readonly dims: readonly [batches: number, heads: number, queries: number, keys: number];
}

interface AdditiveParts {
  table: { values: Tensor; index: BiasIndex } | null;
  /** [W, queries, keys] */
  mask: Tensor | null;
  /** [batches, keys], 0 where a key does not count. */
  keyMask: Tensor | null;
}

/** All that is added to the scores, in one tensor; null when that is nothing. */
export function additiveBias(
  device: Device,
  { table, mask, keyMask }: AdditiveParts,
  sizes: { batches: number; heads: number; queries: number; keys: number },
): Additive | null {
  if (!table && !mask && !keyMask) return null;
  const { keys } = sizes;
  const windows = mask?.shape[0] ?? 0;
  const batches = keyMask ? sizes.batches : mask ? windows : 1;
  const heads = table ? sizes.heads : 1;
  const queries = table || mask ? sizes.queries : 1;
  const dims = [batches, heads, queries, keys] as const;
  const tensor = Tensor.empty(device, dims, 'f32', 'attention bias');
  const any = (table?.values ?? mask ?? keyMask)!.buffer;
  device.run(kernel, 'additive', {
    buffers: {
      table: table?.values.buffer ?? any,
      indices: table?.index.tensors.indices.buffer ?? any,
      window_mask: mask?.buffer ?? any,
      key_mask: keyMask?.buffer ?? any,
      out: tensor.buffer,
    },
    params: {
      count: tensor.size,
      heads,
      queries,
      keys,
      windows,
      rows: table?.index.rows ?? 0,
      ...(table ? tableStrides(table.index, heads) : { row_stride: 0, head_stride: 0 }),
      masked: keyMask ? 1 : 0,
    },
    ...threadPlan(device, tensor.size),
  });
  return { tensor, dims };
}

/** Gradient of a table from that of the scores [H, queries, keys], summed over the batch already. */
export function tableGradient(scores: Tensor, index: BiasIndex, heads: number): Tensor {
  const { device } = scores;
  const out = Tensor.empty(device, index.tableShape(heads), 'f32', 'attention bias gradient');
  const { starts, positions } = index.tensors;
  const buffers = { scores, starts, positions, out };
  device.run(kernel, 'table_gradient', {
    buffers: Object.fromEntries(Object.entries(buffers).map(([name, t]) => [name, t.buffer])),
    params: {
      count: out.size,
      heads,
      queries: index.queries,
      keys: index.keys,
      windows: 0,
      masked: 0,
      rows: index.rows,
      ...tableStrides(index, heads),
    },
    ...threadPlan(device, out.size),
  });
  return out;
}
