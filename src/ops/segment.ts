/** Operations on ragged bags: x [total, d] packed, with the bags' offsets in `Segments`. */
import code from '../../shaders/segment.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { asQuads, byQuads, type GridPlan, linePlan, rowPlan, threadPlan } from '../tensor/grid.ts';
import { bindSpan, cut, longestSpan, type Part, type Span, spanFits } from '../tensor/parts.ts';
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
  firstBag?: number;
  firstRow?: number;
  plan: GridPlan;
  flags?: { WEIGHTED?: number; MEAN?: number; LOG?: number };
}

function run(
  entry: string,
  tensors: Readonly<Record<string, Tensor | Span>>,
  { bags, total = 0, d, firstBag = 0, firstRow = 0, plan, flags }: Run,
  device: Device,
): void {
  const start = { x: 0, dy: 0, out: 0 };
  const buffers: Record<string, Binding> = {};
  for (const [name, given] of Object.entries(tensors)) {
    const span = given instanceof Tensor ? { binding: given.buffer, start: 0 } : given;
    buffers[name] = span.binding;
    const whole = name.replace(/4$/, '');
    if (whole === 'x' || whole === 'dy' || whole === 'out') start[whole] = span.start;
  }
  device.run(kernel, entry, {
    buffers,
    params: {
      bags,
      total,
      d,
      first_bag: firstBag,
      first_row: firstRow,
      x_start: start.x,
      dy_start: start.dy,
      out_start: start.out,
    },
    overrides: { ...plan.overrides, ...flags },
    groups: plan.groups,
  });
}

/** Rows of packed data that belong together: offsets, on the GPU and here. */
interface Bounds {
  readonly tensor: Tensor;
  readonly offsets: ArrayLike<number>;
}

/** Sums of the rows of each bag, or run of a bag. */
function sumBags(
  x: Tensor,
  weights: Tensor | null,
  { tensor, offsets }: Bounds,
  mean: boolean,
  out: Tensor,
): void {
  const { device } = x;
  const d = x.shape[1]!;
  const flags = { WEIGHTED: weights ? 1 : 0, MEAN: mean ? 1 : 0 };
  for (const { start, count } of bagParts(x, out, offsets)) {
    const [first, end] = [offsets[start]!, offsets[start + count]!];
    const tensors = {
      x: bindSpan(x, first * d, (end - first) * d),
      w: weights ?? tensor, // something to bind
      offsets: tensor,
      out: bindSpan(out, start * d, count * d),
    };
    const plan = threadPlan(device, count * d);
    const place = { firstBag: start, firstRow: first };
    run('sum', tensors, { bags: count, d, ...place, plan, flags }, device);
  }
}

/** As many bags at a time as can be bound; a bag that exceeds that by itself is refused where it is bound. */
function bagParts(x: Tensor, out: Tensor, offsets: ArrayLike<number>): Part[] {
  const bags = offsets.length - 1;
  if (spanFits(x, 0, x.size) && spanFits(out, 0, out.size)) return [{ start: 0, count: bags }];
  const most = Math.floor(longestSpan(x.device) / x.shape[1]!);
  const parts: Part[] = [];
  for (let start = 0; start < bags; ) {
    let end = start + 1;
    while (end < bags && end - start < most && offsets[end + 1]! - offsets[start]! <= most) end++;
    parts.push({ start, count: end - start });
    start = end;
  }
  return parts;
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
  const { offsets } = segments;
  const longest = offsets.reduce((most, o, i, all) => Math.max(most, o - (all[i - 1] ?? 0)), 0);
  if (longest <= 256 && longest * d <= longestSpan(device)) {
    sumBags(x, weights, { tensor: segments.starts, offsets }, mean, out);
    return;
  }
  const runs = segments.runs;
  const partial = Tensor.empty(device, [runs.count, d], 'f32', 'partial sums');
  sumBags(x, weights, { tensor: runs.starts, offsets: runs.offsets }, false, partial);
  const total = mean ? Tensor.empty(device, out.shape, 'f32', 'sums') : out;
  sumBags(partial, null, { tensor: runs.bagStarts, offsets: runs.bagOffsets }, false, total);
  partial.dispose();
  if (mean) {
    // `spread` over the bags themselves would divide per row; the mean of one row per bag is that row.
    spreadInto(total, null, segments, true, segments.bagIndex, out);
    total.dispose();
  }
}

/** For kernels whose rows [rows, d] each take something of their bag's row of `g`. */
function rowParts(rows: Tensor, g: Tensor): Part[] {
  const fits = spanFits(rows, 0, rows.size) && spanFits(g, 0, g.size);
  const [total, d] = rows.shape as [number, number];
  return cut(total, fits ? Math.max(1, total) : Math.max(1, Math.floor(longestSpan(g.device) / d)));
}

/** The rows of `g` that rows of the part need; `bag` says which bag a row belongs to. */
function bagsOf(g: Tensor, { start, count }: Part, bag: (row: number) => number) {
  const d = g.shape[1]!;
  const firstBag = bag(start);
  const dy = bindSpan(g, firstBag * d, (bag(start + count - 1) - firstBag + 1) * d);
  return { firstBag, dy };
}

