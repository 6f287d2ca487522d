import code from '../../shaders/reduce.wgsl';
import subgroupCode from '../../shaders/reduce-subgroup.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { byQuads, copyPlan, rowPlan, subgroupLanes, threadPlan } from '../tensor/grid.ts';
import { bindSpan, cut, longestSpan, spanFits } from '../tensor/parts.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { spreadAxis } from './strided-copy.ts';

const kernel = defineKernel('reduce', code);
const subgroupKernel = defineKernel('reduce-subgroup', subgroupCode);

export interface ReduceOptions {
  /** The axis to reduce (negative counts from the end); null for all of them. */
  axis: number | null;
  keepDims: boolean;
}

/** A run of this many elements is added by one row of threads; longer axes take several stages. */
const LONGEST_RUN = 512;
const CHUNK = 128;
/** Where a thread takes rows four by four: as long in instructions. */
const QUAD_RUN = 1024;
/** Lanes share runs from here on (reduce-subgroup.wgsl; a workgroup for less costs more than it saves), and each adds up so many. */
const SHARED_RUN = 2048;
const LANE_RUN = 1024;

/** A tensor seen as [outer, n, inner] around the reduced axis. */
function split(name: string, shape: Shape, axis: number | null): [number, number, number] {
  if (axis === null) return [1, sizeOf(shape), 1];
  const { outer, length, inner } = aroundAxis(name, shape, axis);
  return [outer, length, inner];
}

function reducedShape(name: string, shape: Shape, { axis, keepDims }: ReduceOptions): Shape {
  if (axis === null) return keepDims ? shape.map(() => 1) : [];
  const { at } = aroundAxis(name, shape, axis);
  return keepDims ? shape.map((n, i) => (i === at ? 1 : n)) : shape.filter((_, i) => i !== at);
}

/** Numbered as MODE of shaders/reduce.wgsl. */
const MODES = ['sum', 'max', 'count'] as const;
type Mode = (typeof MODES)[number];
type Around3 = readonly [outer: number, n: number, inner: number];

/** What one dispatch does: a box [outer, n, inner], and where it begins in x, in the reduction, and in y. */
interface Piece {
  readonly box: Around3;
  readonly chunks: number;
  readonly x: number;
  readonly out: number;
  readonly y: number;
  /** Whether it goes on with a run that others began, and whether it ends the run. */
  readonly more: boolean;
  readonly ends: boolean;
}

/** How the reduction of x [outer, n, inner] to `out` [outer, chunks, inner] is cut for one binding. */
function pieces(x: Tensor, [outer, n, inner]: Around3, chunk: number, out: Tensor): Piece[] {
  const most = longestSpan(x.device);
  const chunks = chunk === 0 ? 1 : Math.ceil(n / chunk);
  const whole = { chunks, x: 0, out: 0, y: 0, more: false, ends: true };
  if (spanFits(x, 0, x.size) && spanFits(out, 0, out.size)) {
    return [{ ...whole, box: [outer, n, inner] }];
  }
  const found: Piece[] = [];
  const slice = Math.max(n, chunks) * inner;
  if (slice <= most) {
    for (const { start, count } of cut(outer, Math.floor(most / slice))) {
      const [x, out, y] = [start * n * inner, start * chunks * inner, start * inner];
      found.push({ ...whole, box: [count, n, inner], x, out, y });
    }
    return found;
  }
  const step = Math.floor(most / (chunk * inner));
  for (let o = 0; o < outer; o++) {
    const y = o * inner;
    if (step > 0) {
      for (const { start: c, count } of cut(chunks, step)) {
        const box = [1, Math.min(count * chunk, n - c * chunk), inner] as const;
        const [x, out] = [(o * n + c * chunk) * inner, (o * chunks + c) * inner];
        found.push({ ...whole, box, chunks: count, x, out, y });
      }
      continue;
    }
    // Not even one run fits: slice after slice of it.
    for (const { start: i, count } of cut(inner, most)) {
      for (let j = 0; j < n; j++) {
        const [at, c] = [(o * n + j) * inner + i, Math.floor(j / chunk)];
        const place = { x: at, out: (o * chunks + c) * inner + i, y: y + i };
        const [more, ends] = [j % chunk > 0, (j + 1) % chunk === 0 || j + 1 === n];
        found.push({ box: [1, 1, count], chunks: 1, ...place, more, ends });
      }
    }
  }
  return found;
}

