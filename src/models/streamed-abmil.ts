/**
 * Direct-ABMIL on slides of any size: the patches come in pieces, and memory on the GPU is that of one piece.
 *
 * Attention pooling of a bag is the mean of its pieces' poolings z_c weighted by exp(lse_c − lse), where lse_c is the
 * log-sum-exp of a piece's scores (the online softmax of Milakov & Gimelshein 2018). A training step goes through the
 * pieces twice: first for lse and z; then, with dz known from the head, each piece is computed again and differentiated.
 */
import { autocast } from '../autograd/autocast.ts';
import { Parameter } from '../autograd/parameter.ts';
import { backward, backwardFrom, noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { mul, sub } from '../ops/binary.ts';
import { mse } from '../ops/mse.ts';
import { segmentSoftmax, segmentSum, segmentWeightedSum } from '../ops/segment.ts';
import { affine, exp } from '../ops/unary.ts';
import type { GradScaler } from '../optim/grad-scaler.ts';
import { keep, scope } from '../tensor/scope.ts';
import { Segments } from '../tensor/segments.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { DirectAbmil } from './direct-abmil.ts';
import type { Prediction } from './model.ts';

/**
 * Starts to give the features of one slide, piece by piece: rows [n, d] in row-major order, any n from 1 up. A training
 * step asks twice, and must be given the same pieces.
 */
export type FeaturePieces = () => Iterable<Float32Array> | AsyncIterable<Float32Array>;

/** How a slide counts in a step, and who watches. */
export interface StreamedOptions {
  /** On the loss and its gradient: 1 / B for a slide that is one of B in a step. Default 1. */
  readonly share?: number;
  /** Mixed precision: products in float16 (`autocast`), and gradients of the scaled loss. Default: float32. */
  readonly scaler?: GradScaler | null;
  /** Called when most memory is in use: after each piece's backward pass. */
  readonly onPiece?: () => void;
}

/**
 * Loss of one slide, its gradient added to `grad` of the parameters, as `backward(model.loss(…))` of the whole slide
 * would; only dropout, where there is any, draws otherwise, piece by piece. Costs a third more than with the whole slide on the GPU.
 *
 * @param targets [1, G]
 * @returns the loss, times `share`
 * @throws HistogradError `shape` for pieces that are no rows of the model's width, none at all, or others the second time
 */
export async function streamedBackward(
  model: DirectAbmil,
  pieces: FeaturePieces,
  targets: Tensor,
  options: StreamedOptions = {},
): Promise<number> {
  const { scaler = null } = options;
  const { generator } = model;
  const start = generator.offset;
  const { pooled, logSumExp, sizes } = await pool(model, pieces, targets.device, scaler !== null);
  const end = generator.offset;

  const z = Parameter.of(keep(Tensor.from(targets.device, pooled, [1, pooled.length])));
  try {
    const value = scope(() => lossOf(model, z, targets, options));
    const loss = await value.item().finally(() => value.dispose());
    generator.seek(start); // the same dropout again
    let index = 0;
    for await (const piece of pieces()) {
      if (piece.length !== sizes[index++]) throw changed(index - 1, piece.length, sizes);
      differentiate(model, piece, z, logSumExp, options);
      await targets.device.sync(); // or uploads would pile up
    }
    if (index !== sizes.length) throw changed(index, 0, sizes);
    generator.seek(end);
    return loss;
  } finally {
    z.dispose();
  }
}

/**
 * What `streamedBackward` runs for pieces of these numbers of rows, without waiting for anything: for `Device.compileAhead`, amid
 * which nothing is computed.
 */
export function streamedDryRun(
  model: DirectAbmil,
  rows: readonly number[],
  targets: Tensor,
  options: StreamedOptions = {},
): void {
  const width = model.embed.weight.shape[1]!;
  const { scaler = null } = options;
  for (const n of rows) {
    scope(() => {
      const piece = new Float32Array(n * width);
      const pooled = pooledPiece(model, piece, targets.device, scaler !== null).z;
      const z = Parameter.of(pooled.view());
      lossOf(model, z, targets, options);
      differentiate(model, piece, z, 0, options);
      z.dispose();
    });
  }
}

/** The loss, times `share`; its gradient is left to z and the parameters of the head. */
function lossOf(
  model: DirectAbmil,
  z: Parameter,
  targets: Tensor,
  { share = 1, scaler = null }: StreamedOptions,
): Tensor {
  const whole = autocast(() => mse(model.head.forward(z), targets), scaler !== null);
  const loss = share === 1 ? whole : affine(whole, share);
  backward(scaler?.scale(loss) ?? loss);
  return loss;
}

/** Expression and attention of one slide, as `model.predict` of the whole slide. */
export async function streamedPrediction(
  model: DirectAbmil,
  pieces: FeaturePieces,
): Promise<Prediction> {
  const { device } = model.embed.weight;
  const { pooled, logSumExp, scores } = await pool(model, pieces, device, false);
  const expression = scope(() =>
    noGrad(() => model.head.forward(Tensor.from(device, pooled, [1, pooled.length]))),
  );
  const attention = new Float32Array(scores.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of scores)
    for (const score of part) attention[at++] = Math.exp(score - logSumExp);
  return { expression: await expression.floats().finally(() => expression.dispose()), attention };
}

interface Pooled {
  /** z, [hidden]. */
  readonly pooled: Float32Array;
  readonly logSumExp: number;
  /** Of each piece. */
  readonly scores: readonly Float32Array[];
  /** Numbers in each piece. */
  readonly sizes: readonly number[];
}

/** The first pass, in float64 from piece to piece. */
async function pool(
  model: DirectAbmil,
  pieces: FeaturePieces,
  device: Device,
  mixed: boolean,
): Promise<Pooled> {
  const scores: Float32Array[] = [];
  const sizes: number[] = [];
  let logSumExp = -Infinity;
  let pooled: number[] = [];
  for await (const piece of pieces()) {
    const part = scope(() => pooledPiece(model, piece, device, mixed));
    const [a, z] = await Promise.all([part.a.floats(), part.z.floats()]).finally(() => {
      part.a.dispose();
      part.z.dispose();
    });
    const most = a.reduce((max, score) => Math.max(max, score), -Infinity);
    const own = most + Math.log(a.reduce((sum, score) => sum + Math.exp(score - most), 0));
    const highest = Math.max(logSumExp, own);
    const total = highest + Math.log(Math.exp(logSumExp - highest) + Math.exp(own - highest));
    const [before, share] = [Math.exp(logSumExp - total), Math.exp(own - total)];
    pooled = Array.from(z, (value, i) => before * (pooled[i] ?? 0) + share * value);
    logSumExp = total;
    scores.push(a);
    sizes.push(piece.length);
  }
  if (sizes.length === 0) throw notRows('at least one piece', 'none');
  return { pooled: Float32Array.from(pooled), logSumExp, scores, sizes };
}

/** The scores of a piece, and what it alone would be pooled to. */
function pooledPiece(model: DirectAbmil, piece: Float32Array, device: Device, mixed: boolean) {
  return noGrad(() => {
    const { h, a, segments } = scoresOf(model, piece, device, mixed);
    const z = segmentWeightedSum(h, segmentSoftmax(a, segments), segments);
    segments.dispose();
    return { a, z };
  });
}

/**
 * With wₙ = exp(aₙ − lse), and lse and z taken as constants, Σ wₙ hₙ − (Σ wₙ) z has for the seed dz the gradient
 * wₙ dz for hₙ and wₙ ⟨dz, hₙ − z⟩ for aₙ: what the softmax over the whole slide gives.
 */
function differentiate(
  model: DirectAbmil,
  piece: Float32Array,
  z: Parameter,
  logSumExp: number,
  { scaler = null, onPiece }: StreamedOptions,
): void {
  scope(() => {
    const { device } = z;
    const { h, a, segments } = scoresOf(model, piece, device, scaler !== null);
    const w = exp(sub(a, Tensor.scalar(device, logSumExp)));
    const constant = z.view();
    const share = sub(segmentWeightedSum(h, w, segments), mul(segmentSum(w, segments), constant));
    backwardFrom(share, z.grad!);
    onPiece?.();
    segments.dispose();
  });
}

/** h and the attention scores of a piece. */
function scoresOf(model: DirectAbmil, piece: Float32Array, device: Device, mixed: boolean) {
  const width = model.embed.weight.shape[1]!;
  const rows = piece.length / width;
  if (!Number.isInteger(rows) || rows === 0) {
    throw notRows(`pieces of whole rows of ${width} numbers`, `one of ${piece.length} numbers`);
  }
  const features = Tensor.from(device, piece, [rows, width]);
  return autocast(() => {
    const h = model.hidden(features);
    return { h, a: model.attention.scores(h), segments: new Segments(device, [0, rows]) };
  }, mixed);
}

function notRows(expected: string, found: string): HistogradError {
  return new HistogradError(
    'shape',
    `Streamed Direct-ABMIL: expected ${expected}, found ${found}.`,
    'Give the features of one slide as rows, in pieces of any number of rows.',
  );
}

function changed(index: number, found: number, sizes: readonly number[]): HistogradError {
  return new HistogradError(
    'shape',
    `Streamed Direct-ABMIL: piece ${index} had ${sizes[index] ?? 0} numbers the first time, and has ${found} the second.`,
    'Give the same pieces each time they are asked for.',
  );
}
