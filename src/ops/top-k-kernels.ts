/** Which elements of a row are the largest, and means of them by rank: the kernels, outside the tape. */
import code from '../../shaders/top-k.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { type GridPlan, rowPlan, threadPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';

const kernel = defineKernel('top-k', code);

/** Rows up to this length are ranked by comparing all pairs; longer ones are sorted. */
export const LONGEST_RANKED_ROW = 256;

/** The positions of the k largest elements of each row of x [..., n]: u32 [..., k], in torch.topk's order. */
export function topKIndices(x: Tensor, k: number): Tensor {
  const { rows, n } = asRows(x.shape);
  const indices = Tensor.empty(x.device, [...x.shape.slice(0, -1), k], 'u32', 'top-k indices');
  if (k === 0 || rows === 0) return indices;
  const sorts = n > LONGEST_RANKED_ROW;
  for (const part of rowParts(x.device, rows, sorts ? [n, k, 2 * n] : [n, k])) {
    const { start: _, count: outer } = part;
    const params = { outer, n, inner: 1, k, width: 0, start: 0 };
    const buffers = { x: bindPart(x, part, n), indices: bindPart(indices, part, k) };
    if (!sorts) {
      x.device.run(kernel, 'rank_indices', {
        buffers: { ...buffers, mask: buffers.x },
        params,
        ...threadPlan(x.device, outer * Math.ceil(n / 8)),
      });
      continue;
    }
    const scratch = Tensor.empty(x.device, [outer, 2, n], 'u32', 'positions');
    x.device.run(kernel, 'sort_indices', {
      buffers: { ...buffers, scratch: scratch.buffer },
      params,
      ...sortPlan(x.device, outer),
    });
    scratch.dispose();
  }
  return indices;
}

/** One thread per row needs few passes of many digits; threads that share a row have counters each. */
function sortPlan(device: Device, rows: number): GridPlan {
  const cpu = device.class === 'cpu';
  const [threads, perGroup, DIGIT_BITS] = cpu ? [1, 8, 8] : [128, 1, 4];
  return {
    groups: Math.ceil(rows / perGroup),
    overrides: {
      THREADS_PER_ROW: threads,
      ROWS_PER_GROUP: perGroup,
      ROW_THREADS: threads * perGroup,
      DIGIT_BITS,
      COUNTERS: (threads * perGroup) << DIGIT_BITS,
    },
  };
}

/** Scores [outer, n, inner] with what a mean by rank takes from them. */
export interface Ranked {
  readonly scores: Tensor;
  /** [outer, n]: factors of the scores. */
  readonly mask: Tensor;
  /** [outer, k]: what the score of each rank counts. */
  readonly weights: Tensor;
}

/** Runs over columns of a matrix [outer, width]: the `inner` of them from `start` on. */
function runMean(entry: string, { scores, mask, weights }: Ranked, width: number, start: number) {
  const { device } = scores;
  const [outer, n, inner] = scores.shape as [number, number, number];
  return (tensors: Record<string, Tensor>) => {
    const { groups, overrides } = threadPlan(device, outer * inner);
    const all = { x: scores, mask, weights, ...tensors };
    device.run(kernel, entry, {
      buffers: Object.fromEntries(Object.entries(all).map(([name, t]) => [name, t.buffer])),
      params: { outer, n, inner, k: weights.shape[1]!, width, start },
      overrides: { ...overrides, MASKED: true },
      groups,
    });
  };
}

/** Columns `start` … of out [outer, width]: Σ over ranks of weight · (the score of that rank). */
export function rankMeanInto(ranked: Ranked, out: Tensor, start: number): void {
  runMean('rank_mean', ranked, out.shape[1]!, start)({ out });
}

/** The gradient of the scores, from columns `start` … of dy [outer, width]. */
export function rankMeanGradient(ranked: Ranked, dy: Tensor, start: number): Tensor {
  const out = Tensor.empty(dy.device, ranked.scores.shape, 'f32', 'top-k mean gradient');
  runMean('rank_mean_backward', ranked, dy.shape[1]!, start)({ dy, out });
  return out;
}

/** 1 for each row of x [..., d] that has an element above 0, else 0: [...]. */
export function activeRowsOf(x: Tensor): Tensor {
  const { rows, n } = asRows(x.shape);
  const out = Tensor.empty(x.device, x.shape.slice(0, -1), 'f32', 'mask');
  for (const part of rowParts(x.device, rows, [n, 1])) {
    x.device.run(kernel, 'active_rows', {
      buffers: { x: bindPart(x, part, n), out: bindPart(out, part) },
      params: { outer: part.count, n, inner: 1, k: 0, width: 0, start: 0 },
      ...rowPlan(x.device, part.count, n),
    });
  }
  return out;
}
