import code from '../../shaders/binary.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, bindSpan, elementParts, halves, type Part, spanFits } from '../tensor/parts.ts';
import { type Shape, sameShape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShapes, type GradientContext, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';

const kernel = defineKernel('binary', code);

/** Numbered as OP of shaders/binary.wgsl. */
const BINARY_FUNCTIONS = ['add', 'sub', 'mul', 'div'] as const;
type BinaryName = (typeof BINARY_FUNCTIONS)[number];
type None = Record<string, never>;

/** The shape two operands broadcast to (NumPy's rule), up to four dimensions. */
function broadcastShape(name: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  if (rank > 4) throw shapeError(name, 'at most 4 dimensions', formatShapes([a, b]));
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw shapeError(
        name,
        'shapes that broadcast (equal, or 1, from the right)',
        formatShapes([a, b]),
      );
    }
    return m === 1 ? n : m;
  });
}

function padTo4(shape: Shape): number[] {
  return [...Array<number>(4 - shape.length).fill(1), ...shape];
}

/** Strides of `shape` inside the padded output, 0 where it repeats. */
function broadcastStrides(shape: Shape): number[] {
  const dims = padTo4(shape);
  let stride = 1;
  const strides = [0, 0, 0, 0];
  for (let d = 3; d >= 0; d--) {
    strides[d] = dims[d] === 1 ? 0 : stride;
    stride *= dims[d]!;
  }
  return strides;
}

/** The span [start, count] of an operand that a part of the output needs. */
function reach(dims: readonly number[], strides: readonly number[], part: Part): [number, number] {
  const place = (index: number) => {
    const found = [0, 0, 0, 0];
    for (let d = 3, rest = index; d >= 0; d--) {
      found[d] = rest % dims[d]!;
      rest = Math.floor(rest / dims[d]!);
    }
    return found;
  };
  const first = place(part.start);
  const last = place(part.start + part.count - 1);
  const differs = first.findIndex((i, d) => i !== last[d]);
  // Where the operand repeats, all that is inside the outermost axis that changes may be needed.
  if (strides.some((stride, d) => differs >= 0 && d >= differs && stride === 0 && dims[d]! > 1)) {
    first.fill(0, differs + 1);
    for (let d = differs + 1; d < 4; d++) last[d] = dims[d]! - 1;
  }
  const at = (index: readonly number[]) => index.reduce((sum, i, d) => sum + i * strides[d]!, 0);
  return [at(first), at(last) - at(first) + 1];
}

function compute(name: BinaryName, a: Tensor, b: Tensor, output: Tensor): void {
  const { device, size } = output;
  if (sameShape(a.shape, b.shape)) {
    for (const part of elementParts(device, size)) {
      const buffers = {
        a4: bindPart(a, part),
        b4: bindPart(b, part),
        out4: bindPart(output, part),
      };
      dispatch(name, 'same', buffers, output, { count: part.count });
    }
    return;
  }
  const dims = padTo4(output.shape);
  const strides = [a, b].map(({ shape }) => broadcastStrides(shape));
  const broadcast = (part: Part): void => {
    const spans = strides.map((s) => reach(dims, s, part));
    const fits =
      spanFits(output, part.start, part.count) &&
      [a, b].every((operand, i) => spanFits(operand, ...spans[i]!));
    if (!fits && part.count > 128) {
      for (const half of halves(part)) broadcast(half);
      return;
    }
    const [left, right] = [a, b].map((operand, i) => bindSpan(operand, ...spans[i]!));
    const out4 = bindPart(output, part);
    const buffers = {
      a: left!.binding,
      a4: left!.binding,
      b: right!.binding,
      b4: right!.binding,
      out4,
    };
    const params = {
      count: part.count,
      first: part.start,
      a_base: spans[0]![0] - left!.start,
      b_base: spans[1]![0] - right!.start,
      dims,
      a_strides: strides[0]!,
      b_strides: strides[1]!,
    };
    const begins = [params.first, params.a_base, params.b_base, dims[3]!];
    dispatch(name, 'broadcast', buffers, output, params, {
      QUADS: begins.every((n) => n % 4 === 0),
      A_REPEATS: strides[0]![3] === 0,
      B_REPEATS: strides[1]![3] === 0,
    });
  };
  if (size > 0) broadcast({ start: 0, count: size });
}

