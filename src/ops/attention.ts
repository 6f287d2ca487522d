/**
 * Scaled dot-product attention with online softmax: memory grows with the tokens, not with their square (on CPU rasterisers from
 * 32 MiB of scores on: attention-kernels.ts).
 */
import { accumulate } from '../tensor/accumulate.ts';
import { asOperand, convert, readsHalves, widened } from '../tensor/convert.ts';
import { Tensor } from '../tensor/tensor.ts';
import { additiveBias, tableGradient } from './attention-bias.ts';
import {
  type AttentionOptions,
  type Call,
  type CommonOptions,
  callOf,
  type PackedAttentionOptions,
  type Place,
  packedCallOf,
} from './attention-call.ts';
import type { Operand, Problem } from './attention-dispatch.ts';
import { attendInto, attentionGradients } from './attention-kernels.ts';
import { Aligned, align } from './attention-padding.ts';
import { defineOp, type GradientContext } from './op.ts';
import { reduceSum } from './reduce.ts';

function keyMaskTensor(device: Problem['device'], mask: CommonOptions['keyMask']): Tensor | null {
  if (mask === undefined) return null;
  if (mask instanceof Tensor) return mask.view();
  return Tensor.from(
    device,
    Float32Array.from(mask, (counts) => (counts ? 1 : 0)),
  );
}

function problemOf(
  call: Call,
  table: Tensor | null,
  like: Tensor,
  options: CommonOptions,
): Problem {
  const { device } = like;
  const { sizes } = call;
  const keyMask = keyMaskTensor(device, options.keyMask);
  const values = table && options.biasIndex ? { values: table, index: options.biasIndex } : null;
  const bias = additiveBias(device, { table: values, mask: options.mask ?? null, keyMask }, sizes);
  keyMask?.dispose();
  return {
    device,
    sizes,
    scale: options.scale ?? 1 / Math.sqrt(sizes.width),
    bias,
    offsets: options.segments?.offsets ?? null,
    dropout: options.dropout && options.dropout.p > 0 ? options.dropout : null,
  };
}

type Operands = { q: Tensor; k: Tensor; v: Tensor };

/** Is there no kernel for these operands in float16? It takes heads in whole vec4s. */
function mustWiden({ sizes }: Call, { q }: Operands): boolean {
  const whole = sizes.width % 4 === 0 && sizes.valueWidth % 4 === 0;
  return q.dtype === 'f16' && !(whole && readsHalves(q.device));
}

function widenedOperands({ q, k, v }: Operands, body: (wide: Operands) => void): void {
  widened([q, k, v], ([wideQ, wideK, wideV]) => body({ q: wideQ!, k: wideK!, v: wideV! }));
}

/** Forward; returns the log-sum-exp and the bias, if any, which the gradient needs again. */
function attend(
  call: Call,
  operands: Operands,
  table: Tensor | null,
  options: CommonOptions,
  out: Tensor,
): Tensor[] {
  if (mustWiden(call, operands)) {
    let saved: Tensor[] = [];
    widenedOperands(operands, (wide) => {
      saved = attend(call, wide, table, options, out);
    });
    return saved;
  }
  const problem = problemOf(call, table, out, options);
  const sides = align(call, problem, { ...operands, out });
  const inputs = [sides.q, sides.k, sides.v].map((side) => side.fill().operand);
  const [q, k, v] = inputs as [Operand, Operand, Operand];
  const lse = attendInto(sides.problem, q, k, v, sides.out.operand);
  sides.out.writeBack();
  for (const side of [sides.q, sides.k, sides.v, sides.out]) side.dispose();
  return problem.bias ? [lse, problem.bias.tensor] : [lse];
}

