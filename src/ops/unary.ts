import code from '../../shaders/unary.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
import { bindPart, elementParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, type Op } from './op.ts';

const kernel = defineKernel('unary', code);

/** Numbered as the OP constants of shaders/unary.wgsl. */
const UNARY_FUNCTIONS = [
  'relu',
  'gelu',
  'tanh',
  'sigmoid',
  'exp',
  'log',
  'sqrt',
  'square',
  'affine',
  'leaky-relu',
  'gelu-tanh',
  'silu',
  'hardswish',
  'hardsigmoid',
  'softplus',
  'rsqrt',
  'pow',
  'clamp',
  'abs',
  'erf',
  'lgamma',
  'reciprocal',
  'log1p',
  'expm1',
] as const;

/** What the kernel calls a and b. */
type Constants = readonly [a: number, b: number];

function run(
  entry: string,
  op: number,
  x: Tensor,
  dy: Tensor | null,
  out: Tensor,
  [a, b]: Constants,
) {
  for (const part of elementParts(x.device, x.size)) {
    const bind = (t: Tensor) => bindPart(t, part);
    const { groups, overrides } = elementwisePlan(x.device, part.count);
    x.device.run(kernel, entry, {
      buffers: { x: bind(x), out: bind(out), ...(dy && { dy: bind(dy) }) },
      params: { vecs: Math.ceil(part.count / 4), a, b },
      overrides: { ...overrides, OP: op },
      groups,
    });
  }
}

function defineUnary<O>(
  name: (typeof UNARY_FUNCTIONS)[number],
  constants: (options: O) => Constants = () => [0, 0],
): Op<O> {
  const op = UNARY_FUNCTIONS.indexOf(name);
  return defineOp<O>({
    name,
    inputs: 'x [...]',
    output: '[...]',
    cost: 'N',
    shape: ([x]) => x!,
    forward: ([x], options, output) => run('forward', op, x!, null, output, constants(options)),
    reads: ['inputs'],
    gradient({ grad, inputs: [x], options }) {
      const dx = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      run('backward', op, x!, grad, dx, constants(options));
      return [dx];
    },
  });
}

type None = Record<string, never>;
export const reluOp = defineUnary<None>('relu');
export const geluOp = defineUnary<None>('gelu');
export const tanhOp = defineUnary<None>('tanh');
export const sigmoidOp = defineUnary<None>('sigmoid');
export const expOp = defineUnary<None>('exp');
export const logOp = defineUnary<None>('log');
export const sqrtOp = defineUnary<None>('sqrt');
export const squareOp = defineUnary<None>('square');
export const affineOp = defineUnary<{ scale: number; shift: number }>(
  'affine',
  ({ scale, shift }) => [scale, shift],
);
export const leakyReluOp = defineUnary<{ negativeSlope: number }>(
  'leaky-relu',
  ({ negativeSlope }) => [negativeSlope, 0],
);
export const geluTanhOp = defineUnary<None>('gelu-tanh');
export const siluOp = defineUnary<None>('silu');
export const hardswishOp = defineUnary<None>('hardswish');
export const hardsigmoidOp = defineUnary<None>('hardsigmoid');
export const softplusOp = defineUnary<None>('softplus');
export const rsqrtOp = defineUnary<None>('rsqrt');
export const powOp = defineUnary<{ exponent: number }>('pow', ({ exponent }) => [exponent, 0]);
export const clampOp = defineUnary<ClampOptions>('clamp', ({ min, max }) => [
  min ?? -Infinity,
  max ?? Infinity,
]);
export const absOp = defineUnary<None>('abs');
export const erfOp = defineUnary<None>('erf');
export const lgammaOp = defineUnary<None>('lgamma');
export const reciprocalOp = defineUnary<None>('reciprocal');
export const log1pOp = defineUnary<None>('log1p');
export const expm1Op = defineUnary<None>('expm1');

interface ClampOptions {
  min?: number;
  max?: number;
}

/** max(x, 0). Gradient 0 at 0. */
export const relu = (x: Tensor) => reluOp.apply([x], {});
/** x Φ(x) (Hendrycks & Gimpel 2016): with erf, which is PyTorch's default, or its tanh approximation. */
export const gelu = (x: Tensor, approximate: 'none' | 'tanh' = 'none') =>
  (approximate === 'tanh' ? geluTanhOp : geluOp).apply([x], {});
/** Hyperbolic tangent. */
export const tanh = (x: Tensor) => tanhOp.apply([x], {});
/** 1 / (1 + exp(-x)). */
export const sigmoid = (x: Tensor) => sigmoidOp.apply([x], {});
/** e to the x. */
export const exp = (x: Tensor) => expOp.apply([x], {});
/** Natural logarithm. */
export const log = (x: Tensor) => logOp.apply([x], {});
/** Square root; NaN below 0. */
export const sqrt = (x: Tensor) => sqrtOp.apply([x], {});
/** x². */
export const square = (x: Tensor) => squareOp.apply([x], {});
/** x · scale + shift, with constants. */
export const affine = (x: Tensor, scale: number, shift = 0) =>
  affineOp.apply([x], { scale, shift });
/** −x. */
export const neg = (x: Tensor) => affine(x, -1);
/** x, times `negativeSlope` below 0. The gradient at 0 is that slope. */
export const leakyRelu = (x: Tensor, negativeSlope = 0.01) =>
  leakyReluOp.apply([x], { negativeSlope });
/** x · sigmoid(x), also called swish. */
export const silu = (x: Tensor) => siluOp.apply([x], {});
/** x · hardsigmoid(x) (Howard et al. 2019). */
export const hardswish = (x: Tensor) => hardswishOp.apply([x], {});
/** min(max(x + 3, 0), 6) / 6. */
export const hardsigmoid = (x: Tensor) => hardsigmoidOp.apply([x], {});
/** log(1 + exp(x)), without overflow. */
export const softplus = (x: Tensor) => softplusOp.apply([x], {});
/** 1 / √x. */
export const rsqrt = (x: Tensor) => rsqrtOp.apply([x], {});
/** x to a constant power, as torch.pow: x below 0 needs a whole exponent (else NaN), 0⁰ is 1. */
export const pow = (x: Tensor, exponent: number) => powOp.apply([x], { exponent });
/** min(max(x, min), max), either of them optional. The gradient is 1 from min to max, both included, else 0. */
export function clamp(x: Tensor, min?: number, max?: number): Tensor {
  if ((min === undefined && max === undefined) || Number.isNaN(min) || Number.isNaN(max)) {
    throw new HistogradError(
      'option',
      `clamp: expected a minimum or a maximum, found ${min} and ${max}.`,
      'Give at least one of the two, as a number.',
    );
  }
  return clampOp.apply([x], {
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
  });
}
/** |x|. Gradient 0 at 0. */
export const abs = (x: Tensor) => absOp.apply([x], {});
/** The error function 2/√π ∫₀ˣ exp(−t²) dt. */
export const erf = (x: Tensor) => erfOp.apply([x], {});
/** log Γ(x) for x ≥ 0 (NaN below); its gradient is digamma(x). */
export const lgamma = (x: Tensor) => lgammaOp.apply([x], {});
/** 1 / x. */
export const reciprocal = (x: Tensor) => reciprocalOp.apply([x], {});
/** log(1 + x), exact near 0. */
export const log1p = (x: Tensor) => log1pOp.apply([x], {});
/** exp(x) − 1, exact near 0. */
export const expm1 = (x: Tensor) => expm1Op.apply([x], {});
