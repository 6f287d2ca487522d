/**
 * Forward, input gradient and weight gradient of a convolution, outside the tape: implicit matrix products over packed
 * images, a part of the batch at a time where a tensor exceeds one binding. Depthwise convolutions have kernels of
 * their own, and those of 3 x 3 windows an algorithm of fewer multiplications on CPU rasterisers.
 */
import type { ProductPlan } from '../gpu/tuning.ts';
import { readsHalves, widened } from '../tensor/convert.ts';
import type { Tensor } from '../tensor/tensor.ts';
import {
  batchParts,
  type Frame,
  packedWidth,
  packImages,
  sumParts,
  type WeightOrder,
} from './conv2d-packing.ts';
import { correlate, mostPackedBytes, multiply } from './conv2d-product.ts';
import { type ConvSizes, imageWidths, isDepthwise, map2 } from './conv2d-sizes.ts';
import {
  suitsWinograd,
  winogradForward,
  winogradInputGradient,
  winogradWeightGradient,
} from './conv2d-winograd.ts';
import {
  depthwiseForward,
  depthwiseInputGradient,
  depthwiseWeightGradient,
} from './depthwise-conv2d.ts';

/** What of the input the windows of all pixels cover. */
function inputFrame({ outSize, kernel, stride, dilation, padding }: ConvSizes): Frame {
  const size = map2((d) => (outSize[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1);
  return { before: padding, size };
}

/** Are there no kernels for these operands in float16? */
function mustWiden({ dtype, device }: Tensor, sizes: ConvSizes): boolean {
  return dtype === 'f16' && (isDepthwise(sizes) || !readsHalves(device));
}

/** With a choice of the kernel the windows themselves are multiplied. */
function byWinograd(
  { dtype, device }: Tensor,
  sizes: ConvSizes,
  what: Parameters<typeof suitsWinograd>[2],
  choice?: ProductPlan,
): boolean {
  return choice === undefined && dtype === 'f32' && suitsWinograd(device, sizes, what);
}

/** out [N, O, h', w'] = conv2d(x [N, C, h, w], weight [O, C / groups, kh, kw]) + bias. */
export function convolve(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  out: Tensor,
  sizes: ConvSizes,
  choice?: ProductPlan,
): void {
  if (mustWiden(x, sizes)) {
    widened([x, weight], ([wideX, wideW]) => convolve(wideX!, wideW!, bias, out, sizes, choice));
    return;
  }
  if (isDepthwise(sizes)) {
    depthwiseForward(x, weight, bias, out, sizes);
    return;
  }
  if (byWinograd(x, sizes, 'forward', choice)) {
    winogradForward(x, weight, bias, out, sizes);
    return;
  }
  const { batch, groups, inputs, outputs, kernel, outSize, stride, dilation } = sizes;
  const frame = inputFrame(sizes);
  const taps = kernel[0] * kernel[1];
  const order: WeightOrder = {
    groups,
    channels: outputs / groups,
    row: (inputs / groups) * taps,
    phases: [1, 1],
    taps: kernel,
    depth: inputs / groups,
    step: taps,
    first: [0, 0],
    tap: [1, 1],
    spread: [1, 1],
  };
  const packed = [packedWidth(inputs, groups, frame)];
  const most = mostPackedBytes(x.device, outputs / groups, choice);
  for (const part of batchParts(x.device, batch, imageWidths(sizes), packed, most)) {
    const source = packImages(x, part, groups, frame);
    const at = { origin: [0, 0], first: [0, 0], step: [1, 1] } as const;
    const product = { source, order, grid: outSize, stride, dilation, ...at };
    multiply(weight, bias, out, part, product, choice);
    source.tensor.dispose();
  }
}

/** Phases of the input gradient along one axis that have equally many taps. */
interface Phases {
  first: number;
  count: number;
  taps: number;
}

/** How the pixels of dX follow from those of dY along one axis. */
interface Phasing {
  readonly phases: readonly Phases[];
  readonly mostTaps: number;
  readonly dilation: number;
  readonly spread: number;
  /** The first of `count` positions j: pixels j · stride + phase − padding. */
  readonly start: number;
  readonly count: number;
}

/**
 * Pixel h of dX, seen as h + padding = j · stride + a, gets dY[j − t] through row a + t · stride of the kernel. A dilated
 * kernel with a stride counts as a larger one with zeros in between. `together`: with more zeros, so that all phases have
 * equally many taps.
 */
function phasing(sizes: ConvSizes, d: 0 | 1, together: boolean): Phasing {
  const { kernel, stride, dilation, padding, size } = sizes;
  const s = stride[d];
  const spread = s > 1 ? dilation[d] : 1;
  const rows = (kernel[d] - 1) * spread + 1;
  const rest = rows % s;
  const few = Math.floor(rows / s);
  const mostTaps = Math.ceil(rows / s);
  const apart = [
    { first: 0, count: rest, taps: few + 1 },
    { first: rest, count: s - rest, taps: few },
  ].filter(({ count }) => count > 0);
  const start = Math.floor(padding[d] / s);
  return {
    phases: together ? [{ first: 0, count: s, taps: mostTaps }] : apart,
    mostTaps,
    dilation: s > 1 ? 1 : dilation[d],
    spread,
    start,
    count: Math.floor((size[d] - 1 + padding[d]) / s) - start + 1,
  };
}

/** All phases of so few rows go into one product: a tile has room for them. */
const FEW_ROWS = 32;

/** dx [N, C, h, w] from dy [N, O, h', w']; the adjoint of conv2d, and with a bias [C] the transposed convolution. */
export function convolveInputGradient(
  dy: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  dx: Tensor,
  sizes: ConvSizes,
  choice?: ProductPlan,
): void {
  if (mustWiden(dy, sizes)) {
    widened([dy, weight], ([wideY, wideW]) =>
      convolveInputGradient(wideY!, wideW!, bias, dx, sizes, choice),
    );
    return;
  }
  if (isDepthwise(sizes)) {
    depthwiseInputGradient(dy, weight, bias, dx, sizes);
    return;
  }
  if (byWinograd(dy, sizes, 'input gradient', choice)) {
    winogradInputGradient(dy, weight, bias, dx, sizes);
    return;
  }
  const { batch, groups, inputs, outputs, kernel, stride, padding } = sizes;
  const together = (inputs / groups) * stride[0] * stride[1] <= FEW_ROWS;
  const along = [phasing(sizes, 0, together), phasing(sizes, 1, together)] as const;
  const reach = map2((d) => (along[d].mostTaps - 1) * along[d].dilation);
  const frame = {
    before: map2((d) => reach[d] - along[d].start),
    size: map2((d) => along[d].count + reach[d]),
  };
  const taps = kernel[0] * kernel[1];
  const packed = [packedWidth(outputs, groups, frame)];
  const most = mostPackedBytes(dy.device, inputs / groups, choice);
  for (const part of batchParts(dy.device, batch, imageWidths(sizes), packed, most)) {
    const source = packImages(dy, part, groups, frame);
    for (const vertical of along[0].phases) {
      for (const horizontal of along[1].phases) {
        const phase = [vertical, horizontal] as const;
        const last = map2((d) => phase[d].taps - 1);
        const order: WeightOrder = {
          groups,
          channels: inputs / groups,
          row: taps,
          phases: map2((d) => phase[d].count),
          taps: map2((d) => phase[d].taps),
          depth: outputs / groups,
          step: (inputs / groups) * taps,
          // Backwards: tap t of the product is row a + (taps − 1 − t) · stride of the kernel.
          first: map2((d) => phase[d].first + last[d] * stride[d]),
          tap: map2((d) => -stride[d]),
          spread: map2((d) => along[d].spread),
        };
        multiply(
          weight,
          bias,
          dx,
          part,
          {
            source,
            order,
            grid: map2((d) => along[d].count),
            stride: [1, 1],
            origin: map2((d) => reach[d] - last[d] * along[d].dilation),
            dilation: map2((d) => along[d].dilation),
            first: map2((d) => along[d].start * stride[d] + phase[d].first - padding[d]),
            step: stride,
          },
          choice,
        );
      }
    }
    source.tensor.dispose();
  }
}

/** dw [O, C / groups, kh, kw] from x [N, C, h, w] and dy [N, O, h', w']. */
export function convolveWeightGradient(
  x: Tensor,
  dy: Tensor,
  dw: Tensor,
  sizes: ConvSizes,
  choice?: ProductPlan,
): void {
  if (mustWiden(x, sizes)) {
    widened([x, dy], ([wideX, wideY]) => convolveWeightGradient(wideX!, wideY!, dw, sizes, choice));
    return;
  }
  if (isDepthwise(sizes)) {
    depthwiseWeightGradient(x, dy, dw, sizes);
    return;
  }
  if (byWinograd(x, sizes, 'weight gradient', choice)) {
    winogradWeightGradient(x, dy, dw, sizes);
    return;
  }
  const { batch, groups, inputs, outputs, outSize } = sizes;
  const frame = inputFrame(sizes);
  const dyFrame: Frame = { before: [0, 0], size: outSize };
  const packed = [packedWidth(inputs, groups, frame), packedWidth(outputs, groups, dyFrame)];
  if (batch === 0) dw.device.clear(dw.buffer);
  const most = mostPackedBytes(x.device, outputs / groups, choice);
  for (const part of batchParts(x.device, batch, imageWidths(sizes), packed, most)) {
    const source = packImages(x, part, groups, frame);
    const gradient = packImages(dy, part, groups, dyFrame);
    const parts = correlate(source, gradient, sizes, choice);
    sumParts(parts, dw, part.start > 0);
    for (const temporary of [parts, source.tensor, gradient.tensor]) temporary.dispose();
  }
}