/** Gradients into `into`, and that of the table. */
function differentiate(
  call: Call,
  context: GradientContext<CommonOptions>,
  operands: Operands,
  into: { q: Tensor | null; k: Tensor | null; v: Tensor | null },
  table: Tensor | null,
): Tensor | null {
  const { options, output, grad, saved } = context;
  if (mustWiden(call, operands)) {
    let dtable: Tensor | null = null;
    const rounded = asOperand(grad, operands.q);
    widenedOperands(operands, (wide) => {
      const same = convert(rounded, 'f32', 'rounded gradient');
      dtable = differentiate(call, { ...context, grad: same }, wide, into, table);
      same.dispose();
    });
    rounded.dispose();
    return dtable;
  }
  const [lse, biasTensor] = saved as [Tensor, Tensor | undefined];
  const { device } = grad;
  const { sizes } = call;
  const { batches, heads, queries, keys } = sizes;
  const problem: Problem = {
    device,
    sizes,
    scale: options.scale ?? 1 / Math.sqrt(sizes.width),
    bias: biasTensor
      ? { tensor: biasTensor, dims: biasTensor.shape as [number, number, number, number] }
      : null,
    offsets: options.segments?.offsets ?? null,
    dropout: options.dropout && options.dropout.p > 0 ? options.dropout : null,
  };
  const sides = align(call, problem, { ...operands, out: output });
  const slopes = asOperand(grad, operands.q);
  const rounded = slopes === grad ? grad : convert(slopes, 'f32', 'rounded gradient');
  const dout = new Aligned({ ...call.out, tensor: rounded }, sizes, queries, sizes.valueWidth);
  const inputs = [sides.q, sides.k, sides.v, sides.out, dout];
  for (const side of inputs) side.fill();
  // The table's gradient is read off dq's way: with nobody to take dq, it goes to waste.
  const waste = table && !into.q ? Tensor.empty(device, operands.q.shape, 'f32', 'unused') : null;
  const target = (tensor: Tensor | null, place: Place, rows: number, width: number) =>
    tensor && new Aligned({ ...place, tensor }, sizes, rows, width);
  const dq = target(into.q ?? waste, call.q, queries, sizes.width);
  const dk = target(into.k, call.k, keys, sizes.width);
  const dv = target(into.v, call.v, keys, sizes.valueWidth);
  let summed: Tensor | null = null;
  const addScores = (ds: Tensor) => {
    const part = reduceSum(ds, 0);
    const before = summed;
    summed = before ? accumulate(before, part) : part;
    if (before) for (const tensor of [before, part]) tensor.dispose();
  };
  attentionGradients(
    sides.problem,
    {
      q: sides.q.operand,
      k: sides.k.operand,
      v: sides.v.operand,
      out: sides.out.operand,
      dout: dout.operand,
      slopes: slopes === grad ? dout.operand : { ...call.out, tensor: slopes },
      lse,
    },
    {
      dq: dq?.operand ?? null,
      dk: dk?.operand ?? null,
      dv: dv?.operand ?? null,
      scores: table ? addScores : null,
    },
  );
  for (const side of [dq, dk, dv]) side?.writeBack();
  for (const side of [...inputs, dq, dk, dv]) side?.dispose();
  waste?.dispose();
  if (slopes !== grad) for (const tensor of [slopes, rounded]) tensor.dispose();
  const index = options.biasIndex;
  if (!table || !index) return null;
  const scores = summed ?? Tensor.zeros(device, [heads, queries, keys]);
  const dtable = tableGradient(scores, index, heads);
  scores.dispose();
  return batches > 0 ? dtable : Tensor.zeros(device, dtable.shape);
}