/** Elements that one run adds up; shorter than usual where few slices fit one binding. */
function runLength(device: Device, n: number, inner: number): number {
  const slices = Math.floor(longestSpan(device) / inner);
  if (slices < 2) return n;
  if (inner === 1 && byQuads(device, n)) {
    const run = Math.max(QUAD_RUN, LANE_RUN * subgroupLanes(device));
    if (slices >= run) return Math.min(n, run);
  }
  return Math.min(n > LONGEST_RUN ? CHUNK : n, slices);
}

/** @param y the maximum, [outer, inner], when elements equal to it are counted */
function reduceInto(
  x: Tensor,
  [outer, axis, inner]: Around3,
  mode: Mode,
  scale: number,
  output: Tensor,
  y = x,
): void {
  const { device } = x;
  let from = x;
  let n = axis;
  do {
    const chunk = runLength(device, n, inner);
    const chunks = chunk === 0 ? 1 : Math.ceil(n / chunk);
    const last = chunks === 1;
    const to = last ? output : Tensor.empty(device, [outer, chunks, inner], 'f32', 'partial sums');
    const MODE = MODES.indexOf(mode === 'count' && from !== x ? 'sum' : mode);
    for (const piece of pieces(from, [outer, n, inner], chunk, to)) {
      const [rows, length, columns] = piece.box;
      const tasks = rows * piece.chunks * columns;
      const source = bindSpan(from, piece.x, sizeOf(piece.box));
      const result = bindSpan(to, piece.out, tasks);
      const most = bindSpan(y, piece.y, rows * columns);
      const fours =
        inner === 1 ? [length, chunk, source.start] : [columns, source.start, result.start];
      const quads = MODES[MODE] !== 'count' && fours.every((count) => byQuads(device, count));
      const lanes = inner === 1 && quads && chunk >= SHARED_RUN ? subgroupLanes(device) : 0;
      const runs = {
        n: length,
        chunk,
        chunks: piece.chunks,
        scale: last && piece.ends ? scale : 1,
        x_start: source.start,
        out_start: result.start,
      };
      if (lanes > 0) {
        device.run(subgroupKernel, 'rows', {
          buffers: { x4: source.binding, out: result.binding },
          params: { ...runs, runs: tasks },
          overrides: { LANES: lanes, MODE },
          groups: tasks,
        });
        continue;
      }
      const { groups, overrides } =
        inner === 1 ? rowPlan(device, tasks, chunk) : threadPlan(device, quads ? tasks / 4 : tasks);
      const [x4, out4] = [source.binding, result.binding];
      const [plain, fast] = inner === 1 ? ['rows', 'rows4'] : ['columns', 'columns4'];
      device.run(kernel, quads ? fast : plain, {
        buffers: { x: x4, x4, y: most.binding, out: out4, out4 },
        params: {
          ...runs,
          outer: rows,
          inner: columns,
          more: piece.more ? 1 : 0,
          y_start: most.start,
        },
        overrides: { ...overrides, MODE },
        groups,
      });
    }
    if (from !== x) from.dispose();
    from = to;
    n = chunks;
  } while (from !== output);
}

/** The sum along one axis outside the tape, for gradients. */
export function reduceSum(x: Tensor, axis: number | null, keepDims = false, scale = 1): Tensor {
  const output = Tensor.empty(
    x.device,
    reducedShape('sum', x.shape, { axis, keepDims }),
    'f32',
    'sum',
  );
  reduceInto(x, split('sum', x.shape, axis), 'sum', scale, output);
  return output;
}

