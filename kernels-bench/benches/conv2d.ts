import { conv2d } from '../../src/ops/conv2d.ts';
import { convolveInputGradient, convolveWeightGradient } from '../../src/ops/conv2d-kernels.ts';
import type { ConvSizes } from '../../src/ops/conv2d-sizes.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { type Bench, FLOAT } from '../bench.ts';
import { disposeAll, FLOATS, type Operands, random } from './tensors.ts';

interface Layer {
  batch: number;
  channels: number;
  outputs: number;
  size: number;
  kernel: number;
  stride: number;
}

function sizes({ batch, channels, outputs, size, kernel, stride }: Layer, operandBytes = FLOAT) {
  const result = Math.ceil(size / stride);
  const x = [batch, channels, size, size];
  const weight = [outputs, channels, kernel, kernel];
  const y = [batch, outputs, result, result];
  const count = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);
  const flops = 2 * count(y) * channels * kernel * kernel;
  const bytes = operandBytes * (count(x) + count(weight)) + FLOAT * count(y);
  return { x, weight, y, cost: { flops, bytes } };
}

export function forward(
  id: string,
  name: string,
  quick: boolean,
  layer: Layer,
  { random, bytes }: Operands = FLOATS,
): Bench {
  const { x, weight, cost } = sizes(layer, bytes);
  const options = { stride: layer.stride, padding: (layer.kernel - 1) / 2 };
  return {
    id,
    name,
    quick,
    prepare(device) {
      const images = random(device, x, 1);
      const filters = random(device, weight, 2);
      return {
        cost,
        run: () => void conv2d(images, filters, null, options),
        dispose: () => disposeAll(images, filters),
      };
    },
  };
}

/** Both gradients, without the forward pass. */
function gradients(id: string, name: string, quick: boolean, layer: Layer): Bench {
  const { x, weight, y, cost } = sizes(layer);
  const { batch, channels, outputs, size, kernel, stride } = layer;
  const square = (n: number): [number, number] => [n, n];
  const conv: ConvSizes = {
    batch,
    groups: 1,
    inputs: channels,
    outputs,
    size: square(size),
    outSize: square(y[2]!),
    kernel: square(kernel),
    stride: square(stride),
    dilation: square(1),
    padding: square((kernel - 1) / 2),
  };
  return {
    id,
    name,
    quick,
    prepare(device) {
      const images = random(device, x, 1);
      const filters = random(device, weight, 2);
      const dy = random(device, y, 3);
      return {
        cost: { flops: 2 * cost.flops, bytes: 2 * cost.bytes },
        run() {
          convolveInputGradient(dy, filters, null, Tensor.empty(device, x), conv);
          convolveWeightGradient(images, dy, Tensor.empty(device, weight), conv);
        },
        dispose: () => disposeAll(images, filters, dy),
      };
    },
  };
}

/** As the second stage of ResNet18. */
export const MIDDLE: Layer = {
  batch: 8,
  channels: 64,
  outputs: 64,
  size: 56,
  kernel: 3,
  stride: 1,
};
const STEM: Layer = { batch: 8, channels: 3, outputs: 64, size: 224, kernel: 7, stride: 2 };

export const convBenches: readonly Bench[] = [
  forward('conv3x3-forward', 'conv 3x3, 8 x 64 x 56 x 56 to 64', true, MIDDLE),
  gradients('conv3x3-gradients', 'conv 3x3, 8 x 64 x 56 x 56 to 64, both gradients', false, MIDDLE),
  forward('conv7x7-forward', 'conv 7x7 / 2, 8 x 3 x 224 x 224 to 64', false, STEM),
];
