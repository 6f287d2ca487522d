import code from '../../shaders/unary.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from '../tensor/grid.ts';
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
] as const;

interface Affine {
  scale: number;
  shift: number;
}

function run(
  entry: string,
  op: number,
  x: Tensor,
  dy: Tensor | null,
  out: Tensor,
  affine: Partial<Affine>,
) {
  x.device.run(kernel, entry, {
    buffers: dy
      ? { x: x.buffer, dy: dy.buffer, out: out.buffer }
      : { x: x.buffer, out: out.buffer },
    params: { vecs: Math.ceil(x.size / 4), scale: affine.scale ?? 1, shift: affine.shift ?? 0 },
    ...withOp(x, op),
  });
}

function withOp(x: Tensor, op: number) {
  const { groups, overrides } = elementwisePlan(x.device, x.size);
  return { groups, overrides: { ...overrides, OP: op } };
}

function defineUnary<O extends Partial<Affine>>(name: (typeof UNARY_FUNCTIONS)[number]): Op<O> {
  const op = UNARY_FUNCTIONS.indexOf(name);
  return defineOp<O>({
    name,
    inputs: 'x [...]',
    output: '[...]',
    cost: 'N',
    shape: ([x]) => x!,
    forward: ([x], options, output) => run('forward', op, x!, null, output, options),
    gradient({ grad, inputs: [x], options }) {
      const dx = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      run('backward', op, x!, grad, dx, options);
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
export const affineOp = defineUnary<Affine>('affine');

/** max(x, 0). Gradient 0 at 0. */
export const relu = (x: Tensor) => reluOp.apply([x], {});
/** x Φ(x), the exact form with erf (Hendrycks & Gimpel 2016; PyTorch's default). */
export const gelu = (x: Tensor) => geluOp.apply([x], {});
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