export const attentionOp = defineOp<AttentionOptions>({
  name: 'attention',
  inputs: 'q [B, H, Nq, dh], k [B, H, Nk, dh], v [B, H, Nk, dv], bias table [R, H]?',
  output: '[B, H, Nq, dv]',
  cost: '2·B·H·Nq·Nk·(dh + dv)',
  operands: 3,
  shape: (shapes, options) => callOf(shapes, options).outShape,
  forward(inputs, options, output) {
    const [q, k, v, table] = inputs as [Tensor, Tensor, Tensor, Tensor?];
    const call = callOf(
      inputs.map((t) => t.shape),
      options,
    );
    return attend(call, { q, k, v }, table ?? null, options, output);
  },
  gradient(context) {
    const { inputs, options, needs } = context;
    const [q, k, v, table] = inputs as [Tensor, Tensor, Tensor, Tensor?];
    const call = callOf(
      inputs.map((t) => t.shape),
      options,
    );
    const made = [q, k, v].map((x, i) =>
      needs[i] ? Tensor.empty(x.device, x.shape, 'f32', 'attention gradient') : null,
    );
    const [dq, dk, dv] = made as [Tensor | null, Tensor | null, Tensor | null];
    const wanted = table && needs[3] ? table : null;
    const dtable = differentiate(call, context, { q, k, v }, { q: dq, k: dk, v: dv }, wanted);
    return table ? [dq, dk, dv, dtable] : [dq, dk, dv];
  },
});

export const packedAttentionOp = defineOp<PackedAttentionOptions>({
  name: 'packed-attention',
  inputs: 'qkv [B, N, 3·H·dh], bias table [R, H]?',
  output: '[B, N, H·dh]',
  cost: '4·B·H·N²·dh',
  operands: 1,
  shape: (shapes, options) => packedCallOf(shapes, options).outShape,
  forward(inputs, options, output) {
    const [qkv, table] = inputs as [Tensor, Tensor?];
    const call = packedCallOf(
      inputs.map((t) => t.shape),
      options,
    );
    return attend(call, { q: qkv, k: qkv, v: qkv }, table ?? null, options, output);
  },
  gradient(context) {
    const { inputs, options, needs } = context;
    const [qkv, table] = inputs as [Tensor, Tensor?];
    const call = packedCallOf(
      inputs.map((t) => t.shape),
      options,
    );
    const d = needs[0]
      ? Tensor.empty(qkv.device, qkv.shape, 'f32', 'packed-attention gradient')
      : null;
    const wanted = table && needs[1] ? table : null;
    const operands = { q: qkv, k: qkv, v: qkv };
    const dtable = differentiate(call, context, operands, { q: d, k: d, v: d }, wanted);
    return table ? [d, dtable] : [d];
  },
});

/**
 * softmax(scale · q kᵀ + bias) v for every head, as torch.nn.functional.scaled_dot_product_attention, without the
 * scores ever being stored (FlashAttention-2, Dao 2023). q, k and v may all be float16: scores, sums and result are float32.
 *
 * @param q [B, H, Nq, dh]; with layout 'bnhd' [B, Nq, H, dh]; with segments [total, H, dh]
 * @param k [B, H, Nk, dh] in the same layout
 * @param v [B, H, Nk, dv]
 * @param table trained bias [R, H] (or [H, R]), read through `biasIndex`
 * @returns [B, H, Nq, dv], in the layout of q
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
  table: Tensor | null = null,
): Tensor {
  return attentionOp.apply(table ? [q, k, v, table] : [q, k, v], kept(options));
}

/**
 * Self-attention of queries, keys and values side by side, as one linear layer gives them:
 * qkv [B, N, 3·H·dh] (or [total, 3·H·dh] with segments) to [B, N, H·dh], without a copy on the way.
 */
export function packedAttention(
  qkv: Tensor,
  options: PackedAttentionOptions,
  table: Tensor | null = null,
): Tensor {
  return packedAttentionOp.apply(table ? [qkv, table] : [qkv], kept(options));
}

/** Options that nobody changes before the gradient reads them. */
function kept<O extends CommonOptions>(options: O): O {
  const { keyMask } = options;
  if (keyMask === undefined || keyMask instanceof Tensor) return { ...options };
  return { ...options, keyMask: Array.from(keyMask) };
}
