/**
 * A convolution as an implicit matrix product over packed images, outside the tape: which kernel runs where, and the
 * numbers it takes (`Params` of shaders/shared/conv_product.wgsl).
 */
import rowsCode from '../../shaders/conv2d-rows.wgsl';
import halfRowsCode from '../../shaders/conv2d-rows.wgsl?half';
import subgroupCode from '../../shaders/conv2d-subgroup.wgsl';
import texelsCode from '../../shaders/conv2d-subgroup.wgsl?texels';
import tiledCode from '../../shaders/conv2d-tiled.wgsl';
import halfTiledCode from '../../shaders/conv2d-tiled.wgsl?half';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { convShape, type ProductPlan, possible, productOverrides, tileOf } from '../gpu/tuning.ts';
import { bindSpan, type Part } from '../tensor/parts.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { type PackedImages, packWeights, type WeightOrder } from './conv2d-packing.ts';
import type { ConvSizes, Pair } from './conv2d-sizes.ts';
import { matrixTile } from './matrix-kernels.ts';
import { fitTexels, repaysTexels } from './texel-operands.ts';

const KERNELS = {
  subgroup: defineKernel('conv2d-subgroup', subgroupCode),
  texels: defineKernel('conv2d-texels', texelsCode),
  tiled: defineKernel('conv2d-tiled', tiledCode),
  rows: defineKernel('conv2d-rows', rowsCode),
};

/** For images and weights in float16, which only GPUs read (`readsHalves`). */
const HALF_KERNELS = {
  tiled: defineKernel('conv2d-tiled-half', halfTiledCode),
  rows: defineKernel('conv2d-rows-half', halfRowsCode),
};

function codeOf({ kernel }: ProductPlan, { tensor }: PackedImages) {
  const forHalves = kernel === 'tiled' || kernel === 'rows';
  return tensor.dtype === 'f16' && forHalves ? HALF_KERNELS[kernel] : KERNELS[kernel];
}

/**
 * How a product with that many rows per group runs on this adapter.
 *
 * @param operands elements of each
 */
function chooseConv(
  device: Device,
  rows: number,
  multiplyAdds: number,
  operands: readonly number[],
  choice?: ProductPlan,
): ProductPlan {
  const plan = possible(choice ?? device.tuning.conv[convShape(rows)], device.subgroupSize);
  const repays = choice !== undefined || repaysTexels(multiplyAdds, operands);
  const texels = plan.kernel === 'texels' && repays && fitTexels(device, operands);
  return plan.kernel === 'texels' && !texels ? { kernel: 'subgroup' } : plan;
}

/** Bytes of packed images that the kernel reads at once. */
export function mostPackedBytes(device: Device, rows: number, choice?: ProductPlan): number {
  const plan = possible(choice ?? device.tuning.conv[convShape(rows)], device.subgroupSize);
  return Math.min(device.bindingBytes, plan.kernel === 'texels' ? device.texelBytes : Infinity);
}

/** How it runs on the matrix unit, for images in float16 where there is one; null else. */
function onMatrixUnit({ tensor }: PackedImages, m: number, n: number, batch: number) {
  return tensor.dtype === 'f16' ? matrixTile(tensor.device, 'conv2d', { m, n, batch }) : null;
}

/** The window of a pixel in packed images: runs of vec4s, at distances. */
interface Window {
  runs: number;
  runs_per_row: number;
  run_quads: number;
  run_down: number;
  run_right: number;
}

/** Neighbouring taps of one group are one run. */
function windowOf(taps: Pair, dilation: Pair, groups: number, { size, quads }: PackedImages) {
  const pixel = groups * quads;
  const run_down = dilation[0] * size[1] * pixel;
  const joined = groups === 1 && dilation[1] === 1;
  const window: Window = joined
    ? { runs: taps[0], runs_per_row: 1, run_quads: taps[1] * quads, run_down, run_right: 0 }
    : {
        runs: taps[0] * taps[1],
        runs_per_row: taps[1],
        run_quads: quads,
        run_down,
        run_right: dilation[1] * pixel,
      };
  return taps[0] * taps[1] > 0 ? window : { ...window, runs: 0, runs_per_row: 1, run_quads: 1 };
}

function sourceParams(groups: number, images: PackedImages) {
  return {
    groups,
    images: images.tensor.shape[0]!,
    source_h: images.size[0],
    source_w: images.size[1],
    source_quads: groups * images.quads,
    group_quads: images.quads,
  };
}

const NO_TARGET = {
  column_folds: 1,
  out_channels: 0,
  group_channels: 0,
  out_h: 0,
  out_w: 0,
  phases_h: 1,
  phases_w: 1,
  step_h: 1,
  step_w: 1,
  first_h: 0,
  first_w: 0,
  out_start: 0,
};

const NO_DY = {
  dy_h: 0,
  dy_w: 0,
  dy_quads: 0,
  dy_group_quads: 0,
  lines_per_part: 0,
};

export interface Product {
  readonly source: PackedImages;
  readonly order: WeightOrder;
  /** Pixels per image, and where their windows begin. */
  readonly grid: Pair;
  readonly stride: Pair;
  readonly origin: Pair;
  readonly dilation: Pair;
  /** Where the first pixel goes, and how far apart they go. */
  readonly first: Pair;
  readonly step: Pair;
}

/** Are the pixels those of `out`, in their order, in whole vec4s? Then they can be stored as such. */
function fillsPlanes({ grid, first, step, order }: Product, [, , height, width]: Shape): boolean {
  const axes = [0, 1] as const;
  return (
    grid[0] === height &&
    grid[1] === width &&
    (grid[0] * grid[1]) % 4 === 0 &&
    axes.every((d) => first[d] === 0 && step[d] === 1 && order.phases[d] === 1)
  );
}

