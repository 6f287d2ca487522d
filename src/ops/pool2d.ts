import code from '../../shaders/pool2d.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { linePlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { checkPair, type Pair, type PairLike, pair } from './conv2d-sizes.ts';
import { reshape } from './layout.ts';
import { defineOp, formatShape, type Op, shapeError } from './op.ts';

const kernel = defineKernel('pool2d', code);

export interface AvgPool2dOptions {
  /** Here and below: one number for both directions, or [vertical, horizontal]. */
  kernelSize: PairLike;
  /** The kernel's size, if not given. */
  stride?: PairLike;
  padding?: PairLike;
  /** Keeps a last window that is not complete, unless it lies in the padding altogether. */
  ceilMode?: boolean;
  /** Divide by the size of the window with its padding (the default), not by what it holds of the plane. */
  countIncludePad?: boolean;
}

export interface MaxPool2dOptions extends Omit<AvgPool2dOptions, 'countIncludePad'> {
  dilation?: PairLike;
}

export interface AdaptivePool2dOptions {
  outputSize: PairLike;
}

/** All that the kernel has to know of the windows; pairs are [vertical, horizontal]. */
interface Windows {
  size: Pair;
  out_size: Pair;
  kernel: Pair;
  stride: Pair;
  padding: Pair;
  dilation: Pair;
  count_padding: number;
  adaptive: boolean;
}

function pairOf(name: string, option: string, value: PairLike, least: number): Pair {
  const found = pair(value);
  checkPair(name, option, found, least);
  return found;
}

function planeOf(name: string, shape: Shape): Pair {
  const [, , height, width] = shape;
  if (shape.length !== 4 || !height || !width) {
    throw shapeError(name, 'images [N, C, H, W] that are not empty', formatShape(shape));
  }
  return [height, width];
}

/** Numbers beyond which the arithmetic of the kernel would not be exact. */
const LONGEST = 2 ** 19;
const LARGEST_PRODUCT = 2 ** 31;

function checkReach(name: string, lengths: readonly number[]): void {
  if (Math.max(...lengths) >= LONGEST) {
    throw shapeError(name, `images, windows and strides below ${LONGEST} pixels`, `${lengths}`);
  }
}

