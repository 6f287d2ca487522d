/** Attention and its gradients as dispatches, outside the tape. */
import code from '../../shaders/attention-support.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import {
  bound,
  type Dispatch,
  dispatch,
  found,
  type Launch,
  launches,
  type Operand,
  type Problem,
  type Roles,
} from './attention-dispatch.ts';
import { multiplyInto } from './matmul-kernels.ts';

const support = defineKernel('attention-support', code);

/** Into how many parts the keys of a single query are split, so that a GPU has enough to do. */
function splitsOf({ device, sizes, offsets }: Problem, parts: number): number {
  const { batches, heads, queries, keys } = sizes;
  if (device.class !== 'gpu' || queries !== 1 || offsets || parts > 1) return 1;
  const most = Math.min(Math.floor(keys / 128), Math.ceil(512 / (batches * heads)));
  return Math.max(1, most);
}

/** out = softmax(scale · q kᵀ + bias) v; returns the log-sum-exp of every query, [B, H, queries]. */
export function attendInto(
  problem: Problem,
  q: Operand,
  k: Operand,
  v: Operand,
  out: Operand,
): Tensor {
  const { device, sizes } = problem;
  const { batches, heads, queries } = sizes;
  const lse = Tensor.empty(device, [batches, heads, queries], 'f32', 'attention log-sum-exp');
  const all = launches(problem, [q.batch, k.batch, v.batch, out.batch, heads * queries], q);
  const splits = splitsOf(problem, all.length);
  const request = { entry: 'forward', keysOwn: false, splits } as const;
  if (splits > 1) {
    const units = batches * heads;
    const width = sizes.valueWidth;
    const parts = Tensor.empty(device, [splits, units, width], 'f32', 'attention parts');
    const levels = Tensor.empty(device, [splits, units], 'f32', 'attention parts');
    const partial = { tensor: parts, start: 0, batch: heads * width, head: width, row: width };
    const roles = { rowsA: q, colsA: k, rowsB: v, colsB: v, out: partial };
    const buffers = { out: parts.buffer, lse: levels.buffer };
    for (const launch of all) dispatch(problem, { ...request, launch, roles, buffers });
    const merged = { parts, levels, out4: out.tensor, out: lse };
    device.run(support, 'merge', {
      buffers: Object.fromEntries(Object.entries(merged).map(([name, t]) => [name, t.buffer])),
      params: { at: [0, 0, 0, 0], count: units, splits, width4: width / 4, heads, queries },
      ...threadPlan(device, (units * width) / 4),
    });
    parts.dispose();
    levels.dispose();
    return lse;
  }
  const roles = { rowsA: q, colsA: k, rowsB: v, colsB: v, out };
  for (const launch of all) {
    const levels = bindPart(lse, launch.part, heads * queries);
    const buffers = { out: bound(out, launch.part), lse: levels };
    dispatch(problem, { ...request, launch, roles, buffers });
  }
  return lse;
}

interface BackwardOperands {
  readonly q: Operand;
  readonly k: Operand;
  readonly v: Operand;
  readonly out: Operand;
  /** The output's gradient, float32. */
  readonly dout: Operand;
  /** The same as an operand of products, of the dtype of q, k and v. */
  readonly slopes: Operand;
  readonly lse: Tensor;
}

/** Log-sum-exp and Σ dO · O of every query. */
function statistics(problem: Problem, { out, dout, lse }: BackwardOperands): Tensor {
  const { device, sizes } = problem;
  const { batches, heads, queries } = sizes;
  const stats = Tensor.empty(device, [batches, heads, queries, 2], 'f32', 'attention statistics');
  for (const part of rowParts(device, batches, [out.batch, 2 * heads * queries])) {
    const count = part.count * heads * queries;
    device.run(support, 'statistics', {
      buffers: {
        levels: bindPart(lse, part, heads * queries),
        o: bound(out, part),
        d_o: bound(dout, part),
        out2: bindPart(stats, part, 2 * heads * queries),
      },
      params: {
        at: found(out, 0),
        count,
        splits: 1,
        heads,
        queries,
        width4: sizes.valueWidth / 4,
      },
      ...threadPlan(device, count),
    });
  }
  return stats;
}

