/** The largest elements along the last axis, and means of them (HE2RNA's pooling). */
import { autocast } from '../autograd/autocast.ts';
import { noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { scope } from '../tensor/scope.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { add, div, mul } from './binary.ts';
import { reshape, slice } from './layout.ts';
import { matmul } from './matmul.ts';
import { formatShape, shapeError } from './op.ts';
import { sum } from './reduce.ts';
import { putAlongRows, takeAlongRows } from './take-along-rows.ts';
import { activeRowsOf, topKIndices } from './top-k-kernels.ts';
import { affine, relu } from './unary.ts';

export interface TopK {
  /** [..., k], descending. Their gradients go to the elements they were. */
  readonly values: Tensor;
  /** u32 [..., k]: where they stood. */
  readonly indices: Tensor;
}

export interface TopKMeanOptions {
  /** The mean over the k largest is averaged over these k. */
  readonly ks: readonly number[];
  /** [B, n], 1 for valid positions, 0 for padding, which stands last; without it all are valid. No gradient. */
  readonly mask?: Tensor | null;
}

/**
 * The k largest elements along the last axis of x [..., n] (torch.topk): values sorted descending, and their indices. Of
 * equal elements the one at the lowest index comes first; a NaN is larger than everything.
 */
export function topK(x: Tensor, k: number): TopK {
  checkK('topK', x.shape, [k]);
  const indices = topKIndices(x, k);
  return { values: takeAlongRows(x, indices), indices };
}

/** 1 where an element is among the k largest of its row of x [..., n], else 0; no gradient. Ties as in `topK`. */
export function topKMask(x: Tensor, k: number): Tensor {
  checkK('topKMask', x.shape, [k]);
  return putAlongRows(null, topKIndices(x, k), x.shape.at(-1)!);
}

/**
 * HE2RNA's pooling (Schmauch et al. 2020, `forward_fixed_k`) along the last axis: x [B, ..., n] to [B, ...]. With
 * s = x · mask sorted descending, Σ_{j<k} s_j · mask_j / Σ_{j<k} mask_j, averaged over `ks`. The mask is indexed by the
 * rank j, as in the original: valid positions stand first. A row without any gives 0.
 */
export function topKMean(x: Tensor, options: TopKMeanOptions): Tensor {
  checkK('topKMean', x.shape, options.ks);
  const lead = x.shape.slice(0, -1);
  const [bags, n] = [lead[0] ?? 1, x.shape.at(-1)!];
  const flat = reshape(x, [bags, sizeOf(lead.slice(1)), n]);
  const { mask } = options;
  if (mask) checkMask('topKMean', mask, bags, n);
  const weights = rankWeights(x.device, [mask ? bags : 1, n], options);
  const [rows, most] = weights.shape as [number, number];
  const scores = mask ? mul(flat, mask.view([bags, 1, n])) : flat;
  const { values } = topK(scores, most);
  return reshape(sum(mul(values, weights.view([rows, 1, most])), 2), lead);
}

/**
 * 1 for each row of x [..., d] with an element above 0, else 0: [...]. HE2RNA's mask of padded tiles; no gradient.
 */
export function activeRows(x: Tensor): Tensor {
  if (x.rank === 0) throw shapeError('activeRows', 'at least one dimension', formatShape(x.shape));
  return activeRowsOf(x);
}

/** A mask [B, n] of rows with `counts[b]` valid positions at their beginning. */
export function paddingMask(device: Device, counts: ArrayLike<number>, n: number): Tensor {
  const mask = new Float32Array(counts.length * n);
  for (let b = 0; b < counts.length; b++) {
    const count = counts[b]!;
    if (!Number.isInteger(count) || count < 0 || count > n) {
      throw new HistogradError(
        'option',
        `paddingMask: expected counts from 0 to ${n}, found ${count} (entry ${b}).`,
        'Give the number of valid positions of each row.',
      );
    }
    mask.fill(1, b * n, b * n + count);
  }
  return Tensor.from(device, mask, [counts.length, n]);
}

/** What the score of each rank counts: mask_j · mean over k of [j < k] / Σ_{i<k} mask_i, as [B, max k]. */
export function rankWeights(
  device: Device,
  [rows, n]: readonly [number, number],
  { ks, mask }: TopKMeanOptions,
): Tensor {
  const weigh = () => {
    const valid = mask ?? Tensor.from(device, new Float32Array(rows * n).fill(1), [rows, n]);
    const within = Float32Array.from({ length: n * ks.length }, (_, i) =>
      Math.floor(i / ks.length) < ks[i % ks.length]! ? 1 : 0,
    );
    const counted = Tensor.from(device, within, [n, ks.length]);
    const counts = matmul(valid, counted);
    const atLeastOne = add(counts, relu(affine(counts, -1, 1)));
    const share = div(Tensor.scalar(device, 1 / ks.length), atLeastOne);
    const all = mul(valid, matmul(share, counted, { transposeB: true }));
    return slice(all, 1, 0, Math.max(...ks));
  };
  return noGrad(() => autocast(() => scope(weigh), false));
}

export function checkK(name: string, shape: Shape, ks: readonly number[]): void {
  const n = shape.at(-1);
  if (n === undefined) throw shapeError(name, 'at least one dimension', formatShape(shape));
  const least = name === 'topK' || name === 'topKMask' ? 0 : 1;
  const wrong = ks.findIndex((k) => !Number.isInteger(k) || k < least || k > n);
  if (wrong < 0 && ks.length > 0) return;
  throw new HistogradError(
    'option',
    `${name}: expected k from ${least} to ${n}, the length of the rows, found ${wrong < 0 ? 'none' : ks[wrong]}.`,
    'Give whole numbers in that range.',
  );
}

export function checkMask(name: string, mask: Tensor, bags: number, n: number): void {
  if (mask.rank === 2 && mask.shape[0] === bags && mask.shape[1] === n) return;
  throw shapeError(name, `a mask [${bags}, ${n}]`, formatShape(mask.shape));
}
