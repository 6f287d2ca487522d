import code from '../../shaders/pointwise-loss.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, elementParts, rowParts } from '../tensor/parts.ts';
import { sameShape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShapes, type Op, shapeError } from './op.ts';
import { sumAllInto } from './reduce.ts';
import { checkReduction, type Reduction, type ReductionOptions } from './reduction.ts';

const kernel = defineKernel('pointwise-loss', code);
const CHUNK = 1024;

/** Numbered as OP of shaders/pointwise-loss.wgsl. */
const POINTWISE_LOSSES = ['l1', 'smooth-l1', 'bce-with-logits'] as const;

interface Reduced {
  reduction: Reduction;
}

/** What a dispatch needs beyond tensors: the index of the loss, its constant `a`, the factor of all results. */
interface Kind {
  readonly op: number;
  readonly a: number;
  readonly scale: number;
}

function reduced({ op, a, scale }: Kind, x: Tensor, y: Tensor, output: Tensor): void {
  const { device, size } = x;
  const runs = Math.ceil(size / CHUNK);
  const partial = Tensor.empty(device, [runs], 'f32', 'losses');
  for (const { start, count: rows } of rowParts(device, runs, [CHUNK])) {
    const part = { start: start * CHUNK, count: Math.min(rows * CHUNK, size - start * CHUNK) };
    const { groups, overrides } = rowPlan(device, rows, CHUNK / 4);
    device.run(kernel, 'forward', {
      buffers: {
        prediction: bindPart(x, part),
        target_value: bindPart(y, part),
        out: partial.buffer,
      },
      params: { count: part.count, chunk: CHUNK, first_run: start, scale, a },
      overrides: { ...overrides, OP: op },
      groups,
    });
  }
  sumAllInto(partial, output);
  partial.dispose();
}

function elementwise(
  entry: 'forward_each' | 'backward' | 'backward_each',
  { op, a, scale }: Kind,
  [x, y, g]: readonly [Tensor, Tensor, Tensor | null],
  toTarget: boolean,
  out: Tensor,
): void {
  for (const part of elementParts(out.device, out.size)) {
    const { groups, overrides } = elementwisePlan(out.device, part.count);
    out.device.run(kernel, entry, {
      buffers: {
        prediction: bindPart(x, part),
        target_value: bindPart(y, part),
        out4: bindPart(out, part),
        ...(g && (entry === 'backward' ? { g: g.buffer } : { g4: bindPart(g, part) })),
      },
      params: { count: part.count, chunk: CHUNK, first_run: 0, scale, a },
      overrides: { ...overrides, OP: op, TO_TARGET: toTarget ? 1 : 0 },
      groups,
    });
  }
}

function definePointwise<O extends Reduced>(
  name: (typeof POINTWISE_LOSSES)[number],
  constant: (options: O) => number,
): Op<O> {
  const kind = (options: O, { size }: Tensor) => ({
    op: POINTWISE_LOSSES.indexOf(name),
    a: constant(options),
    scale: options.reduction === 'mean' ? 1 / size : 1,
  });
  return defineOp<O>({
    name,
    inputs: 'prediction [...], target [...]',
    output: '[], or [...] without reduction',
    cost: '3·N',
    shape([x, y], { reduction }) {
      checkReduction(name, reduction);
      if (!sameShape(x!, y!)) {
        throw shapeError(name, 'prediction and target of one shape', formatShapes([x!, y!]));
      }
      if (reduction === 'none') return x!;
      if (sizeOf(x!) === 0) throw shapeError(name, 'at least one element', formatShapes([x!, y!]));
      return [];
    },
    forward([x, y], options, output) {
      if (options.reduction !== 'none') reduced(kind(options, x!), x!, y!, output);
      else elementwise('forward_each', kind(options, x!), [x!, y!, null], false, output);
    },
    gradient({ grad, inputs: [x, y], options, needs }) {
      const entry = options.reduction === 'none' ? 'backward_each' : 'backward';
      return [false, true].map((toTarget, i) => {
        if (!needs[i]) return null;
        const out = Tensor.empty(x!.device, x!.shape, 'f32', `${name} gradient`);
        elementwise(entry, kind(options, x!), [x!, y!, grad], toTarget, out);
        return out;
      });
    },
  });
}

export const l1Op = definePointwise<Reduced>('l1', () => 0);
export const smoothL1Op = definePointwise<Reduced & { beta: number }>(
  'smooth-l1',
  ({ beta }) => beta,
);
export const bceWithLogitsOp = definePointwise<Reduced & { posWeight: number }>(
  'bce-with-logits',
  ({ posWeight }) => posWeight,
);

/** |prediction − target| (torch.nn.functional.l1_loss). */
export function l1(prediction: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  return l1Op.apply([prediction, target], { reduction: options.reduction ?? 'mean' });
}

/** With d = |prediction − target|: d² / (2 beta) below beta, d − beta / 2 beyond (smooth_l1_loss; beta is 1). */
export function smoothL1(
  prediction: Tensor,
  target: Tensor,
  { beta = 1, reduction = 'mean' }: ReductionOptions & { beta?: number } = {},
): Tensor {
  if (!(beta >= 0)) throw badConstant('smooth-l1', 'a beta of at least 0', beta);
  if (beta === 0) return l1(prediction, target, { reduction });
  return smoothL1Op.apply([prediction, target], { reduction, beta });
}

/**
 * −(posWeight · target · log p + (1 − target) · log(1 − p)) with p = sigmoid(logits), without overflow
 * (binary_cross_entropy_with_logits); targets in [0, 1].
 */
export function bceWithLogits(
  logits: Tensor,
  target: Tensor,
  { posWeight = 1, reduction = 'mean' }: ReductionOptions & { posWeight?: number } = {},
): Tensor {
  if (!(posWeight >= 0))
    throw badConstant('bce-with-logits', 'a posWeight of at least 0', posWeight);
  return bceWithLogitsOp.apply([logits, target], { reduction, posWeight });
}

function badConstant(name: string, expected: string, found: number): HistogradError {
  return new HistogradError(
    'option',
    `${name}: expected ${expected}, found ${found}.`,
    'Correct the option, or leave it out.',
  );
}