/** Writes Σ x into `output` (one element), outside the tape. */
export function sumAllInto(x: Tensor, output: Tensor): void {
  reduceInto(x, [1, x.size, 1], 'sum', 1, output);
}

function meanScale(name: string, shape: Shape, axis: number | null): number {
  const [, n] = split(name, shape, axis);
  if (n === 0) throw shapeError(name, 'at least one element along the axis', formatShape(shape));
  return 1 / n;
}

export const sumOp = defineOp<ReduceOptions>({
  name: 'sum',
  inputs: 'x [...]',
  output: '[...] without the axis, or []',
  cost: 'N',
  shape: ([x], options) => reducedShape('sum', x!, options),
  forward: ([x], { axis }, output) =>
    reduceInto(x!, split('sum', x!.shape, axis), 'sum', 1, output),
  gradient: ({ grad, inputs: [x], options: { axis } }) => [
    spreadAxis(grad, x!.shape, split('sum', x!.shape, axis)),
  ],
});

export const meanOp = defineOp<ReduceOptions>({
  name: 'mean',
  inputs: 'x [...]',
  output: '[...] without the axis, or []',
  cost: 'N',
  shape: ([x], options) => {
    meanScale('mean', x!, options.axis);
    return reducedShape('mean', x!, options);
  },
  forward: ([x], { axis }, output) =>
    reduceInto(x!, split('mean', x!.shape, axis), 'sum', meanScale('mean', x!.shape, axis), output),
  gradient({ grad, inputs: [x], options: { axis } }) {
    const { shape } = x!;
    const scaled = reduceSum(grad.view([1, grad.size]), 0, false, meanScale('mean', shape, axis));
    return [spreadAxis(scaled, shape, split('mean', shape, axis))];
  },
});

export const maxOp = defineOp<ReduceOptions>({
  name: 'max',
  inputs: 'x [...]',
  output: '[...] without the axis, or []',
  cost: 'N',
  shape: ([x], options) => {
    meanScale('max', x!, options.axis);
    return reducedShape('max', x!, options);
  },
  forward: ([x], { axis }, output) =>
    reduceInto(x!, split('max', x!.shape, axis), 'max', 1, output),
  gradient({ grad, inputs: [x], output, options: { axis } }) {
    const { device, shape } = x!;
    const around = split('max', shape, axis);
    const count = Tensor.empty(device, output.shape, 'f32', 'maxima');
    reduceInto(x!, around, 'count', 1, count, output);
    const dx = Tensor.empty(device, shape, 'f32', 'max gradient');
    for (const { box, x: start, y: first } of pieces(x!, around, 1, dx)) {
      const size = sizeOf(box);
      const [source, result] = [bindSpan(x!, start, size), bindSpan(dx, start, size)];
      const spans = [output, grad, count].map((t) => bindSpan(t, first, box[0] * box[2]));
      const [y, dy, ties] = spans;
      const { groups, overrides } = copyPlan(device, size);
      device.run(kernel, 'max_backward', {
        buffers: {
          x: source.binding,
          y: y!.binding,
          dy: dy!.binding,
          count: ties!.binding,
          out: result.binding,
        },
        params: {
          outer: box[0],
          n: box[1],
          inner: box[2],
          chunk: 1,
          chunks: 1,
          scale: 1,
          more: 0,
          x_start: source.start,
          y_start: y!.start,
          out_start: result.start,
        },
        overrides,
        groups,
      });
    }
    count.dispose();
    return [dx];
  },
});

/** Sum over one axis, or over everything. */
export function sum(x: Tensor, axis: number | null = null, keepDims = false): Tensor {
  return sumOp.apply([x], { axis, keepDims });
}

/** Mean over one axis, or over everything; the axis must not be empty. */
export function mean(x: Tensor, axis: number | null = null, keepDims = false): Tensor {
  return meanOp.apply([x], { axis, keepDims });
}

/** Maximum over one axis, or over everything. The gradient is shared among equal maxima (torch.amax). */
export function max(x: Tensor, axis: number | null = null, keepDims = false): Tensor {
  return maxOp.apply([x], { axis, keepDims });
}