function fixedWindows(
  name: string,
  shape: Shape,
  options: AvgPool2dOptions & MaxPool2dOptions,
): Windows {
  const size = planeOf(name, shape);
  const { kernelSize, ceilMode = false, countIncludePad = true } = options;
  const kernel = pairOf(name, 'kernelSize', kernelSize, 1);
  const stride = pairOf(name, 'stride', options.stride ?? kernelSize, 1);
  const padding = pairOf(name, 'padding', options.padding ?? 0, 0);
  const dilation = pairOf(name, 'dilation', options.dilation ?? 1, 1);
  const reach = [0, 1].map((d) => kernel[d]! * dilation[d]!);
  checkReach(name, [...size, ...reach, ...stride]);
  const outputs = (d: 0 | 1): number => {
    if (2 * padding[d] > kernel[d]) {
      throw new HistogradError(
        'option',
        `${name}: the padding ${padding[d]} is more than half of the kernel's size ${kernel[d]}.`,
        'Use less padding: windows must not lie outside of the image.',
      );
    }
    const steps = (size[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d];
    const count = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
    const beyond = ceilMode && (count - 1) * stride[d] >= size[d] + padding[d];
    return beyond ? count - 1 : count;
  };
  const out_size = [outputs(0), outputs(1)] as const;
  // A dilated window could have all its inputs in the padding around an image smaller than a step of it.
  const leap = (d: 0 | 1) => padding[d] > 0 && dilation[d] > size[d];
  if (Math.min(...out_size) < 1 || leap(0) || leap(1)) {
    const window = `windows of ${formatShape(kernel)}, padding ${formatShape(padding)}, dilation ${formatShape(dilation)}`;
    throw shapeError(name, `images that hold ${window}`, formatShape(shape));
  }
  const count_padding = countIncludePad ? 1 : 0;
  return { size, out_size, kernel, stride, padding, dilation, count_padding, adaptive: false };
}

function adaptiveWindows(
  name: string,
  shape: Shape,
  { outputSize }: AdaptivePool2dOptions,
): Windows {
  const size = planeOf(name, shape);
  const out_size = pairOf(name, 'outputSize', outputSize, 1);
  if (Math.max(...size.map((n, d) => (n + 1) * (out_size[d]! + 1))) > LARGEST_PRODUCT) {
    const expected = `a height and a width whose products with those of the result (${out_size.join(' x ')}) are below 2^31`;
    throw shapeError(name, expected, formatShape(shape));
  }
  const one = [1, 1] as const;
  return {
    size,
    out_size,
    kernel: one,
    stride: one,
    padding: [0, 0],
    dilation: one,
    count_padding: 0,
    adaptive: true,
  };
}

/** Runs an entry point over the planes, in parts: `inputs` have the images' size, `outputs` that of the result. */
function run(
  entry: string,
  windows: Windows,
  like: Tensor,
  inputs: Record<string, Tensor>,
  outputs: Record<string, Tensor>,
): void {
  const { device } = like;
  const { adaptive, count_padding, ...pairs } = windows;
  const vectors = Object.entries(pairs).map(([name, [y, x]]) => [name, [x, y]]);
  const area = ([height, width]: Pair) => height * width;
  const widths = [area(windows.size), area(windows.out_size)] as const;
  const [lines, width] =
    entry === 'maximum_scatter' ? [1, 1] : 'out' in inputs ? windows.size : windows.out_size;
  for (const part of rowParts(device, like.shape[0]! * like.shape[1]!, widths)) {
    const bind = (tensors: Record<string, Tensor>, width: number) =>
      Object.entries(tensors).map(([name, tensor]) => [name, bindPart(tensor, part, width)]);
    const { groups, overrides } =
      entry === 'whole_average' || entry === 'whole_average_backward'
        ? rowPlan(device, part.count, widths[0])
        : linePlan(device, part.count * lines, width);
    device.run(kernel, entry, {
      buffers: Object.fromEntries([...bind(inputs, widths[0]), ...bind(outputs, widths[1])]),
      params: { ...Object.fromEntries(vectors), count_padding, planes: part.count },
      overrides: { ...overrides, ADAPTIVE: adaptive ? 1 : 0 },
      groups,
    });
  }
}

type WindowsOf<Options> = (name: string, shape: Shape, options: Options) => Windows;

function outputShape(shape: Shape, { out_size }: Windows): Shape {
  return [shape[0]!, shape[1]!, ...out_size];
}

/** Planes that keep the lanes of a CPU rasteriser busy, one to a lane. */
const ENOUGH_PLANES = 64;

/** Does a thread do a whole plane of a gradient? It then adds where the maxima are, and asks no pixel for its windows. */
function byPlanes({ device, shape }: Tensor): boolean {
  return device.class === 'cpu' && shape[0]! * shape[1]! >= ENOUGH_PLANES;
}

function defineMaxPool<O>(name: string, windowsOf: WindowsOf<O>): Op<O> {
  return defineOp<O>({
    name,
    inputs: 'x [N, C, H, W]',
    output: "[N, C, H', W']",
    cost: 'N · window',
    shape: ([x], options) => outputShape(x!, windowsOf(name, x!, options)),
    forward([x], options, output) {
      const places = Tensor.empty(x!.device, output.shape, 'u32', `${name} places`);
      const windows = windowsOf(name, x!.shape, options);
      run('maximum', windows, x!, { x: x! }, { out: output, places });
      return [places];
    },
    gradient({ grad, inputs: [x], saved: [picks], options }) {
      const dx = Tensor.empty(x!.device, x!.shape, 'f32', `${name} gradient`);
      const windows = windowsOf(name, x!.shape, options);
      const scatter = byPlanes(x!);
      if (scatter) dx.device.clear(dx.buffer);
      const entry = scatter ? 'maximum_scatter' : 'maximum_backward';
      run(entry, windows, x!, { out: dx }, { dy: grad, picks: picks! });
      return [dx];
    },
  });
}

/** One window that is the whole plane. */
function isWhole({ adaptive, out_size }: Windows): boolean {
  return adaptive && out_size[0] * out_size[1] === 1;
}

function defineAvgPool<O>(name: string, windowsOf: WindowsOf<O>): Op<O> {
  return defineOp<O>({
    name,
    inputs: 'x [N, C, H, W]',
    output: "[N, C, H', W']",
    cost: 'N · window',
    shape: ([x], options) => outputShape(x!, windowsOf(name, x!, options)),
    forward([x], options, output) {
      const windows = windowsOf(name, x!.shape, options);
      run(isWhole(windows) ? 'whole_average' : 'average', windows, x!, { x: x! }, { out: output });
    },
    gradient({ grad, inputs: [x], options }) {
      const dx = Tensor.empty(x!.device, x!.shape, 'f32', `${name} gradient`);
      const windows = windowsOf(name, x!.shape, options);
      const entry = isWhole(windows) ? 'whole_average_backward' : 'average_backward';
      run(entry, windows, x!, { out: dx }, { dy: grad });
      return [dx];
    },
  });
}

export const maxPool2dOp = defineMaxPool<MaxPool2dOptions>('max-pool2d', fixedWindows);
export const avgPool2dOp = defineAvgPool<AvgPool2dOptions>('avg-pool2d', fixedWindows);
export const adaptiveMaxPool2dOp = defineMaxPool('adaptive-max-pool2d', adaptiveWindows);
export const adaptiveAvgPool2dOp = defineAvgPool('adaptive-avg-pool2d', adaptiveWindows);

/**
 * The maxima of the windows of x [N, C, H, W], with −∞ as padding (torch.nn.functional.max_pool2d).
 * A NaN is a maximum. The gradient goes to one element of each window, the first of the largest.
 */
export function maxPool2d(
  x: Tensor,
  kernelSize: PairLike,
  options: Omit<MaxPool2dOptions, 'kernelSize'> = {},
): Tensor {
  return maxPool2dOp.apply([x], { ...options, kernelSize });
}

/** The means of the windows of x [N, C, H, W], with zeros as padding (torch.nn.functional.avg_pool2d). */
export function avgPool2d(
  x: Tensor,
  kernelSize: PairLike,
  options: Omit<AvgPool2dOptions, 'kernelSize'> = {},
): Tensor {
  return avgPool2dOp.apply([x], { ...options, kernelSize });
}

/**
 * The maxima of windows that share out the plane: x [N, C, H, W] to [N, C, outputSize], whatever the size
 * (torch.nn.functional.adaptive_max_pool2d).
 */
export function adaptiveMaxPool2d(x: Tensor, outputSize: PairLike): Tensor {
  return adaptiveMaxPool2dOp.apply([x], { outputSize });
}

/** The same with means (torch.nn.functional.adaptive_avg_pool2d). */
export function adaptiveAvgPool2d(x: Tensor, outputSize: PairLike): Tensor {
  return adaptiveAvgPool2dOp.apply([x], { outputSize });
}

/** The mean of each plane: x [N, C, H, W] to [N, C]. */
export function globalAvgPool2d(x: Tensor): Tensor {
  const means = adaptiveAvgPool2d(x, 1);
  return reshape(means, means.shape.slice(0, 2));
}
