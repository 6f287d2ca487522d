/**
 * A head over tokens with HE2RNA's pooling behind it, gene by gene. The scores of all genes would not fit anywhere (399 MB
 * for 31,793 genes, 49 tokens and 64 bags), so they exist for a chunk of genes at a time, and once more in the backward pass.
 */
import { Tensor } from '../tensor/tensor.ts';
import { permute } from './layout.ts';
import { linear } from './matmul.ts';
import { multiplyInto } from './matmul-kernels.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';
import { copyBox } from './strided-copy.ts';
import { checkK, checkMask, rankWeights, type TopKMeanOptions, topKMean } from './top-k.ts';
import { LONGEST_RANKED_ROW, rankMeanGradient, rankMeanInto } from './top-k-kernels.ts';

/** Bytes of scores that exist at once. */
const CHUNK_BYTES = 16 * 2 ** 20;

interface Chunk {
  /** The first gene. */
  start: number;
  count: number;
}

/** Chunks begin at multiples of 64 genes: aligned for every kernel. */
function chunksOf(x: Tensor, genes: number): Chunk[] {
  const bytes = 4 * x.shape[0]! * x.shape[1]!;
  const most = Math.min(CHUNK_BYTES, x.device.bindingBytes) / Math.max(bytes, 1);
  const size = Math.max(64, 64 * Math.floor(most / 64));
  return Array.from({ length: Math.ceil(genes / size) }, (_, i) => ({
    start: i * size,
    count: Math.min(size, genes - i * size),
  }));
}

/** Copies a chunk out of, or into, a vector with one element per gene. */
function copyChunk(source: Tensor, out: Tensor, count: number, start: number, to: number): void {
  const dims = [count];
  copyBox(source, out, { dims, from: { strides: [1], start }, to: { strides: [1], start: to } });
}

/** x [B, T, d] times a chunk of the weight's rows, plus its bias: [B, T, count]. */
function scoresOf(x: Tensor, weight: Tensor, bias: Tensor, { start, count }: Chunk): Tensor {
  const [bags, tokens, d] = x.shape as [number, number, number];
  const scores = Tensor.empty(x.device, [bags, tokens, count], 'f32', 'scores of a chunk of genes');
  const part = Tensor.empty(x.device, [count], 'f32', 'bias of a chunk of genes');
  copyChunk(bias, part, count, start, 0);
  const flags = { batch: 1, transposeA: false, transposeB: true };
  const sizes = { ...flags, m: bags * tokens, n: count, k: d };
  multiplyInto(x, { tensor: weight, start: start * d }, part, scores, sizes);
  part.dispose();
  return scores;
}

export const linearTopKMeanOp = defineOp<TopKMeanOptions>({
  name: 'linear-top-k-mean',
  inputs: 'x [B, T, d], weight [G, d], bias [G]',
  output: '[B, G]',
  cost: '2·B·T·d·G + B·G·T²',
  shape([x, weight, bias], { ks, mask }) {
    const [bags, tokens, d] = x as [number, number, number];
    const fits = x!.length === 3 && weight!.length === 2 && bias!.length === 1;
    if (!fits || weight![1] !== d || bias![0] !== weight![0]) {
      const expected = 'x [B, T, d], weight [G, d] and bias [G]';
      throw shapeError('linear-top-k-mean', expected, formatShapes([x!, weight!, bias!]));
    }
    checkK('linear-top-k-mean', [tokens], ks);
    if (mask) checkMask('linear-top-k-mean', mask, bags, tokens);
    return [bags, weight![0]!];
  },
  forward(inputs, options, output) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
    const { device } = x;
    const [bags, tokens] = x.shape as [number, number];
    const ones = () => Tensor.from(device, new Float32Array(bags * tokens).fill(1), [bags, tokens]);
    const mask = options.mask ?? ones();
    const weights = rankWeights(device, [bags, tokens], { ...options, mask });
    if (output.size === 0) return [mask, weights];
    for (const chunk of chunksOf(x, weight.shape[0]!)) {
      const scores = scoresOf(x, weight, bias, chunk);
      rankMeanInto({ scores, mask, weights }, output, chunk.start);
      scores.dispose();
    }
    return [mask, weights];
  },
  gradient({ grad, inputs, saved, needs }) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
    const [mask, weights] = saved as [Tensor, Tensor];
    const { device } = x;
    const [bags, tokens, d] = x.shape as [number, number, number];
    const gradientOf = (of: Tensor, i: number) =>
      needs[i] ? Tensor.empty(device, of.shape, 'f32', 'linear-top-k-mean gradient') : null;
    const [dx, dw, db] = [gradientOf(x, 0), gradientOf(weight, 1), gradientOf(bias, 2)];
    if (grad.size === 0) {
      for (const empty of [dx, dw, db]) if (empty) device.clear(empty.buffer);
      return [dx, dw, db];
    }
    const flags = { batch: 1, transposeA: false, transposeB: false };
    const m = bags * tokens;
    for (const chunk of chunksOf(x, weight.shape[0]!)) {
      const { start, count } = chunk;
      const scores = scoresOf(x, weight, bias, chunk);
      const ds = rankMeanGradient({ scores, mask, weights }, grad, start);
      scores.dispose();
      const rows = (tensor: Tensor) => ({ tensor, start: start * d });
      if (dx) {
        const sizes = { ...flags, m, n: d, k: count, accumulate: start > 0 };
        multiplyInto(ds, rows(weight), null, dx, sizes);
      }
      if (dw) {
        const sizes = { ...flags, m: count, n: d, k: m, transposeA: true };
        multiplyInto(ds, x, null, rows(dw), sizes);
      }
      if (db) {
        const flat = ds.view([m, count]);
        const sums = reduceSum(flat, 0);
        copyChunk(sums, db, count, 0, start);
        flat.dispose();
        sums.dispose();
      }
      ds.dispose();
    }
    return [dx, dw, db];
  },
});

/**
 * HE2RNA's head and pooling in one (Schmauch et al. 2020; tRNAsformer uses the same): scores s = (x Wᵀ + b) · mask of T tokens for G
 * genes, and of each gene the mean over its k largest, averaged over `ks` (see `topKMean`). x [B, T, d], weight [G, d],
 * bias [G], mask [B, T] or none, to [B, G].
 *
 * Up to 256 tokens the scores [B, T, G] never exist at once. Beyond (HE2RNA on whole slides: 8,000 tiles, few genes)
 * they do, because rows that long are sorted.
 */
export function linearTopKMean(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  options: TopKMeanOptions,
): Tensor {
  const tokens = x.shape[1] ?? 0;
  if (tokens <= LONGEST_RANKED_ROW) {
    return linearTopKMeanOp.apply([x, weight, bias], { ...options, ks: [...options.ks] });
  }
  return topKMean(permute(linear(x, weight, bias), [0, 2, 1]), options);
}
