/** What attention is asked for: its options, and the shapes and strides of a call. */
import { HistogradError } from '../errors.ts';
import type { Draw } from '../tensor/random.ts';
import type { Segments } from '../tensor/segments.ts';
import { type Shape, sameShape, sizeOf, Tensor } from '../tensor/tensor.ts';
import type { BiasIndex } from './attention-bias.ts';
import type { Operand, Sizes } from './attention-dispatch.ts';
import { formatShape, formatShapes, shapeError } from './op.ts';

/** How operands lie: heads before tokens (PyTorch's scaled_dot_product_attention), or tokens before heads. */
export type AttentionLayout = 'bhnd' | 'bnhd';

export interface CommonOptions {
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
export type Place = Omit<Operand, 'tensor'>;

/** The shapes of a call, found out once. */
export interface Call {
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

function checkKeyMask(name: string, keyMask: CommonOptions['keyMask'], shape: Shape): void {
  if (keyMask instanceof Tensor) {
    if (sameShape(keyMask.shape, shape)) return;
    throw shapeError(name, `a key mask ${formatShape(shape)}`, formatShape(keyMask.shape));
  }
  if (keyMask && keyMask.length !== sizeOf(shape)) {
    throw shapeError(name, `a key mask of ${shape.join(' · ')} entries`, `${keyMask.length}`);
  }
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
  checkKeyMask(name, keyMask, segments ? [keys] : [batches, keys]);
  for (const tensor of [mask, keyMask]) {
    if (tensor instanceof Tensor && tensor.dtype !== 'f32') {
      throw new HistogradError(
        'dtype',
        `${name}: expected float32 masks, found ${tensor.dtype}.`,
        'Convert the mask to float32.',
      );
    }
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

export function callOf([q, k, v, table]: readonly Shape[], options: AttentionOptions): Call {
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

export function packedCallOf(
  [qkv, table]: readonly Shape[],
  options: PackedAttentionOptions,
): Call {
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
