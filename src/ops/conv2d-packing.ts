/** Images and weights in the layout of the convolution kernels: channels last, padded, in whole vec4s. */
import packCode from '../../shaders/conv2d-pack.wgsl';
import halfPackCode from '../../shaders/conv2d-pack.wgsl?half';
import weightsCode from '../../shaders/conv2d-weights.wgsl';
import halfWeightsCode from '../../shaders/conv2d-weights.wgsl?half';
import type { Device } from '../gpu/device.ts';
import { tensorTooLarge } from '../gpu/gpu-errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { linePlan, threadPlan } from '../tensor/grid.ts';
import { bindSpan, cut, longestSpan, type Part } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Pair } from './conv2d-sizes.ts';

const packKernel = defineKernel('conv2d-pack', packCode);
const halfPackKernel = defineKernel('conv2d-pack-half', halfPackCode);
const weightsKernel = defineKernel('conv2d-weights', weightsCode);
const halfWeightsKernel = defineKernel('conv2d-weights-half', halfWeightsCode);

/** The window of the images that is packed; it may reach beyond them, or leave some of them out. */
export interface Frame {
  /** Rows above the image and columns to its left; negative leaves some out. */
  readonly before: Pair;
  readonly size: Pair;
}

export interface PackedImages extends Frame {
  /** [images, height, width, groups * quads * 4]. */
  readonly tensor: Tensor;
  /** vec4s of a pixel that belong to one group. */
  readonly quads: number;
}

export function quadsOf(channels: number): number {
  return Math.ceil(channels / 4);
}

/** Elements that an image takes when packed. */
export function packedWidth(channels: number, groups: number, { size }: Frame): number {
  return size[0] * size[1] * groups * quadsOf(channels / groups) * 4;
}

/**
 * Parts of a batch, as equal as can be, of which each tensor fits one binding: `bound`, elements per image of tensors that
 * hold the whole batch; `made`, of those that hold only a part. These have up to `mostMade` bytes, if that is an image.
 */
export function batchParts(
  device: Device,
  batch: number,
  bound: readonly number[],
  made: readonly number[] = [],
  mostMade = device.bindingBytes,
): Part[] {
  if (batch === 0) return [];
  const whole = 4 * batch * Math.max(...bound) <= device.bindingBytes;
  const most = whole ? batch : Math.floor(longestSpan(device) / Math.max(...bound));
  const images = (bytes: number) => Math.floor(bytes / 4 / Math.max(1, ...made));
  const step = Math.min(most, images(mostMade) || images(device.bindingBytes));
  if (step > 0) return cut(batch, Math.ceil(batch / Math.ceil(batch / step)));
  const bytes = 4 * Math.max(...bound, ...made);
  throw tensorTooLarge('conv2d, one image', bytes, device.bindingBytes, 'binds at once');
}

/** Packs the images `part` of x [N, groups * channels, H, W], float16 as such. */
export function packImages(x: Tensor, part: Part, groups: number, frame: Frame): PackedImages {
  const [, all, height, width] = x.shape as [number, number, number, number];
  const channels = all / groups;
  const quads = quadsOf(channels);
  const [rows, columns] = frame.size;
  const shape = [part.count, rows, columns, groups * quads * 4];
  const tensor = Tensor.empty(x.device, shape, x.dtype, 'packed images');
  const image = all * height * width;
  const { binding, start } = bindSpan(x, part.start * image, part.count * image);
  x.device.run(x.dtype === 'f16' ? halfPackKernel : packKernel, 'pack', {
    buffers: { x: binding, packed4: tensor.buffer },
    params: {
      images: part.count,
      groups,
      channels,
      quads,
      height,
      width,
      rows,
      columns,
      top: frame.before[0],
      left: frame.before[1],
      x_start: start,
    },
    ...linePlan(x.device, part.count * groups * quads * rows, columns),
  });
  return { ...frame, tensor, quads };
}

/** Which element of a weight [groups * o, c, h, w] goes where in the left operand of a product. */
export interface WeightOrder {
  readonly groups: number;
  /** Rows of one group's product: channels (`row`: elements from one to the next), each in all phases. */
  readonly channels: number;
  readonly row: number;
  readonly phases: Pair;
  /** Along K: taps, then `depth` channels (`step`: elements from one to the next). */
  readonly taps: Pair;
  readonly depth: number;
  readonly step: number;
  /** Tap t of phase a is row `first + a + t * tap` of a kernel that is spread out `spread` times; zero beyond it. */
  readonly first: Pair;
  readonly tap: Pair;
  readonly spread: Pair;
}

const NO_ORDER = {
  phases_h: 1,
  phases_w: 1,
  group_stride: 0,
  row_stride: 0,
  depth_stride: 0,
  kernel_h: 1,
  kernel_w: 1,
  first_h: 0,
  first_w: 0,
  tap_h: 1,
  tap_w: 1,
  spread_h: 1,
  spread_w: 1,
  parts: 0,
};

export function packWeights(weight: Tensor, order: WeightOrder): Tensor {
  const { groups, channels, row, phases, taps, depth, step, first, tap, spread } = order;
  const quads = quadsOf(depth);
  const rows = channels * phases[0] * phases[1];
  const { device } = weight;
  const shape = [groups, rows, taps[0] * taps[1] * quads * 4];
  const packed = Tensor.empty(device, shape, weight.dtype, 'packed weights');
  device.run(weight.dtype === 'f16' ? halfWeightsKernel : weightsKernel, 'pack', {
    buffers: { weight: weight.buffer, packed4: packed.buffer },
    params: {
      ...NO_ORDER,
      count: packed.size / 4,
      rows: channels,
      phases_h: phases[0],
      phases_w: phases[1],
      taps_h: taps[0],
      taps_w: taps[1],
      quads,
      depth,
      group_stride: weight.size / groups,
      row_stride: row,
      depth_stride: step,
      kernel_h: weight.shape[2]!,
      kernel_w: weight.shape[3]!,
      first_h: first[0],
      first_w: first[1],
      tap_h: tap[0],
      tap_w: tap[1],
      spread_h: spread[0],
      spread_w: spread[1],
    },
    ...threadPlan(device, packed.size / 4),
  });
  return packed;
}

/**
 * Writes the sum of the parts [parts, outputs, h, w, padded depth] of a weight gradient to dw [outputs, depth, h, w], or
 * adds it.
 */
export function sumParts(parts: Tensor, dw: Tensor, accumulate: boolean): void {
  const [rows, depth, h, w] = dw.shape as [number, number, number, number];
  const plan = threadPlan(dw.device, dw.size);
  dw.device.run(weightsKernel, 'sum_parts', {
    buffers: { parts: parts.buffer, out: dw.buffer },
    params: {
      ...NO_ORDER,
      count: dw.size,
      rows,
      taps_h: h,
      taps_w: w,
      quads: quadsOf(depth),
      depth,
      parts: parts.shape[0]!,
    },
    overrides: { ...plan.overrides, ACCUMULATE: accumulate },
    groups: plan.groups,
  });
}
