import { HistogradError } from '../errors.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { type AlongAxis, applyAlong, applyTransposed, axisMap } from './axis-taps.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { copyBox, fill, sideAt } from './strided-copy.ts';

export type PadMode = 'constant' | 'reflect' | 'replicate';

export interface PadOptions {
  /** [before, after] of the last axis, then of the one before it, and so on. */
  padding: readonly number[];
  mode?: PadMode;
  /** What to fill with, in mode 'constant'. */
  value?: number;
}

interface Border {
  before: number;
  after: number;
}

/** The borders of every axis, the first axis first. */
function borders(shape: Shape, padding: readonly number[]): Border[] {
  return shape.map((_, d) => {
    const at = 2 * (shape.length - 1 - d);
    return { before: padding[at] ?? 0, after: padding[at + 1] ?? 0 };
  });
}

const MODES: readonly string[] = ['constant', 'reflect', 'replicate'] satisfies PadMode[];

function checkPadding(shape: Shape, { padding, mode = 'constant' }: PadOptions): void {
  if (!MODES.includes(mode)) {
    const advice = `Choose one of ${MODES.join(', ')}.`;
    throw new HistogradError('option', `pad: there is no mode '${mode}'.`, advice);
  }
  const pairs = padding.length % 2 === 0 && padding.length <= 2 * shape.length;
  if (!pairs || !padding.every(Number.isInteger)) {
    throw new HistogradError(
      'option',
      `pad: expected whole numbers [before, after] for up to ${shape.length} axes, found [${padding}].`,
      'Give two for each axis, those of the last axis first.',
    );
  }
  borders(shape, padding).forEach(({ before, after }, d) => {
    const n = shape[d]!;
    const most = mode === 'reflect' ? n - 1 : Infinity;
    const inside = before >= 0 && after >= 0 && before <= most && after <= most;
    const fits =
      mode === 'constant'
        ? n + before + after >= 0 && n + before >= 0 && n + after >= 0
        : (before === 0 && after === 0) || (inside && n > 0);
    if (!fits) {
      const range = mode === 'reflect' ? `0 to ${Math.max(n - 1, 0)}` : 'at least 0';
      const expected = mode === 'constant' ? `at most ${n} cropped` : `borders of ${range}`;
      throw shapeError(
        `pad (${mode})`,
        `${expected} along axis ${d} of ${formatShape(shape)}`,
        `[${before}, ${after}]`,
      );
    }
  });
}

/** What remains of x, and where it lies in the padded tensor. */
function overlap(shape: Shape, sides: readonly Border[]) {
  const dims = shape.map(
    (n, d) => n + Math.min(sides[d]!.before, 0) + Math.min(sides[d]!.after, 0),
  );
  const padded = shape.map((n, d) => n + sides[d]!.before + sides[d]!.after);
  return {
    dims,
    inner: sideAt(
      shape,
      sides.map(({ before }) => Math.max(-before, 0)),
    ),
    outer: sideAt(
      padded,
      sides.map(({ before }) => Math.max(before, 0)),
    ),
  };
}

/** Where output p of an axis of n entries reads. */
function source(p: number, n: number, before: number, mode: PadMode): number {
  const at = p - before;
  if (mode === 'replicate') return Math.min(Math.max(at, 0), n - 1);
  if (at < 0) return -at;
  return at < n ? at : 2 * (n - 1) - at;
}

function mappedAxes(shape: Shape, sides: readonly Border[], mode: PadMode): AlongAxis[] {
  return sides.flatMap(({ before, after }, axis) => {
    const n = shape[axis]!;
    if (before === 0 && after === 0) return [];
    const map = axisMap(n, n + before + after, (p) => [[source(p, n, before, mode), 1]]);
    return [{ axis, map }];
  });
}

export const padOp = defineOp<PadOptions>({
  name: 'pad',
  inputs: 'x [...]',
  output: '[...] with the borders added',
  cost: '0',
  shape([x], options) {
    checkPadding(x!, options);
    const sides = borders(x!, options.padding);
    return x!.map((n, d) => n + sides[d]!.before + sides[d]!.after);
  },
  forward([x], { padding, mode = 'constant', value = 0 }, output) {
    const sides = borders(x!.shape, padding);
    if (mode !== 'constant') {
      applyAlong(x!, mappedAxes(x!.shape, sides, mode), output);
      return;
    }
    if (sides.some(({ before, after }) => before > 0 || after > 0)) fill(output, value);
    const { dims, inner, outer } = overlap(x!.shape, sides);
    copyBox(x!, output, { dims, from: inner, to: outer });
  },
  gradient({ grad, inputs: [x], options: { padding, mode = 'constant' } }) {
    const sides = borders(x!.shape, padding);
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'pad gradient');
    if (mode !== 'constant') {
      applyTransposed(grad, mappedAxes(x!.shape, sides, mode), dx);
      return [dx];
    }
    if (sides.some(({ before, after }) => before < 0 || after < 0)) fill(dx, 0);
    const { dims, inner, outer } = overlap(x!.shape, sides);
    copyBox(grad, dx, { dims, from: outer, to: inner });
    return [dx];
  },
});

/**
 * Adds borders (torch.nn.functional.pad). `padding` is [before, after] of the last axis, then of the one before
 * it, and so on; in mode 'constant' (the default, filled with `value`, 0) negative numbers crop. 'reflect' mirrors
 * without repeating the edge, which needs borders shorter than the axis; 'replicate' repeats the edge.
 */
export function pad(
  x: Tensor,
  padding: readonly number[],
  options: Omit<PadOptions, 'padding'> = {},
): Tensor {
  return padOp.apply([x], { padding: [...padding], ...options });
}
