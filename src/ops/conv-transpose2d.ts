import { HistogradError } from '../errors.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { channelSums } from './conv2d.ts';
import { convolve, convolveInputGradient, convolveWeightGradient } from './conv2d-kernels.ts';
import {
  biasFits,
  type ConvSizes,
  checkGroups,
  checkPair,
  map2,
  type Pair,
  type PairLike,
  pair,
} from './conv2d-sizes.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';

export interface ConvTranspose2dOptions {
  stride: Pair;
  padding: Pair;
  /** Rows and columns added below and to the right; less than the stride, or than the dilation. */
  outputPadding: Pair;
  dilation: Pair;
  groups: number;
}

/** The options as functions and layers take them; PyTorch's defaults. */
export interface ConvTransposeOptions {
  /** 1. */
  stride?: PairLike;
  /** 0. */
  padding?: PairLike;
  /** 0. */
  outputPadding?: PairLike;
  /** 1. */
  dilation?: PairLike;
  /** 1. */
  groups?: number;
}

const NAME = 'conv-transpose2d';

/** Sizes of the convolution whose adjoint this is: from the output [N, O, H', W'] to x [N, C, H, W]. */
function sizesOf(x: Shape, weight: Shape, bias: Shape | undefined, o: ConvTranspose2dOptions) {
  const { stride, padding, outputPadding, dilation, groups } = o;
  checkPair(NAME, 'stride', stride, 1);
  checkPair(NAME, 'padding', padding, 0);
  checkPair(NAME, 'outputPadding', outputPadding, 0);
  checkPair(NAME, 'dilation', dilation, 1);
  const most = map2((d) => Math.max(stride[d], dilation[d]) - 1);
  if (outputPadding[0] > most[0] || outputPadding[1] > most[1]) {
    throw new HistogradError(
      'option',
      `${NAME}: outputPadding must be less than the stride or the dilation (at most [${most.join(', ')}]), found [${outputPadding.join(', ')}].`,
      'It only chooses among the sizes that a strided convolution maps to the same; use pad() for more.',
    );
  }
  const found = () => formatShapes(bias ? [x, weight, bias] : [x, weight]);
  if (x.length !== 4 || weight.length !== 4) {
    throw shapeError(NAME, 'x [N, C, H, W] and weight [C, O / groups, kH, kW]', found());
  }
  const [batch, inputs, ...size] = x as [number, number, number, number];
  const [rows, depth, ...kernel] = weight as [number, number, number, number];
  const outputs = depth * groups;
  checkGroups(NAME, groups, inputs, outputs);
  if (rows !== inputs || !biasFits(bias, outputs) || weight.includes(0)) {
    const needed = `weight [${inputs}, O / ${groups}, kH, kW] and bias [O] for ${inputs} channels`;
    throw shapeError(NAME, needed, found());
  }
  const outSize = map2(
    (d) =>
      (size[d] - 1) * stride[d] -
      2 * padding[d] +
      dilation[d] * (kernel[d] - 1) +
      outputPadding[d] +
      1,
  );
  if (size[0] === 0 || size[1] === 0 || outSize[0] < 1 || outSize[1] < 1) {
    throw shapeError(
      NAME,
      'images whose result has at least one pixel',
      `${outSize.join(' x ')} pixels from ${found()}`,
    );
  }
  const sizes: ConvSizes = {
    batch,
    groups,
    inputs: outputs,
    outputs: inputs,
    size: outSize,
    outSize: size,
    kernel,
    stride,
    dilation,
    padding,
  };
  return sizes;
}

export const convTranspose2dOp = defineOp<ConvTranspose2dOptions>({
  name: NAME,
  inputs: 'x [N, C, H, W], weight [C, O/groups, kH, kW], bias [O]?',
  output: "[N, O, H', W']",
  cost: '2·N·C·H·W·(O/groups)·kH·kW',
  shape([x, weight, bias], options) {
    const { batch, inputs, size } = sizesOf(x!, weight!, bias, options);
    return [batch, inputs, ...size];
  },
  forward([x, weight, bias], options, output) {
    const sizes = sizesOf(x!.shape, weight!.shape, bias?.shape, options);
    convolveInputGradient(x!, weight!, bias ?? null, output, sizes);
  },
  gradient({ grad, inputs, options, needs }) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    const sizes = sizesOf(x.shape, weight.shape, bias?.shape, options);
    const like = (t: Tensor) => Tensor.empty(t.device, t.shape, 'f32', `${NAME} gradient`);
    const dx = needs[0] ? like(x) : null;
    if (dx) convolve(grad, weight, null, dx, sizes);
    const dw = needs[1] ? like(weight) : null;
    if (dw) convolveWeightGradient(grad, x, dw, sizes);
    return [dx, dw, ...(bias ? [needs[2] ? channelSums(grad) : null] : [])];
  },
});

/**
 * Transposed 2-D convolution as torch.nn.functional.conv_transpose2d, the adjoint of conv2d: x [N, C, H, W], weight
 * [C, O / groups, kH, kW], bias [O] or none, to [N, O, H', W'] with
 * H' = (H − 1) stride − 2 padding + dilation (kH − 1) + outputPadding + 1.
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  {
    stride = 1,
    padding = 0,
    outputPadding = 0,
    dilation = 1,
    groups = 1,
  }: ConvTransposeOptions = {},
): Tensor {
  return convTranspose2dOp.apply(bias ? [x, weight, bias] : [x, weight], {
    stride: pair(stride),
    padding: pair(padding),
    outputPadding: pair(outputPadding),
    dilation: pair(dilation),
    groups,
  });
}
