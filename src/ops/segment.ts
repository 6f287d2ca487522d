/** Operations on ragged bags: x [total, d] packed, with the bags' offsets in `Segments`. */
import code from '../../shaders/segment.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { type GridPlan, rowPlan, threadPlan } from '../tensor/grid.ts';
import type { Segments } from '../tensor/segments.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, formatShapes, shapeError } from './op.ts';

const kernel = defineKernel('segment', code);

export interface SegmentOptions {
  segments: Segments;
}

function checkRows(name: string, x: Shape, segments: Segments): void {
  if (x.length !== 2 || x[0] !== segments.total) {
    throw shapeError(
      name,
      `[${segments.total}, d] for bags of ${segments.total} rows in all`,
      formatShape(x),
    );
  }
}

interface Run {
  bags: number;
  total?: number;
  d: number;
  plan: GridPlan;
  flags?: { WEIGHTED?: number; MEAN?: number };
}

function run(
  entry: string,
  tensors: Record<string, Tensor>,
  { bags, total = 0, d, plan, flags }: Run,
): void {
  const { device } = tensors.out!;
  device.run(kernel, entry, {
    buffers: Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.buffer])),
    params: { bags, total, d },
    overrides: { ...plan.overrides, ...flags },
    groups: plan.groups,
  });
}

/** Sum (or mean) of the rows of each bag, in two stages when a bag is long. */
function sumInto(
  x: Tensor,
  weights: Tensor | null,
  segments: Segments,
  mean: boolean,
  out: Tensor,
): void {
  const { device } = x;
  const d = x.shape[1]!;
  const { count } = segments;
  const flags = { WEIGHTED: weights ? 1 : 0, MEAN: mean ? 1 : 0 };
  const w = weights ?? x;
  const longest = segments.offsets.reduce(
    (most, o, i, all) => Math.max(most, o - (all[i - 1] ?? 0)),
    0,
  );
  if (longest <= 256) {
    const plan = threadPlan(device, count * d);
    run('sum', { x, w, offsets: segments.starts, out }, { bags: count, d, plan, flags });
    return;
  }
  const { starts, bagStarts, count: runs } = segments.runs;
  const partial = Tensor.empty(device, [runs, d], 'f32', 'partial sums');
  const first = {
    bags: runs,
    d,
    plan: threadPlan(device, runs * d),
    flags: { WEIGHTED: flags.WEIGHTED },
  };
  run('sum', { x, w, offsets: starts, out: partial }, first);
  const total = mean ? Tensor.empty(device, out.shape, 'f32', 'sums') : out;
  const second = { bags: count, d, plan: threadPlan(device, count * d) };
  run('sum', { x: partial, w: partial, offsets: bagStarts, out: total }, second);
  partial.dispose();
  if (mean) {
    // `spread` over the bags themselves would divide per row; the mean of one row per bag is that row.
    divideByLength(total, segments, out);
    total.dispose();
  }
}

function divideByLength(total: Tensor, segments: Segments, out: Tensor): void {
  const d = total.shape[1]!;
  const bags = segments.count;
  const plan = threadPlan(total.device, bags * d);
  const ownBag = segments.bagIndex;
  const tensors = { dy: total, w: total, offsets: segments.starts, row_bag: ownBag, out };
  run('spread', tensors, { bags, total: bags, d, plan, flags: { MEAN: 1 } });
}

/** Gives each row its bag's row of `g`, times the row's weight, or divided by the bag's length. */
function spread(g: Tensor, weights: Tensor | null, segments: Segments, mean: boolean): Tensor {
  const d = g.shape[1]!;
  const { total, count: bags } = segments;
  const out = Tensor.empty(g.device, [total, d], 'f32', 'segment gradient');
  const tensors = {
    dy: g,
    w: weights ?? g,
    offsets: segments.starts,
    row_bag: segments.rowBag,
    out,
  };
  const flags = { WEIGHTED: weights ? 1 : 0, MEAN: mean ? 1 : 0 };
  run('spread', tensors, { bags, total, d, plan: threadPlan(g.device, total * d), flags });
  return out;
}

