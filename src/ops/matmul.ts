import { asOperand } from '../tensor/convert.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { multiplyInto, type Product } from './matmul-kernels.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';

export interface MatmulOptions {
  transposeA: boolean;
  transposeB: boolean;
}

/** Sizes of op(a) op(b) for matrices, or batches of them with equal batch. */
function productOf(a: Shape, b: Shape, { transposeA, transposeB }: MatmulOptions): Product {
  const rankFits = a.length === b.length && (a.length === 2 || a.length === 3);
  const [am, ak] = a.slice(-2) as [number, number];
  const [bk, bn] = b.slice(-2) as [number, number];
  const [m, k] = transposeA ? [ak, am] : [am, ak];
  const [k2, n] = transposeB ? [bn, bk] : [bk, bn];
  const batch = a.length === 3 ? a[0]! : 1;
  if (!rankFits || k !== k2 || (a.length === 3 && b[0] !== batch)) {
    const flags = `${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`;
    throw shapeError(
      'matmul',
      `[M, K] and [K, N] (or a batch of each)${flags}`,
      formatShapes([a, b]),
    );
  }
  return { batch, m, n, k, transposeA, transposeB };
}

/** A product outside the tape. */
function product(a: Tensor, b: Tensor, options: MatmulOptions): Tensor {
  const p = productOf(a.shape, b.shape, options);
  const shape = a.rank === 3 ? [p.batch, p.m, p.n] : [p.m, p.n];
  const out = Tensor.empty(a.device, shape, 'f32', 'matmul gradient');
  multiplyInto(a, b, null, out, p);
  return out;
}

export const matmulOp = defineOp<MatmulOptions>({
  name: 'matmul',
  inputs: 'a [B?, M, K], b [B?, K, N]',
  output: '[B?, M, N]',
  cost: '2·B·M·N·K',
  operands: 2,
  reads: ['inputs'],
  shape([a, b], options) {
    const { batch, m, n } = productOf(a!, b!, options);
    return a!.length === 3 ? [batch, m, n] : [m, n];
  },
  forward([a, b], options, output) {
    multiplyInto(a!, b!, null, output, productOf(a!.shape, b!.shape, options));
  },
  gradient({ grad, inputs, options: { transposeA, transposeB }, needs }) {
    const [a, b] = inputs as [Tensor, Tensor];
    const dc = asOperand(grad, a);
    // dA = dC op(B)ᵀ and dB = op(A)ᵀ dC; where an operand is stored transposed, so is its gradient.
    const da = () =>
      transposeA
        ? product(b, dc, { transposeA: transposeB, transposeB: true })
        : product(dc, b, { transposeA: false, transposeB: !transposeB });
    const db = () =>
      transposeB
        ? product(dc, a, { transposeA: true, transposeB: transposeA })
        : product(a, dc, { transposeA: !transposeA, transposeB: false });
    return [needs[0] ? da() : null, needs[1] ? db() : null];
  },
});

export const linearOp = defineOp<Record<string, never>>({
  name: 'linear',
  inputs: 'x [..., in], weight [out, in], bias [out]?',
  output: '[..., out]',
  cost: '2·N·in·out',
  operands: 2,
  reads: ['inputs'],
  shape([x, weight, bias]) {
    const fits = weight!.length === 2 && x!.length >= 1 && x!.at(-1) === weight![1];
    if (!fits || (bias && (bias.length !== 1 || bias[0] !== weight![0]))) {
      const found = formatShapes([x!, weight!, ...(bias ? [bias] : [])]);
      throw shapeError('linear', 'x [..., in], weight [out, in], bias [out]', found);
    }
    return [...x!.slice(0, -1), weight![0]!];
  },
  forward([x, weight, bias], _, output) {
    const { rows: m, n: k } = asRows(x!.shape);
    const n = weight!.shape[0]!;
    const sizes = { batch: 1, m, n, k, transposeA: false, transposeB: true };
    multiplyInto(x!, weight!, bias ?? null, output, sizes);
  },
  gradient({ grad, inputs: [x, weight, bias], needs }) {
    const { rows: m, n: k } = asRows(x!.shape);
    const n = weight!.shape[0]!;
    const sums = grad.view([m, n]);
    const dy = asOperand(sums, weight!);
    const dx = needs[0] ? product(dy, weight!, { transposeA: false, transposeB: false }) : null;
    const dw = needs[1]
      ? product(dy, x!.view([m, k]), { transposeA: true, transposeB: false })
      : null;
    const db = bias ? [needs[2] ? reduceSum(sums, 0) : null] : [];
    return [dx?.view(x!.shape) ?? null, dw, ...db];
  },
});

/**
 * op(a) op(b) for matrices [M, K] · [K, N], or batches [B, M, K] · [B, K, N]; options say which is stored transposed.
 * Operands may both be float16: sums and result are float32.
 */
export function matmul(a: Tensor, b: Tensor, options: Partial<MatmulOptions> = {}): Tensor {
  return matmulOp.apply([a, b], { transposeA: false, transposeB: false, ...options });
}

/**
 * x Wᵀ + b: x [..., in], weight [out, in], bias [out] or none, to [..., out]. x and weight may both be float16: sums, bias
 * and result are float32.
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearOp.apply(bias ? [x, weight, bias] : [x, weight], {});
}
