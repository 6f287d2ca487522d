import code from '../../shaders/reduce.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan, threadPlan } from '../tensor/grid.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { spreadAxis } from './strided-copy.ts';

const kernel = defineKernel('reduce', code);

export interface ReduceOptions {
  /** The axis to reduce (negative counts from the end); null for all of them. */
  axis: number | null;
  keepDims: boolean;
}

/** A run of this many elements is added by one row of threads; longer axes take several stages. */
const LONGEST_RUN = 512;
const CHUNK = 128;

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

function reduceInto(
  x: Tensor,
  [outer, length, inner]: readonly [number, number, number],
  max: boolean,
  scale: number,
  output: Tensor,
): void {
  let from = x;
  let n = length;
  do {
    const chunk = n > LONGEST_RUN ? CHUNK : n;
    const chunks = chunk === 0 ? 1 : Math.ceil(n / chunk);
    const last = chunks === 1;
    const to = last
      ? output
      : Tensor.empty(x.device, [outer, chunks, inner], 'f32', 'partial sums');
    const tasks = outer * chunks * inner;
    const { groups, overrides } =
      inner === 1 ? rowPlan(x.device, tasks, chunk) : threadPlan(x.device, tasks);
    x.device.run(kernel, inner === 1 ? 'rows' : 'columns', {
      buffers: { x: from.buffer, out: to.buffer },
      params: { outer, n, inner, chunk, chunks, scale: last ? scale : 1 },
      overrides: { ...overrides, MAX: max ? 1 : 0 },
      groups,
    });
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
  reduceInto(x, split('sum', x.shape, axis), false, scale, output);
  return output;
}

/** Writes scale · Σ x into `output` (one element), outside the tape. */
export function sumAllInto(x: Tensor, scale: number, output: Tensor): void {
  reduceInto(x, [1, x.size, 1], false, scale, output);
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
    reduceInto(x!, split('sum', x!.shape, axis), false, 1, output),
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
    reduceInto(x!, split('mean', x!.shape, axis), false, meanScale('mean', x!.shape, axis), output),
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
  forward: ([x], { axis }, output) => reduceInto(x!, split('max', x!.shape, axis), true, 1, output),
  gradient({ grad, inputs: [x], output, options: { axis } }) {
    const [outer, n, inner] = split('max', x!.shape, axis);
    const dx = Tensor.empty(x!.device, x!.shape, 'f32', 'max gradient');
    x!.device.run(kernel, 'max_backward', {
      buffers: { x: x!.buffer, y: output.buffer, dy: grad.buffer, out: dx.buffer },
      params: { outer, n, inner, chunk: n, chunks: 1, scale: 1 },
      ...threadPlan(x!.device, outer * inner),
    });
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
