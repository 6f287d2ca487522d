import { HistogradError } from '../errors.ts';
import { asOperand } from '../tensor/convert.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
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
import { reduceSum } from './reduce.ts';

/** Numbers for [[above, below], [left, right]]. */
type EachSide = readonly [Pair, Pair];

export interface Conv2dOptions {
  stride: Pair;
  /**
   * Zeros on both sides, or [[above, below], [left, right]]; 'same' keeps height and width (stride 1 only; an odd zero goes below and
   * right).
   */
  padding: Pair | EachSide | 'same';
  dilation: Pair;
  groups: number;
}

/** The options as functions and layers take them; PyTorch's defaults. */
export interface ConvOptions {
  /** 1. */
  stride?: PairLike;
  /** 0. */
  padding?: PairLike | EachSide | 'same';
  /** 1. */
  dilation?: PairLike;
  /** 1. */
  groups?: number;
}

function forEachSide(padding: PairLike | EachSide): padding is EachSide {
  return typeof padding !== 'number' && padding.some((sides) => typeof sides !== 'number');
}

/** Zeros before and behind along both axes. */
function paddingOf(kernel: Pair, { padding, dilation, stride }: Conv2dOptions): [Pair, Pair] {
  if (padding !== 'same') {
    const sides: EachSide = forEachSide(padding)
      ? padding
      : [
          [padding[0], padding[0]],
          [padding[1], padding[1]],
        ];
    for (const both of sides) checkPair('conv2d', 'padding', both, 0);
    return [map2((d) => sides[d][0]), map2((d) => sides[d][1])];
  }
  if (stride[0] !== 1 || stride[1] !== 1) {
    throw new HistogradError(
      'option',
      `conv2d: padding 'same' needs stride 1, found [${stride.join(', ')}].`,
      'Give the padding in numbers.',
    );
  }
  const all = map2((d) => dilation[d] * (kernel[d] - 1));
  const before = map2((d) => Math.floor(all[d] / 2));
  return [before, map2((d) => all[d] - before[d])];
}

function sizesOf(x: Shape, weight: Shape, bias: Shape | undefined, options: Conv2dOptions) {
  const { stride, dilation, groups } = options;
  checkPair('conv2d', 'stride', stride, 1);
  checkPair('conv2d', 'dilation', dilation, 1);
  const found = () => formatShapes(bias ? [x, weight, bias] : [x, weight]);
  if (x.length !== 4 || weight.length !== 4) {
    throw shapeError('conv2d', 'x [N, C, H, W] and weight [O, C / groups, kH, kW]', found());
  }
  const [batch, inputs, height, width] = x as [number, number, number, number];
  const [outputs, depth, ...kernel] = weight as [number, number, number, number];
  checkGroups('conv2d', groups, inputs, outputs);
  const inputsOfGroup = inputs / groups;
  if (depth !== inputsOfGroup || !biasFits(bias, outputs) || weight.includes(0) || inputs === 0) {
    const needed = `weight [O, ${inputsOfGroup}, kH, kW] and bias [O] for ${inputs} channels in ${groups} groups`;
    throw shapeError('conv2d', needed, found());
  }
  const [before, behind] = paddingOf(kernel, options);
  const size: Pair = [height, width];
  const padded = map2((d) => size[d] + before[d] + behind[d]);
  const reach = map2((d) => dilation[d] * (kernel[d] - 1) + 1);
  if (size[0] === 0 || size[1] === 0 || padded[0] < reach[0] || padded[1] < reach[1]) {
    throw shapeError(
      'conv2d',
      `images of at least ${reach.join(' x ')} pixels, padding included, for this kernel`,
      `${padded.join(' x ')} (${found()})`,
    );
  }
  const outSize = map2((d) => Math.floor((padded[d] - reach[d]) / stride[d]) + 1);
  const sizes: ConvSizes = {
    batch,
    groups,
    inputs,
    outputs,
    size,
    outSize,
    kernel,
    stride,
    dilation,
    padding: before,
  };
  return sizes;
}

/** The gradient of a bias per channel: dy [N, O, h, w] summed over all but the channels. */
export function channelSums(dy: Tensor): Tensor {
  const [batch, channels, height, width] = dy.shape as [number, number, number, number];
  return reduceSum(reduceSum(dy.view([batch, channels, height * width]), 2), 0);
}

export const conv2dOp = defineOp<Conv2dOptions>({
  name: 'conv2d',
  inputs: 'x [N, C, H, W], weight [O, C/groups, kH, kW], bias [O]?',
  output: "[N, O, H', W']",
  cost: "2·N·O·H'·W'·(C/groups)·kH·kW",
  operands: 2,
  reads: ['inputs'],
  shape([x, weight, bias], options) {
    const { batch, outputs, outSize } = sizesOf(x!, weight!, bias, options);
    return [batch, outputs, ...outSize];
  },
  forward([x, weight, bias], options, output) {
    const sizes = sizesOf(x!.shape, weight!.shape, bias?.shape, options);
    convolve(x!, weight!, bias ?? null, output, sizes);
  },
  gradient({ grad, inputs, options, needs }) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    const sizes = sizesOf(x.shape, weight.shape, bias?.shape, options);
    const like = (t: Tensor) => Tensor.empty(t.device, t.shape, 'f32', 'conv2d gradient');
    const dy = asOperand(grad, weight);
    const dx = needs[0] ? like(x) : null;
    if (dx) convolveInputGradient(dy, weight, null, dx, sizes);
    const dw = needs[1] ? like(weight) : null;
    if (dw) convolveWeightGradient(x, dy, dw, sizes);
    return [dx, dw, ...(bias ? [needs[2] ? channelSums(grad) : null] : [])];
  },
});

/**
 * 2-D convolution (cross-correlation) as torch.nn.functional.conv2d: x [N, C, H, W], weight [O, C / groups, kH, kW],
 * bias [O] or none, to [N, O, H', W'] with H' = ⌊(H + 2 padding − dilation (kH − 1) − 1) / stride⌋ + 1.
 * Depthwise convolutions (groups = C) have kernels of their own. x and weight may both be float16: sums, bias and result
 * are float32. On CPU rasterisers 3 x 3 windows of many channels go through Winograd's algorithm (F(4 x 4, 3 x 3), Lavin & Gray
 * 2016): about twice the rounding error, and a number that is not finite spreads over tiles of 4 x 4 pixels.
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions = {},
): Tensor {
  return conv2dOp.apply(bias ? [x, weight, bias] : [x, weight], {
    stride: pair(stride),
    padding: padding === 'same' || forEachSide(padding) ? padding : pair(padding),
    dilation: pair(dilation),
    groups,
  });
}
