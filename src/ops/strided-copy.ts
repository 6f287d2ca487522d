/**
 * Copies of boxes between tensors, outside the tape; all operations that move elements use it, and the
 * reductions' gradients. A box is copied in as few axes as it has, and in parts where a binding ends.
 */
import code from '../../shaders/strided-copy.wgsl';
import { HistogradError } from '../errors.ts';
import { BINDING_ALIGNMENT } from '../gpu/buffer-pool.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { copyPlan } from '../tensor/grid.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('strided-copy', code);

/** Where a box lies in a tensor, in elements. */
interface Side {
  /** Strides along the axes of the box; 0 repeats. */
  readonly strides: readonly number[];
  readonly start: number;
}

export interface Box {
  /** Extent of the box: up to eight axes, not counting those that can be joined. */
  readonly dims: readonly number[];
  readonly from: Side;
  readonly to: Side;
}

export function contiguousStrides(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = strides[d + 1]! * shape[d + 1]!;
  return strides;
}

/** The box of `dims` at index `start` of a contiguous tensor. */
export function sideAt(shape: Shape, start: readonly number[]): Side {
  const strides = contiguousStrides(shape);
  return { strides, start: strides.reduce((total, stride, d) => total + stride * start[d]!, 0) };
}

export function copyBox(x: Tensor, out: Tensor, box: Box): void {
  if (box.dims.includes(0)) return;
  const joined = joinAxes(box);
  const limit = Math.floor(x.device.bindingBytes / 4);
  if (x.size <= limit && out.size <= limit) copyPart(x, out, joined, null);
  else for (const part of cut(joined, limit)) copyPart(x, out, part, limit);
}

/** The same box in the fewest axes: those of extent 1 left out, those that follow each other in both tensors joined. */
function joinAxes({ dims, from, to }: Box): Box {
  const joined: { n: number; x: number; out: number }[] = [];
  dims.forEach((n, d) => {
    if (n === 1) return;
    const axis = { n, x: from.strides[d]!, out: to.strides[d]! };
    const before = joined.at(-1);
    if (before && before.x === n * axis.x && before.out === n * axis.out) {
      joined[joined.length - 1] = { ...axis, n: n * before.n };
    } else joined.push(axis);
  });
  return {
    dims: joined.map(({ n }) => n),
    from: { strides: joined.map(({ x }) => x), start: from.start },
    to: { strides: joined.map(({ out }) => out), start: to.start },
  };
}

/** The elements of a tensor between the first and the last of a box, from where a binding may begin. */
function span(dims: readonly number[], { strides, start }: Side): { first: number; count: number } {
  const aligned = BINDING_ALIGNMENT / 4;
  const first = Math.floor(start / aligned) * aligned;
  const last = dims.reduce((at, n, d) => at + (n - 1) * strides[d]!, start);
  return { first, count: 4 * Math.ceil((last + 1 - first) / 4) };
}

/** Halves a box, where it reaches farthest, until `limit` elements of either tensor hold it. */
function* cut(box: Box, limit: number): Generator<Box> {
  const { dims, from, to } = box;
  const side = [from, to].find((s) => span(dims, s).count > limit);
  if (!side) {
    yield box;
    return;
  }
  const reach = dims.map((n, d) => (n - 1) * side.strides[d]!);
  const axis = reach.indexOf(Math.max(...reach));
  const half = Math.ceil(dims[axis]! / 2);
  const resized = (n: number) => dims.map((m, d) => (d === axis ? n : m));
  const moved = ({ strides, start }: Side) => ({ strides, start: start + half * strides[axis]! });
  yield* cut({ dims: resized(half), from, to }, limit);
  yield* cut({ dims: resized(dims[axis]! - half), from: moved(from), to: moved(to) }, limit);
}

function copyPart(x: Tensor, out: Tensor, { dims, from, to }: Box, limit: number | null): void {
  if (dims.length > 8) {
    throw new HistogradError(
      'shape',
      `A copy of ${dims.length} axes that cannot be joined; there are at most 8.`,
      'Permute in two steps.',
    );
  }
  const bind = ({ buffer }: Tensor, side: Side) => {
    if (limit === null) return { bound: buffer, first: 0 };
    const { first, count } = span(dims, side);
    return { bound: { buffer, offset: 4 * first, bytes: 4 * count }, first };
  };
  const source = bind(x, from);
  const target = bind(out, to);
  const starts = [from.start - source.first, to.start - target.first] as const;
  const last = dims.length - 1;
  const inner = last >= 0 && from.strides[last] === 1 && to.strides[last] === 1;
  const others = [...from.strides.slice(0, last), ...to.strides.slice(0, last), ...starts];
  const unit = inner && [dims[last]!, ...others].every((n) => n % 4 === 0) ? 4 : 1;
  const four = (values: readonly number[], fill: number, at: number) =>
    Array.from({ length: 4 }, (_, d) => values[last - at - d] ?? fill);
  const extents = dims.map((n, d) => (d === last ? n / unit : n));
  const xStrides = from.strides.map((s, d) => (d === last ? s : s / unit));
  const outStrides = to.strides.map((s, d) => (d === last ? s : s / unit));
  const count = sizeOf(extents);
  x.device.run(kernel, unit === 4 ? 'copy_vec4' : 'copy', {
    buffers: { x: source.bound, out: target.bound, x4: source.bound, out4: target.bound },
    params: {
      dims: four(extents, 1, 0),
      outer_dims: four(extents, 1, 4),
      x_strides: four(xStrides, 0, 0),
      outer_x_strides: four(xStrides, 0, 4),
      out_strides: four(outStrides, 0, 0),
      outer_out_strides: four(outStrides, 0, 4),
      axes: dims.length,
      x_start: starts[0] / unit,
      out_start: starts[1] / unit,
      count,
    },
    ...copyPlan(x.device, count),
  });
}

/** Writes `value` into all of `out`. */
export function fill(out: Tensor, value: number): void {
  if (value === 0) {
    out.device.clear(out.buffer);
    return;
  }
  const source = Tensor.from(out.device, [value]);
  const strides = [0];
  const to = { strides: [1], start: 0 };
  copyBox(source, out, { dims: [out.size], from: { strides, start: 0 }, to });
  source.dispose();
}

/** Repeats x [outer, inner] along a new middle axis: the adjoint of a sum. */
export function spreadAxis(
  x: Tensor,
  shape: Shape,
  [outer, n, inner]: readonly [number, number, number],
): Tensor {
  const out = Tensor.empty(x.device, shape, 'f32', 'sum gradient');
  copyBox(x, out, {
    dims: [outer, n, inner],
    from: { strides: [inner, 0, 1], start: 0 },
    to: { strides: [n * inner, inner, 1], start: 0 },
  });
  return out;
}
