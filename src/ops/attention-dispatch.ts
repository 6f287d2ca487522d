/** One dispatch of an attention kernel: which one runs where, and what it is told. */
import subgroupCode from '../../shaders/attention-subgroup.wgsl';
import texelsCode from '../../shaders/attention-subgroup.wgsl?texels';
import tiledCode from '../../shaders/attention-tiled.wgsl';
import halfTiledCode from '../../shaders/attention-tiled.wgsl?half';
import type { Device } from '../gpu/device.ts';
import { defineKernel, type Kernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { possibleAttention } from '../gpu/tuning.ts';
import { bindPart, type Part, rowParts } from '../tensor/parts.ts';
import type { Draw } from '../tensor/random.ts';
import type { DType, Tensor } from '../tensor/tensor.ts';
import type { Additive } from './attention-bias.ts';
import { matrixAttention } from './matrix-kernels.ts';
import { fitTexels, repaysTexels } from './texel-operands.ts';

const KERNELS = {
  subgroup: defineKernel('attention-subgroup', subgroupCode),
  texels: defineKernel('attention-texels', texelsCode),
  tiled: defineKernel('attention-tiled', tiledCode),
};
/** For operands in float16, which only GPUs read (`readsHalves`). */
const HALF_KERNEL = defineKernel('attention-tiled-half', halfTiledCode);

/** Where the rows of an operand lie, in elements; all are multiples of 4. */
export interface Operand {
  readonly tensor: Tensor;
  readonly start: number;
  readonly batch: number;
  readonly head: number;
  readonly row: number;
}

export interface Sizes {
  readonly batches: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** Of a query and a key. */
  readonly width: number;
  /** Of a value. */
  readonly valueWidth: number;
}

export interface Problem {
  readonly device: Device;
  readonly sizes: Sizes;
  readonly scale: number;
  readonly bias: Additive | null;
  /** Where bags begin in the rows of one batch, if those attend within themselves only. */
  readonly offsets: Uint32Array | null;
  readonly dropout: (Draw & { p: number }) | null;
}

/**
 * Operands of a dispatch by role: the rows that workgroups own, and the columns that they walk. All are float32 or all
 * float16, the output is float32.
 */
export interface Roles {
  readonly rowsA: Operand;
  readonly colsA: Operand;
  readonly rowsB: Operand;
  readonly colsB: Operand;
  readonly out: Operand;
}

/** One dispatch: some batches, or one bag. */
export interface Launch {
  readonly part: Part;
  readonly queries: number;
  readonly keys: number;
  readonly firstRow: number;
}

/** @param like one of the operands */
export function launches(
  { device, sizes, offsets }: Problem,
  widths: readonly number[],
  like: Operand,
): Launch[] {
  const { batches, queries, keys } = sizes;
  if (!offsets) {
    return rowParts(device, batches, widths, like.tensor.dtype).map((part) => ({
      part,
      queries,
      keys,
      firstRow: 0,
    }));
  }
  const found: Launch[] = [];
  for (let b = 0; b + 1 < offsets.length; b++) {
    const firstRow = offsets[b]!;
    const length = offsets[b + 1]! - firstRow;
    const part = { start: 0, count: 1 };
    if (length > 0) found.push({ part, queries: length, keys: length, firstRow });
  }
  return found;
}

export const bound = ({ tensor, batch }: Operand, part: Part): Binding =>
  bindPart(tensor, part, batch);

export function found(operand: Operand, firstRow: number): number[] {
  const { batch, head, row, start } = operand;
  return [batch, head, row, start + firstRow * row].map((n) => n / 4);
}

interface Plan {
  readonly kernel: Kernel;
  readonly overrides: Record<string, number>;
  /** Rows and vec4s of the output that a workgroup makes. */
  readonly rows: number;
  readonly width4: number;
}

/**
 * How the kernels cut the work for an output of that width.
 *
 * @param repays whether the operands may be copied to textures
 */
function plan(device: Device, width: number, dtype: DType, repays: () => boolean): Plan {
  const half = dtype === 'f16';
  const matrix = half ? matrixAttention(device, width) : null;
  if (matrix) return matrix;
  // There is no subgroup kernel for float16.
  const LANES = half ? 0 : device.subgroupSize;
  const cut = possibleAttention(device.tuning.attention, LANES);
  if (cut.kernel !== 'tiled') {
    const texels = cut.kernel === 'texels' && repays();
    const passes = Math.ceil(width / (4 * cut.vecs));
    const BLOCKS = [4, 8].find((n) => 4 * n * passes >= width) ?? 16;
    return {
      kernel: texels ? KERNELS.texels : KERNELS.subgroup,
      overrides: { LANES, BLOCKS },
      rows: 4 * LANES,
      width4: BLOCKS,
    };
  }
  const [THREADS_X, THREADS_Y] = cut.threads;
  const CHUNKS = Math.min(cut.vecs, Math.ceil(width / (4 * THREADS_X)));
  return {
    kernel: half ? HALF_KERNEL : KERNELS.tiled,
    overrides: { THREADS_X, THREADS_Y, SLICE4: cut.slice / 4, CHUNKS },
    rows: 4 * THREADS_Y,
    width4: THREADS_X * CHUNKS,
  };
}

export interface Dispatch {
  entry: 'forward' | 'gradient';
  launch: Launch;
  roles: Roles;
  /** Rows are keys, columns queries. */
  keysOwn: boolean;
  /** The gradient of the values, not of the rows' other operand. */
  values?: boolean;
  /** The gradient of the scores goes to `ds`, times this. */
  storedScale?: number;
  splits: number;
  buffers: Record<string, Binding>;
}

export function dispatch(problem: Problem, request: Dispatch): void {
  const { device, sizes, bias, dropout, offsets } = problem;
  const { entry, launch, roles, keysOwn, values = false, storedScale, splits } = request;
  const { part, queries, keys, firstRow } = launch;
  const { rowsA, colsA, rowsB, colsB, out } = roles;
  const width = entry === 'forward' || values ? sizes.valueWidth : sizes.width;
  const [rows, cols] = keysOwn ? [keys, queries] : [queries, keys];
  const scores = sizes.heads * part.count * rows * cols;
  const multiplyAdds = scores * (sizes.width + sizes.valueWidth);
  const bindings = {
    rows_a: bound(rowsA, part),
    cols_a: bound(colsA, part),
    rows_b: bound(rowsB, part),
    cols_b: bound(colsB, part),
  };
  const cut = plan(device, width, rowsA.tensor.dtype, () => {
    const copied = [...new Set([rowsA, colsA, rowsB, colsB].map(({ tensor }) => tensor))];
    const counts = copied.map((tensor) => tensor.size);
    return fitTexels(device, counts) && repaysTexels(multiplyAdds, counts);
  });
  const [, biasHeads, biasQueries, biasKeys] = bias?.dims ?? [0, 0, 0, 0];
  const queryStride = biasQueries > 1 ? biasKeys : 0;
  const blocks = Math.ceil(rows / cut.rows) * Math.ceil(width / 4 / cut.width4);
  const params = () => ({
    rows_a_at: found(rowsA, firstRow),
    cols_a_at: found(colsA, firstRow),
    rows_b_at: found(rowsB, firstRow),
    cols_b_at: found(colsB, firstRow),
    out_at: found(out, firstRow),
    stats_at: [sizes.heads * sizes.queries, sizes.queries, 1, firstRow],
    bias_at: [
      biasHeads * biasQueries * biasKeys,
      biasHeads > 1 ? biasQueries * biasKeys : 0,
      ...(keysOwn ? [1, queryStride] : [queryStride, 1]),
    ],
    rows,
    cols,
    a4: sizes.width / 4,
    b4: sizes.valueWidth / 4,
    out4: width / 4,
    batches: part.count,
    heads: sizes.heads,
    splits,
    split_cols: Math.ceil(cols / splits),
    bias_start: firstRow,
    bias_batches: bias?.dims[0] ?? 0,
    first_batch: part.start,
    queries: sizes.queries,
    first_query: firstRow,
    key_quads: Math.ceil((offsets ? sizes.keys : keys) / 4),
    offset: dropout?.offset ?? 0,
    seed: dropout?.seed ?? [0, 0],
    keys_own: keysOwn,
    values,
    store_scores: storedScale !== undefined,
    p: dropout?.p ?? 0,
    scale: problem.scale,
    stored_scale: storedScale ?? 1,
  });
  device.run(cut.kernel, entry, {
    buffers: {
      ...bindings,
      bias: bias?.tensor.buffer ?? bindings.cols_a,
      ...request.buffers,
    },
    texels: {
      rows_a_texels: bindings.rows_a,
      cols_a_texels: bindings.cols_a,
      rows_b_texels: bindings.rows_b,
      cols_b_texels: bindings.cols_b,
    },
    // Draws move on from step to step.
    params: dropout ? params : params(),
    overrides:
      cut.kernel === KERNELS.texels && entry === 'gradient'
        ? { ...cut.overrides, OF_VALUES: values }
        : cut.overrides,
    groups: blocks * sizes.heads * part.count * splits,
    // Of scores and output; the gradients' dispatches do about twice as much.
    flops: 2 * multiplyAdds,
  });
}