export const segmentSoftmaxOp = defineOp<SegmentOptions>({
  name: 'segment-softmax',
  inputs: 'x [total, K]',
  output: '[total, K]',
  cost: '4·total·K',
  shape([x], { segments }) {
    checkRows('segment-softmax', x!, segments);
    return x!;
  },
  forward([x], { segments }, out) {
    const d = x!.shape[1]!;
    const bags = segments.count;
    const plan = rowPlan(x!.device, bags * d, Math.ceil(segments.total / Math.max(1, bags)));
    run('softmax', { x: x!, offsets: segments.starts, out }, { bags, d, plan });
  },
  gradient({ grad, output, options: { segments } }) {
    const d = grad.shape[1]!;
    const bags = segments.count;
    const out = Tensor.empty(grad.device, grad.shape, 'f32', 'segment-softmax gradient');
    const plan = rowPlan(grad.device, bags * d, Math.ceil(segments.total / Math.max(1, bags)));
    run(
      'softmax_backward',
      { y: output, dy: grad, offsets: segments.starts, out },
      { bags, d, plan },
    );
    return [out];
  },
});

function defineSegmentSum(name: string, mean: boolean) {
  return defineOp<SegmentOptions>({
    name,
    inputs: 'x [total, d]',
    output: '[B, d]',
    cost: 'total·d',
    shape([x], { segments }) {
      checkRows(name, x!, segments);
      return [segments.count, x![1]!];
    },
    forward: ([x], { segments }, output) => sumInto(x!, null, segments, mean, output),
    gradient: ({ grad, options: { segments } }) => [spread(grad, null, segments, mean)],
  });
}

export const segmentSumOp = defineSegmentSum('segment-sum', false);
export const segmentMeanOp = defineSegmentSum('segment-mean', true);

export const segmentWeightedSumOp = defineOp<SegmentOptions>({
  name: 'segment-weighted-sum',
  inputs: 'x [total, d], weights [total, 1]',
  output: '[B, d]',
  cost: '2·total·d',
  shape([x, weights], { segments }) {
    checkRows('segment-weighted-sum', x!, segments);
    if (weights!.length !== 2 || weights![0] !== x![0] || weights![1] !== 1) {
      throw shapeError(
        'segment-weighted-sum',
        `weights [${x![0]}, 1]`,
        formatShapes([x!, weights!]),
      );
    }
    return [segments.count, x![1]!];
  },
  forward: ([x, weights], { segments }, output) => sumInto(x!, weights!, segments, false, output),
  gradient({ grad, inputs, options: { segments }, needs }) {
    const [x, weights] = inputs as [Tensor, Tensor];
    const dx = needs[0] ? spread(grad, weights, segments, false) : null;
    if (!needs[1]) return [dx, null];
    const [total, d] = x.shape as [number, number];
    const out = Tensor.empty(x.device, weights.shape, 'f32', 'segment-weighted-sum gradient');
    const tensors = { x, dy: grad, row_bag: segments.rowBag, out };
    run('dots', tensors, { bags: segments.count, total, d, plan: rowPlan(x.device, total, d) });
    return [dx, out];
  },
});

/** Softmax of every column of x [total, K] over the rows of each bag. */
export const segmentSoftmax = (x: Tensor, segments: Segments) =>
  segmentSoftmaxOp.apply([x], { segments });
/** Sums of the rows of each bag: [total, d] to [B, d]; zeros for an empty bag. */
export const segmentSum = (x: Tensor, segments: Segments) => segmentSumOp.apply([x], { segments });
/** Means of the rows of each bag: [total, d] to [B, d]; zeros for an empty bag. */
export const segmentMean = (x: Tensor, segments: Segments) =>
  segmentMeanOp.apply([x], { segments });
/** Σ wₙ xₙ over the rows of each bag: x [total, d], weights [total, 1] to [B, d] (attention pooling). */
export const segmentWeightedSum = (x: Tensor, weights: Tensor, segments: Segments) =>
  segmentWeightedSumOp.apply([x, weights], { segments });
