import { HistogradError } from '../errors.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { type AlongAxis, applyAlong, applyTransposed, axisMap } from './axis-taps.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

export type ResizeMode = 'nearest' | 'bilinear' | 'bicubic';

export interface ResizeOptions {
  /** [height, width] of the result. */
  size?: readonly number[];
  /** Or how much larger it is: one factor, or [vertical, horizontal]. */
  scaleFactor?: number | readonly number[];
  /** 'nearest' unless given, as in PyTorch. */
  mode?: ResizeMode;
  /** The corners' centres stay where they are, rather than their outer edges. Not for 'nearest'. */
  alignCorners?: boolean;
}

/** Bicubic's parameter in PyTorch. */
const A = -0.75;

function factors({ scaleFactor }: ResizeOptions): readonly number[] | null {
  if (scaleFactor === undefined) return null;
  return typeof scaleFactor === 'number' ? [scaleFactor, scaleFactor] : scaleFactor;
}

function outputSize([h, w]: readonly [number, number], options: ResizeOptions): [number, number] {
  const scale = factors(options);
  const size = options.size ?? (scale && [Math.floor(h * scale[0]!), Math.floor(w * scale[1]!)]);
  const given = (options.size === undefined) !== (scale === null);
  const [a, b] = size ?? [];
  const whole = Number.isInteger(a) && Number.isInteger(b) && a! > 0 && b! > 0;
  if (!(given && whole && (scale ?? size)?.length === 2)) {
    throw new HistogradError(
      'option',
      `resize: expected either size or scaleFactor, and a result of at least 1 × 1, found size ${JSON.stringify(options.size)}, scaleFactor ${JSON.stringify(options.scaleFactor)}.`,
      'Give [height, width], or factors that leave at least one pixel.',
    );
  }
  return [a!, b!];
}

const MODES: readonly string[] = ['nearest', 'bilinear', 'bicubic'] satisfies ResizeMode[];

function checkMode({ mode = 'nearest', alignCorners = false }: ResizeOptions): void {
  if (!MODES.includes(mode)) {
    throw new HistogradError(
      'option',
      `resize: there is no mode '${mode}'.`,
      `Choose one of ${MODES.join(', ')}.`,
    );
  }
  if (mode === 'nearest' && alignCorners) {
    throw new HistogradError(
      'option',
      "resize: alignCorners has no meaning in mode 'nearest'.",
      "Leave it out, or use 'bilinear' or 'bicubic'.",
    );
  }
}

/** Weights of the four pixels around a point that lies t behind the second of them (Keys 1981). */
function cubicWeights(t: number): number[] {
  const near = (s: number) => ((A + 2) * s - (A + 3)) * s * s + 1;
  const far = (s: number) => ((A * s - 5 * A) * s + 8 * A) * s - 4 * A;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** Which of n pixels each of m reads, with its weights: the arithmetic of torch.nn.functional.interpolate. */
function interpolation(n: number, m: number, factor: number | null, options: ResizeOptions) {
  const { mode = 'nearest', alignCorners = false } = options;
  const ratio = factor === null ? n / m : 1 / factor;
  if (mode === 'nearest') {
    const rounded = Math.fround(ratio); // PyTorch computes these positions in float32 whatever the data
    const at = (p: number) => Math.min(Math.floor(Math.fround(p * rounded)), n - 1);
    return axisMap(n, m, (p) => [[at(p), 1]]);
  }
  const step = alignCorners ? (n - 1) / Math.max(m - 1, 1) : ratio;
  const inside = (index: number) => Math.min(Math.max(index, 0), n - 1);
  return axisMap(n, m, (p) => {
    const at = alignCorners ? step * p : step * (p + 0.5) - 0.5;
    if (mode === 'bicubic') {
      const first = Math.floor(at) - 1;
      return cubicWeights(at - first - 1).map((weight, i) => [inside(first + i), weight]);
    }
    const bounded = Math.max(at, 0);
    const low = Math.floor(bounded);
    return [
      [inside(low), 1 - (bounded - low)],
      [inside(low + 1), bounded - low],
    ];
  });
}

function steps(shape: Shape, options: ResizeOptions): AlongAxis[] {
  const [h, w] = shape.slice(2) as [number, number];
  const size = outputSize([h, w], options);
  const scale = factors(options);
  return [h, w].map((n, i) => ({
    axis: 2 + i,
    map: interpolation(n, size[i]!, scale?.[i] ?? null, options),
  }));
}

export const resizeOp = defineOp<ResizeOptions>({
  name: 'resize',
  inputs: 'x [N, C, H, W]',
  output: "[N, C, H', W']",
  cost: '8·N (bicubic 16·N)',
  shape([x], options) {
    checkMode(options);
    const [n, c, h, w] = x as [number, number, number, number];
    if (x!.length !== 4 || h === 0 || w === 0) {
      throw shapeError('resize', '[N, C, H, W] with pixels', formatShape(x!));
    }
    return [n, c, ...outputSize([h, w], options)];
  },
  forward: ([x], options, output) => applyAlong(x!, steps(x!.shape, options), output),
  gradient({ grad, inputs: [x], options }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'resize gradient');
    applyTransposed(grad, steps(x!.shape, options), dx);
    return [dx];
  },
});

/**
 * Resamples images x [N, C, H, W] to `size` or by `scaleFactor` (torch.nn.functional.interpolate, without antialias):
 * 'nearest' (the default), 'bilinear' or 'bicubic' (a = −0.75). Rows first, then columns.
 */
export function resize(x: Tensor, options: ResizeOptions): Tensor {
  return resizeOp.apply([x], { ...options });
}
