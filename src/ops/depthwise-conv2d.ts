/** Depthwise convolution, outside the tape; conv2d takes these kernels when every channel is a group. */
import code from '../../shaders/depthwise-conv2d.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { type GridPlan, linePlan, rowPlan } from '../tensor/grid.ts';
import { bindSpan, type Part } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { batchParts, sumParts } from './conv2d-packing.ts';
import { type ConvSizes, imageWidths } from './conv2d-sizes.ts';

const kernel = defineKernel('depthwise-conv2d', code);

interface Run {
  /** Tensors over the whole batch: shaped like the input, and like the output of the convolution. */
  readonly inputLike: Tensor;
  readonly outputLike: Tensor;
  readonly sizes: ConvSizes;
  readonly part: Part;
  readonly plan: GridPlan;
}

/** What every entry point takes: the numbers, and the images of a part. */
function request({ inputLike, outputLike, sizes, part, plan }: Run) {
  const { inputs, outputs, size, outSize, kernel, stride, dilation, padding } = sizes;
  const [x, y] = [inputLike, outputLike].map((tensor, i) => {
    const width = imageWidths(sizes)[i]!;
    return bindSpan(tensor, part.start * width, part.count * width);
  });
  const params = {
    images: part.count,
    channels: inputs,
    multiplier: outputs / inputs,
    height: size[0],
    width: size[1],
    out_height: outSize[0],
    out_width: outSize[1],
    kernel_h: kernel[0],
    kernel_w: kernel[1],
    stride_h: stride[0],
    stride_w: stride[1],
    dilation_h: dilation[0],
    dilation_w: dilation[1],
    top: padding[0],
    left: padding[1],
    x_start: x!.start,
    y_start: y!.start,
    parts: 0,
    images_per_part: 1,
  };
  return { x: x!.binding, y: y!.binding, params, ...plan };
}

export function depthwiseForward(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  out: Tensor,
  sizes: ConvSizes,
): void {
  const { device } = x;
  const { kernel: taps, dilation, stride } = sizes;
  const small = [0, 1].every((d) => taps[d] === 3 && dilation[d] === 1);
  for (const part of batchParts(device, sizes.batch, imageWidths(sizes))) {
    const plan = linePlan(device, part.count * sizes.outputs * sizes.outSize[0], sizes.outSize[1]);
    const run = request({ inputLike: x, outputLike: out, sizes, part, plan });
    const along = small && plan.overrides.THREADS_PER_ROW === 1;
    device.run(kernel, along ? 'forward3' : 'forward', {
      buffers: { x: run.x, weight: weight.buffer, bias: (bias ?? weight).buffer, out: run.y },
      params: run.params,
      overrides: {
        ...run.overrides,
        BIAS: bias ? 1 : 0,
        ...(along && { SHARED: Math.max(0, 3 - stride[1]) }),
      },
      groups: run.groups,
    });
  }
}

export function depthwiseInputGradient(
  dy: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  dx: Tensor,
  sizes: ConvSizes,
): void {
  const { device } = dy;
  const strided = sizes.stride[0] !== 1 || sizes.stride[1] !== 1;
  for (const part of batchParts(device, sizes.batch, imageWidths(sizes))) {
    const plan = linePlan(device, part.count * sizes.inputs * sizes.size[0], sizes.size[1]);
    const run = request({ inputLike: dx, outputLike: dy, sizes, part, plan });
    device.run(kernel, 'input_gradient', {
      buffers: { dy: run.y, weight: weight.buffer, bias: (bias ?? weight).buffer, out: run.x },
      params: run.params,
      overrides: { ...run.overrides, BIAS: bias ? 1 : 0, STRIDED: strided },
      groups: run.groups,
    });
  }
}

/** Rows of partial sums that a weight gradient should have at least; the images are split for that. */
const ENOUGH_ROWS = { cpu: 64, gpu: 4096 };

export function depthwiseWeightGradient(x: Tensor, dy: Tensor, dw: Tensor, sizes: ConvSizes): void {
  const { device } = x;
  if (sizes.batch === 0) device.clear(dw.buffer);
  for (const part of batchParts(device, sizes.batch, imageWidths(sizes))) {
    const wanted = Math.ceil(ENOUGH_ROWS[device.class] / dw.size);
    const room = Math.floor(device.bindingBytes / (16 * dw.size));
    const images_per_part = Math.ceil(part.count / Math.max(1, Math.min(wanted, room)));
    const count = Math.ceil(part.count / images_per_part);
    const parts = Tensor.empty(device, [count, 4 * dw.size], 'f32', 'partial sums');
    const pixels = sizes.outSize[0] * sizes.outSize[1];
    const plan = rowPlan(device, count * dw.size, images_per_part * pixels);
    const run = request({ inputLike: x, outputLike: dy, sizes, part, plan });
    device.run(kernel, 'weight_gradient', {
      buffers: { x: run.x, dy: run.y, out: parts.buffer },
      params: { ...run.params, parts: count, images_per_part },
      overrides: run.overrides,
      groups: run.groups,
    });
    sumParts(parts, dw, part.start > 0);
    parts.dispose();
  }
}