/** out[part] = packed weights · windows (+ bias), for out [N, channels, h, w]. */
export function multiply(
  weight: Tensor,
  bias: Tensor | null,
  out: Tensor,
  part: Part,
  product: Product,
  choice?: ProductPlan,
): void {
  const { source, order, grid, stride, origin, dilation, first, step } = product;
  const { device } = out;
  const [, channels, height, width] = out.shape as [number, number, number, number];
  const { groups, phases } = order;
  const rows = order.channels * phases[0] * phases[1];
  const pixels = part.count * grid[0] * grid[1];
  const packed = packWeights(weight, order);
  const operands = [packed.size, source.tensor.size];
  const multiplyAdds = packed.size * pixels;
  const plan = chooseConv(device, rows, multiplyAdds, operands, choice);
  const matrix = choice ? null : onMatrixUnit(source, rows, pixels, groups);
  const tile = matrix?.tile ?? tileOf(plan, device.subgroupSize);
  const overrides = matrix
    ? { ...matrix.overrides, RIGHT_BY_COLUMN: 1 }
    : productOverrides(plan, device.subgroupSize);
  const [x, folds] = device.fold(Math.ceil(pixels / tile[0]));
  const image = channels * height * width;
  const { binding, start } = bindSpan(out, part.start * image, part.count * image);
  const bySubgroups = plan.kernel === 'subgroup' || plan.kernel === 'texels';
  const quads = !matrix && bySubgroups && fillsPlanes(product, out.shape);
  device.run(matrix?.kernel ?? codeOf(plan, source), quads ? 'multiply4' : 'multiply', {
    buffers: {
      weight4: packed.buffer,
      source4: source.tensor.buffer,
      bias: (bias ?? packed).buffer,
      [quads ? 'out4' : 'out']: binding,
    },
    texels: { weight_texels: packed.buffer, source_texels: source.tensor.buffer },
    params: {
      ...NO_DY,
      ...sourceParams(groups, source),
      ...windowOf(order.taps, dilation, groups, source),
      rows,
      grid_h: grid[0],
      grid_w: grid[1],
      stride_h: stride[0],
      stride_w: stride[1],
      origin_h: origin[0],
      origin_w: origin[1],
      column_folds: folds,
      out_channels: channels,
      group_channels: order.channels,
      out_h: height,
      out_w: width,
      phases_h: phases[0],
      phases_w: phases[1],
      step_h: step[0],
      step_w: step[1],
      first_h: first[0],
      first_w: first[1],
      out_start: start,
    },
    overrides: { ...overrides, BIAS: bias ? 1 : 0 },
    groups: [x, Math.ceil(rows / tile[1]), groups * folds],
    flops: 2 * multiplyAdds,
  });
  packed.dispose();
}

/**
 * dY (pixel, output channel) · window (pixel, tap and input channel), summed over the pixels of each of several parts:
 * [parts, outputs, taps and padded input channels].
 */
export function correlate(
  source: PackedImages,
  dy: PackedImages,
  { groups, outputs, outSize, kernel: taps, stride, dilation }: ConvSizes,
  choice?: ProductPlan,
): Tensor {
  const { device } = source.tensor;
  const rows = outputs / groups;
  const columns = 4 * source.quads * taps[0] * taps[1];
  const lines = source.tensor.shape[0]! * outSize[0];
  const multiplyAdds = outputs * columns * lines * outSize[1];
  const operands = [source.tensor.size, dy.tensor.size];
  const plan = chooseConv(device, rows, multiplyAdds, operands, choice);
  const matrix = choice ? null : onMatrixUnit(source, rows, columns, groups);
  const tile = matrix?.tile ?? tileOf(plan, device.subgroupSize);
  const overrides = matrix
    ? { ...matrix.overrides, LEFT_BY_K: 1 }
    : productOverrides(plan, device.subgroupSize);
  const tiles = [Math.ceil(columns / tile[0]), Math.ceil(rows / tile[1])] as const;
  // As many parts as keep the adapter busy and their sums within one binding.
  const wanted = Math.ceil(device.tuning.enoughGroups / (tiles[0] * tiles[1] * groups));
  const room = Math.floor(device.bindingBytes / (4 * outputs * columns));
  const split = Math.max(1, Math.min(wanted, lines, room, Math.floor(65535 / groups)));
  const lines_per_part = Math.ceil(lines / split);
  const count = Math.ceil(lines / lines_per_part);
  const parts = Tensor.empty(device, [count, outputs, columns], 'f32', 'partial sums');
  device.run(matrix?.kernel ?? codeOf(plan, source), 'weight_gradient', {
    buffers: {
      source4: source.tensor.buffer,
      dy4: dy.tensor.buffer,
      parts4: parts.buffer,
    },
    texels: { source_texels: source.tensor.buffer, dy_texels: dy.tensor.buffer },
    params: {
      ...NO_TARGET,
      ...sourceParams(groups, source),
      ...windowOf(taps, dilation, groups, source),
      rows,
      grid_h: outSize[0],
      grid_w: outSize[1],
      stride_h: stride[0],
      stride_w: stride[1],
      origin_h: 0,
      origin_w: 0,
      dy_h: dy.size[0],
      dy_w: dy.size[1],
      dy_quads: groups * dy.quads,
      dy_group_quads: dy.quads,
      lines_per_part,
    },
    overrides,
    groups: [...tiles, groups * count],
    flops: 2 * multiplyAdds,
  });
  return parts;
}