const UNUSED = {
  first: 0,
  a_base: 0,
  b_base: 0,
  dims: [1, 1, 1, 1],
  a_strides: [0, 0, 0, 0],
  b_strides: [0, 0, 0, 0],
};

function dispatch(
  name: BinaryName,
  entry: 'same' | 'broadcast',
  buffers: Readonly<Record<string, Binding>>,
  { device }: Tensor,
  params: { count: number } & Partial<typeof UNUSED>,
  forms: Readonly<Record<string, boolean>> = {},
): void {
  const { groups, overrides } = elementwisePlan(device, params.count);
  device.run(kernel, entry, {
    buffers,
    params: { ...UNUSED, ...params },
    overrides: { ...overrides, ...forms, OP: BINARY_FUNCTIONS.indexOf(name) },
    groups,
  });
}

/** The same arithmetic on gradients, outside the tape. */
function computed(name: BinaryName, a: Tensor, b: Tensor): Tensor {
  const output = Tensor.empty(
    a.device,
    broadcastShape(name, a.shape, b.shape),
    'f32',
    `${name} gradient`,
  );
  compute(name, a, b, output);
  return output;
}

/** Sums a gradient over the dimensions along which an operand was repeated. */
function sumTo(grad: Tensor, shape: Shape): Tensor {
  let result = grad;
  const extra = grad.rank - shape.length;
  for (let d = 0; d < grad.rank; d++) {
    if (d < extra || (shape[d - extra] === 1 && grad.shape[d] !== 1)) {
      result = reduceSum(result, d, true);
    }
  }
  return result.view(shape);
}

function defineBinary(
  name: BinaryName,
  reads: readonly ('inputs' | 'output')[],
  gradients: (context: GradientContext<None>, a: Tensor, b: Tensor) => [() => Tensor, () => Tensor],
) {
  return defineOp<None>({
    name,
    inputs: 'a [...], b [...] that broadcast, up to 4 axes',
    output: '[...]',
    cost: 'N',
    shape: ([a, b]) => broadcastShape(name, a!, b!),
    forward: ([a, b], _, output) => compute(name, a!, b!, output),
    reads,
    gradient(context) {
      const [a, b] = context.inputs as [Tensor, Tensor];
      const [da, db] = gradients(context, a, b);
      return [
        context.needs[0] ? sumTo(da(), a.shape) : null,
        context.needs[1] ? sumTo(db(), b.shape) : null,
      ];
    },
  });
}

function negated(x: Tensor): Tensor {
  return computed('mul', x, Tensor.scalar(x.device, -1));
}

export const addOp = defineBinary('add', [], ({ grad }) => [() => grad, () => grad]);
export const subOp = defineBinary('sub', [], ({ grad }) => [() => grad, () => negated(grad)]);
export const mulOp = defineBinary('mul', ['inputs'], ({ grad }, a, b) => [
  () => computed('mul', grad, b),
  () => computed('mul', grad, a),
]);
export const divOp = defineBinary('div', ['inputs', 'output'], ({ grad, output }, _a, b) => [
  () => computed('div', grad, b),
  () => negated(computed('mul', grad, computed('div', output, b))),
]);

/** a + b; operands broadcast as in NumPy, up to four dimensions. */
export const add = (a: Tensor, b: Tensor) => addOp.apply([a, b], {});
/** a − b, broadcasting. */
export const sub = (a: Tensor, b: Tensor) => subOp.apply([a, b], {});
/** a · b element by element, broadcasting. */
export const mul = (a: Tensor, b: Tensor) => mulOp.apply([a, b], {});
/** a / b, broadcasting. */
export const div = (a: Tensor, b: Tensor) => divOp.apply([a, b], {});