/** Where the gradients go; what is null is not made. The three may share one tensor. */
interface Gradients {
  readonly dq: Operand | null;
  readonly dk: Operand | null;
  readonly dv: Operand | null;
  /** Sees the gradient of the scores, [batches, H, queries, keys], part after part. */
  readonly scores: ((gradient: Tensor) => void) | null;
}

export function attentionGradients(
  problem: Problem,
  operands: BackwardOperands,
  { dq, dk, dv, scores }: Gradients,
): void {
  const { device, sizes } = problem;
  const { q, k, v, slopes } = operands;
  const { heads, queries, keys } = sizes;
  const stats = statistics(problem, operands);
  const none = Tensor.empty(device, [4], 'f32', 'attention gradient');
  const byQuery = { rowsA: q, colsA: k, rowsB: slopes, colsB: v };
  const byKey = { rowsA: k, colsA: q, rowsB: v, colsB: slopes };
  const widths = [q.batch, k.batch, v.batch, slopes.batch, 2 * heads * queries];
  const all = launches(problem, scores ? [...widths, heads * queries * keys] : widths, q);
  for (const launch of all) {
    const { part } = launch;
    const run = (out: Operand, own: Omit<Roles, 'out'>, more: Partial<Dispatch>, ds: Tensor) =>
      dispatch(problem, {
        entry: 'gradient',
        launch,
        roles: { ...own, out },
        keysOwn: own === byKey,
        splits: 1,
        ...more,
        buffers: {
          stats: bindPart(stats, part, 2 * heads * queries),
          out: bound(out, part),
          ds: ds.buffer,
        },
      });
    const shape = [part.count, heads, launch.queries, launch.keys];
    const fromScores = dq && dk && !scores && keepsScores(q, shape) ? dk : null;
    if (dq && (scores || fromScores)) {
      const ds = Tensor.empty(device, shape, 'f32', 'attention score gradient');
      run(dq, byQuery, { storedScale: fromScores ? problem.scale : 1 }, ds);
      scores?.(ds);
      if (fromScores) keysFromScores(problem, launch, { ds, q, dk: fromScores });
      ds.dispose();
    } else if (dq) run(dq, byQuery, {}, none);
    if (dk && !fromScores) run(dk, byKey, {}, none);
    if (dv) run(dv, byKey, { values: true }, none);
  }
  none.dispose();
  stats.dispose();
}

/** Memory that a gradient may take for pairs of tokens. */
const MOST_SCORE_BYTES = 2 ** 25;

/**
 * On CPU rasterisers two products cost more than to store the gradient of the scores on the way to that of the queries, and
 * to multiply it once more for that of the keys. On GPUs it is made anew, and memory grows with the tokens alone.
 */
function keepsScores({ tensor }: Operand, shape: readonly number[]): boolean {
  const bytes = shape.reduce((size, n) => size * n, 4);
  return (
    tensor.device.class === 'cpu' &&
    tensor.dtype === 'f32' &&
    bytes > 0 &&
    bytes <= MOST_SCORE_BYTES
  );
}

/** dk = dsᵀ q, ds with the scale. */
function keysFromScores(
  { sizes: { heads, width } }: Problem,
  { part, queries, keys, firstRow }: Launch,
  { ds, q, dk }: { ds: Tensor; q: Operand; dk: Operand },
): void {
  const product = { m: keys, n: width, k: queries, transposeA: true, transposeB: false };
  const matrix = ({ tensor, start, batch, head, row }: Operand, b: number) => ({
    tensor,
    start: start + (part.start + b) * batch + firstRow * row,
    row,
    batch: head,
  });
  // Heads that lie as far apart across batches as within are one batch of products.
  const even = q.batch === heads * q.head && dk.batch === heads * dk.head;
  const [outer, inner] = even ? [1, part.count * heads] : [part.count, heads];
  for (let b = 0; b < outer; b++) {
    const scores = { tensor: ds, start: b * heads * queries * keys, batch: queries * keys };
    multiplyInto(scores, matrix(q, b), null, matrix(dk, b), { batch: inner, ...product });
  }
}