/** The bag that row `n` belongs to. */
function bagOf({ offsets }: Segments, n: number): number {
  let [low, high] = [0, offsets.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (offsets[middle]! <= n) low = middle;
    else high = middle;
  }
  return low;
}

/** Gives each row of `out` its bag's row of `g`, times the row's weight, or divided by the bag's length. */
function spreadInto(
  g: Tensor,
  weights: Tensor | null,
  segments: Segments,
  mean: boolean,
  rowBag: Tensor,
  out: Tensor,
): void {
  const d = g.shape[1]!;
  const flags = { WEIGHTED: weights ? 1 : 0, MEAN: mean ? 1 : 0 };
  const bag = rowBag === segments.bagIndex ? (n: number) => n : (n: number) => bagOf(segments, n);
  for (const part of rowParts(out, g)) {
    const { firstBag, dy } = bagsOf(g, part, bag);
    const rows = { dy, out: bindSpan(out, part.start * d, part.count * d) };
    const quads = byQuads(g.device, d);
    const tensors = {
      ...(quads ? asQuads(rows) : rows),
      w: weights ?? segments.starts, // something to bind
      offsets: segments.starts,
      row_bag: rowBag,
    };
    const plan = linePlan(g.device, part.count, d);
    const sizes = { bags: segments.count, total: part.count, d, firstBag, firstRow: part.start };
    run(quads ? 'spread4' : 'spread', tensors, { ...sizes, plan, flags }, g.device);
  }
}

function spread(g: Tensor, weights: Tensor | null, segments: Segments, mean: boolean): Tensor {
  const out = Tensor.empty(g.device, [segments.total, g.shape[1]!], 'f32', 'segment gradient');
  spreadInto(g, weights, segments, mean, segments.rowBag, out);
  return out;
}

function defineSegmentSoftmax(name: string, logarithm: boolean) {
  const flags = { LOG: logarithm ? 1 : 0 };
  const planFor = ({ device, shape }: Tensor, { count, total }: Segments) =>
    rowPlan(device, count * shape[1]!, Math.ceil(total / Math.max(1, count)));
  return defineOp<SegmentOptions>({
    name,
    inputs: 'x [total, K]',
    output: '[total, K]',
    cost: '4·total·K',
    shape([x], { segments }) {
      checkRows(name, x!, segments);
      return x!;
    },
    forward([x], { segments }, out) {
      const how = { bags: segments.count, d: x!.shape[1]!, plan: planFor(x!, segments), flags };
      run('softmax', { x: x!, offsets: segments.starts, out }, how, out.device);
    },
    gradient({ grad, output, options: { segments } }) {
      const out = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      const how = { bags: segments.count, d: grad.shape[1]!, plan: planFor(grad, segments), flags };
      const tensors = { y: output, dy: grad, offsets: segments.starts, out };
      run('softmax_backward', tensors, how, out.device);
      return [out];
    },
  });
}

export const segmentSoftmaxOp = defineSegmentSoftmax('segment-softmax', false);
export const segmentLogSoftmaxOp = defineSegmentSoftmax('segment-log-softmax', true);

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
    const d = x.shape[1]!;
    const out = Tensor.empty(x.device, weights.shape, 'f32', 'segment-weighted-sum gradient');
    for (const part of rowParts(x, grad)) {
      const { firstBag, dy } = bagsOf(grad, part, (n) => bagOf(segments, n));
      const tensors = {
        x: bindSpan(x, part.start * d, part.count * d),
        dy,
        row_bag: segments.rowBag,
        out: bindSpan(out, part.start, part.count),
      };
      const sizes = { bags: segments.count, total: part.count, d, firstBag, firstRow: part.start };
      run('dots', tensors, { ...sizes, plan: rowPlan(x.device, part.count, d) }, x.device);
    }
    return [dx, out];
  },
});

/** Softmax of every column of x [total, K] over the rows of each bag. */
export const segmentSoftmax = (x: Tensor, segments: Segments) =>
  segmentSoftmaxOp.apply([x], { segments });
/** Its logarithm, as accurate where the softmax is near 0. */
export const segmentLogSoftmax = (x: Tensor, segments: Segments) =>
  segmentLogSoftmaxOp.apply([x], { segments });
/** Sums of the rows of each bag: [total, d] to [B, d]; zeros for an empty bag. */
export const segmentSum = (x: Tensor, segments: Segments) => segmentSumOp.apply([x], { segments });
/** Means of the rows of each bag: [total, d] to [B, d]; zeros for an empty bag. */
export const segmentMean = (x: Tensor, segments: Segments) =>
  segmentMeanOp.apply([x], { segments });
/** Σ wₙ xₙ over the rows of each bag: x [total, d], weights [total, 1] to [B, d] (attention pooling). */
export const segmentWeightedSum = (x: Tensor, weights: Tensor, segments: Segments) =>
  segmentWeightedSumOp.apply([x, weights], { segments });
