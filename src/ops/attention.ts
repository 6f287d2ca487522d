/** Scaled dot-product attention with online softmax: memory grows with the tokens, not with their square. */
import { HistogradError } from '../errors.ts';
import { accumulate } from '../tensor/accumulate.ts';
import type { Draw } from '../tensor/random.ts';
import type { Segments } from '../tensor/segments.ts';
import { type Shape, sameShape, Tensor } from '../tensor/tensor.ts';
import { additiveBias, type BiasIndex, tableGradient } from './attention-bias.ts';
import {
  attendInto,
  attentionGradients,
  type Operand,
  type Problem,
  type Sizes,
} from './attention-kernels.ts';
import { defineOp, formatShape, formatShapes, type GradientContext, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';
import { contiguousStrides, copyBox } from './strided-copy.ts';

/** How operands lie: heads before tokens (PyTorch's scaled_dot_product_attention), or tokens before heads. */
export type AttentionLayout = 'bhnd' | 'bnhd';

interface CommonOptions {
  /** Of the scores; 1 / √dh without it. */
  scale?: number;
  /** [B, Nk] (or [total] with segments): 0 where a key does not count. A query without any key gives 0, and no gradient. */
  keyMask?: ArrayLike<number | boolean> | Tensor;
  /** Constants [W, Nq, Nk] added to the scores of all heads; batch b takes b mod W (Swin's shifted windows). */
  mask?: Tensor;
  /** Which row of the bias table belongs to each query and key. */
  biasIndex?: BiasIndex;
  /** Bags of a packed input: each attends within itself. */
  segments?: Segments;
  /** Dropout of the probabilities. */
  dropout?: Draw & { readonly p: number };
}

export interface AttentionOptions extends CommonOptions {
  /** 'bhnd' without it; with segments the operands are [total, H, d] always. */
  layout?: AttentionLayout;
}

export interface PackedAttentionOptions extends CommonOptions {
  heads: number;
}

/** Where an operand's rows lie, before there is a tensor. */
type Place = Omit<Operand, 'tensor'>;

/** The shapes of a call, found out once. */
interface Call {
  readonly sizes: Sizes;
  readonly q: Place;
  readonly k: Place;
  readonly v: Place;
  readonly out: Place;
  readonly outShape: Shape;
}

function badOption(name: string, problem: string, advice: string): HistogradError {
  return new HistogradError('option', `${name}: ${problem}.`, advice);
}

/** Checks what both operations take besides their operands. */
function checkCommon(
  name: string,
  { batches, heads, queries, keys }: Sizes,
  table: Shape | undefined,
  options: CommonOptions,
): void {
  const { biasIndex, mask, keyMask, segments, dropout, scale } = options;
  if (Boolean(table) !== Boolean(biasIndex)) {
    throw badOption(name, 'a bias table and its index come together', 'Give both, or neither.');
  }
  if (table && biasIndex) {
    const expected = biasIndex.tableShape(heads);
    const indexed = biasIndex.queries === queries && biasIndex.keys === keys;
    if (!sameShape(table, expected) || !indexed) {
      throw shapeError(
        name,
        `a bias table ${formatShape(expected)} for ${biasIndex.queries} queries and ${biasIndex.keys} keys`,
        `${formatShape(table)} for ${queries} and ${keys}`,
      );
    }
  }
  if (segments && (table || mask)) {
    throw badOption(
      name,
      'segments have no bias table and no window mask',
      'Mask keys by keyMask, or attend to each bag by its own call.',
    );
  }
  if (mask && (mask.rank !== 3 || mask.shape[1] !== queries || mask.shape[2] !== keys)) {
    throw shapeError(name, `a mask [W, ${queries}, ${keys}]`, formatShape(mask.shape));
  }
  if (mask && mask.shape[0] === 0) throw shapeError(name, 'at least one window mask', 'none');
  const counted = keyMask instanceof Tensor ? keyMask.size : keyMask?.length;
  if (counted !== undefined && counted !== batches * keys) {
    throw shapeError(name, `a key mask of ${batches} · ${keys} entries`, `${counted}`);
  }
  if (dropout && !(dropout.p >= 0 && dropout.p < 1)) {
    throw badOption(name, `p must be in [0, 1), found ${dropout.p}`, 'Choose a smaller p.');
  }
  if (scale !== undefined && !Number.isFinite(scale)) {
    throw badOption(name, `scale must be finite, found ${scale}`, 'Leave it out for 1 / √dh.');
  }
}

/** Strides of [B, H, N, d] or [B, N, H, d]. */
function placed(layout: AttentionLayout, heads: number, rows: number, width: number): Place {
  const batch = heads * rows * width;
  return layout === 'bhnd'
    ? { start: 0, batch, head: rows * width, row: width }
    : { start: 0, batch, head: width, row: heads * width };
}

function callOf([q, k, v, table]: readonly Shape[], options: AttentionOptions): Call {
  const { segments } = options;
  const layout = segments ? 'bnhd' : (options.layout ?? 'bhnd');
  const full = (s: Shape) => (segments ? [1, ...s] : s);
  const [fq, fk, fv] = [full(q!), full(k!), full(v!)];
  const [h, n] = layout === 'bhnd' ? [1, 2] : [2, 1];
  const expected = segments
    ? `q, k [${segments.total}, H, dh] and v [${segments.total}, H, dv]`
    : layout === 'bhnd'
      ? 'q [B, H, Nq, dh], k [B, H, Nk, dh] and v [B, H, Nk, dv]'
      : 'q [B, Nq, H, dh], k [B, Nk, H, dh] and v [B, Nk, H, dv]';
  const fits =
    [fq, fk, fv].every((s) => s.length === 4 && s[0] === fq[0] && s[h] === fq[h] && s[3]! > 0) &&
    fk[n] === fv[n] &&
    fq[3] === fk[3] &&
    (!segments || (fq[1] === segments.total && fk[1] === segments.total));
  if (!fits) throw shapeError('attention', expected, formatShapes([q!, k!, v!]));
  const sizes = {
    batches: fq[0]!,
    heads: fq[h]!,
    queries: fq[n]!,
    keys: fk[n]!,
    width: fq[3]!,
    valueWidth: fv[3]!,
  };
  checkCommon('attention', sizes, table, options);
  const { heads, queries, keys, width, valueWidth } = sizes;
  return {
    sizes,
    q: placed(layout, heads, queries, width),
    k: placed(layout, heads, keys, width),
    v: placed(layout, heads, keys, valueWidth),
    out: placed(layout, heads, queries, valueWidth),
    outShape: [...q!.slice(0, -1), valueWidth],
  };
}

function packedCallOf([qkv, table]: readonly Shape[], options: PackedAttentionOptions): Call {
  const { segments, heads } = options;
  const [batches, tokens, three] = (segments ? [1, ...qkv!] : qkv!) as [number, number, number];
  const fits = qkv!.length === (segments ? 2 : 3) && three > 0 && three % (3 * heads) === 0;
  if (!Number.isInteger(heads) || heads < 1 || !fits || (segments && tokens !== segments.total)) {
    const expected = segments
      ? `[${segments.total}, 3 · ${heads} · dh]`
      : `[B, N, 3 · ${heads} · dh]`;
    throw shapeError('packed-attention', expected, formatShape(qkv!));
  }
  const all = three / 3;
  const width = all / heads;
  const sizes = { batches, heads, queries: tokens, keys: tokens, width, valueWidth: width };
  checkCommon('packed-attention', sizes, table, options);
  const third = (i: number) => ({ start: i * all, batch: tokens * three, head: width, row: three });
  return {
    sizes,
    q: third(0),
    k: third(1),
    v: third(2),
    out: placed('bnhd', heads, tokens, width),
    outShape: [...qkv!.slice(0, -1), all],
  };
}

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

const upTo4 = (n: number) => 4 * Math.ceil(n / 4);

/**
 * The kernels walk vec4s: heads whose width is not a multiple of 4 are copied to where it is, filled up with
 * zeros, which change no score.
 */
class Aligned {
  readonly operand: Operand;
  readonly #original: Operand;
  readonly #dims: readonly [batches: number, heads: number, rows: number, width: number];

  constructor(original: Operand, { batches, heads }: Sizes, rows: number, width: number) {
    this.#original = original;
    this.#dims = [batches, heads, rows, width];
    if (width % 4 === 0) {
      this.operand = original;
      return;
    }
    const shape = [batches, heads, rows, upTo4(width)];
    const [batch, head, row] = contiguousStrides(shape) as [number, number, number, number];
    const tensor = Tensor.zeros(original.tensor.device, shape);
    this.operand = { tensor, start: 0, batch, head, row };
  }

  get #copied(): boolean {
    return this.operand !== this.#original;
  }

  fill(): this {
    if (this.#copied) this.#copy(this.#original, this.operand);
    return this;
  }

  writeBack(): void {
    if (this.#copied) this.#copy(this.operand, this.#original);
  }

  dispose(): void {
    if (this.#copied) this.operand.tensor.dispose();
  }

  #copy(from: Operand, to: Operand): void {
    const at = ({ batch, head, row, start }: Operand) => ({
      strides: [batch, head, row, 1],
      start,
    });
    copyBox(from.tensor, to.tensor, { dims: this.#dims, from: at(from), to: at(to) });
  }
}

/** The four operands of a call, aligned; and the problem in aligned widths. */
function align(
  call: Call,
  problem: Problem,
  tensors: { q: Tensor; k: Tensor; v: Tensor; out: Tensor },
) {
  const { sizes } = call;
  const { queries, keys, width, valueWidth } = sizes;
  return {
    problem: {
      ...problem,
      sizes: { ...sizes, width: upTo4(width), valueWidth: upTo4(valueWidth) },
    },
    q: new Aligned({ ...call.q, tensor: tensors.q }, sizes, queries, width),
    k: new Aligned({ ...call.k, tensor: tensors.k }, sizes, keys, width),
    v: new Aligned({ ...call.v, tensor: tensors.v }, sizes, keys, valueWidth),
    out: new Aligned({ ...call.out, tensor: tensors.out }, sizes, queries, valueWidth),
  };
}

type Operands = { q: Tensor; k: Tensor; v: Tensor };

/** Forward; returns the log-sum-exp and the bias, if any, which the gradient needs again. */
function attend(
  call: Call,
  operands: Operands,
  table: Tensor | null,
  options: CommonOptions,
  out: Tensor,
) {
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
  const dout = new Aligned({ ...call.out, tensor: grad }, sizes, queries, sizes.valueWidth);
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
 * scores ever being stored (FlashAttention-2, Dao 2023).
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
