/** Convolution 3 x 3, forward: in which layout the images are, and how often a loaded number is used. */
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import type { ProductPlan } from '../../src/gpu/tuning.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { convolve } from '../../src/ops/conv2d-kernels.ts';
import { packImages, packWeights } from '../../src/ops/conv2d-packing.ts';
import { subgroupLanes } from '../../src/tensor/grid.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import directCode from './conv2d/direct.wgsl';
import handedCode from './conv2d/handed.wgsl';
import packedCode from './conv2d/packed.wgsl';
import stagedCode from './conv2d/staged.wgsl';
import type { Ladder } from './ladder.ts';

const direct = defineKernel('ladder-conv2d-direct', directCode);
const packed = defineKernel('ladder-conv2d-packed', packedCode);
const handed = defineKernel('ladder-conv2d-handed', handedCode);
const staged = defineKernel('ladder-conv2d-staged', stagedCode);

interface Layer {
  readonly images: number;
  readonly channels: number;
  readonly outputs: number;
  readonly height: number;
  readonly width: number;
}

const FULL: Layer = { images: 8, channels: 64, outputs: 64, height: 56, width: 56 };
const SMALL: Layer = { images: 2, channels: 8, outputs: 12, height: 6, width: 10 };

/** Kernel rows, columns and channels of a window, and all of its packed vec4s in that order. */
function taps(channels: number) {
  return {
    groups: 1,
    row: 9 * channels,
    phases: [1, 1],
    taps: [3, 3],
    depth: channels,
    step: 9,
    first: [0, 0],
    tap: [1, 1],
    spread: [1, 1],
  } as const;
}

function referenceOf(x: Float32Array, weight: Float32Array, layer: Layer): Float64Array {
  const { images, channels, outputs, height, width } = layer;
  const out = new Float64Array(images * outputs * height * width);
  for (let at = 0; at < out.length; at++) {
    const column = at % width;
    const row = Math.floor(at / width) % height;
    const output = Math.floor(at / width / height) % outputs;
    const image = Math.floor(at / width / height / outputs);
    for (let c = 0; c < channels; c++) {
      for (let tap = 0; tap < 9; tap++) {
        const h = row + Math.floor(tap / 3) - 1;
        const w = column + (tap % 3) - 1;
        if (h < 0 || w < 0 || h >= height || w >= width) continue;
        const value = x[((image * channels + c) * height + h) * width + w]!;
        out[at]! += value * weight[(output * channels + c) * 9 + tap]!;
      }
    }
  }
  return out;
}

export const conv2dLadder: Ladder = {
  id: 'conv2d',
  name: 'conv 3x3, 8 x 64 x 56 x 56 to 64',
  prepare(device, size) {
    const layer = size === 'full' ? FULL : SMALL;
    const { images, channels, outputs, height, width } = layer;
    const x = random(device, [images, channels, height, width], 1);
    const weight = random(device, [outputs, channels, 3, 3], 2);
    const pixels = images * height * width;
    const empty = () => Tensor.empty(device, [images, outputs, height, width]);
    const threads = device.class === 'gpu' ? 64 : 8;
    const lanes = subgroupLanes(device);

    const runDirect = () => {
      const out = empty();
      device.run(direct, 'direct', {
        buffers: { x: x.buffer, weight: weight.buffer, out: out.buffer },
        params: { images, channels, height, width, outputs },
        overrides: { WORKGROUP: threads },
        groups: [Math.ceil(pixels / threads), outputs, 1],
      });
      return out;
    };
    /** Packs images and weights as the product does, and multiplies tiles of so many pixels and outputs. */
    const run = (
      kernel: Kernel,
      entry: string,
      overrides: Record<string, number>,
      tile: readonly [pixels: number, outputs: number],
    ) => {
      const out = empty();
      const frame = { before: [1, 1], size: [height + 2, width + 2] } as const;
      const source = packImages(x, { start: 0, count: images }, 1, frame);
      const weights = packWeights(weight, { ...taps(channels), channels: outputs });
      device.run(kernel, entry, {
        buffers: { weight4: weights.buffer, source4: source.tensor.buffer, out: out.buffer },
        params: { images, quads: channels / 4, height, width, outputs },
        overrides,
        groups: [Math.ceil(pixels / tile[0]), Math.ceil(outputs / tile[1]), 1],
      });
      disposeAll(source.tensor, weights);
      return out;
    };
    const product = () => conv2d(x, weight, null, { padding: 1 });
    const byWindows = (choice: ProductPlan) => {
      const out = empty();
      const square = (n: number): [number, number] => [n, n];
      const sizes = {
        batch: images,
        groups: 1,
        inputs: channels,
        outputs,
        size: [height, width] as [number, number],
        outSize: [height, width] as [number, number],
        kernel: square(3),
        stride: square(1),
        dilation: square(1),
        padding: square(1),
      };
      convolve(x, weight, null, out, sizes, choice);
      return out;
    };
    const macs = pixels * outputs * channels * 9;
    return {
      cost: { flops: 2 * macs, bytes: FLOAT * (x.size + weight.size + pixels * outputs) },
      rungs: [
        {
          name: 'a thread per output',
          changed:
            'The definition: every product loads both of its numbers, and tests for the border.',
          on: ['gpu', 'cpu'],
          run: runDirect,
        },
        {
          name: 'channels last, by vec4',
          changed:
            'Images are packed first, with zeros around and the channels of a pixel side by side: a quarter of the loads, no test.',
          on: ['gpu', 'cpu'],
          run: () => run(packed, 'vectors', { WORKGROUP: threads }, [threads, 1]),
        },
        {
          name: '4 outputs of 4 pixels per thread',
          changed: 'A loaded vec4 is used four times instead of once.',
          on: ['gpu', 'cpu'],
          run: () => run(packed, 'tile', { WORKGROUP: threads }, [4 * threads, 4]),
        },
        {
          name: 'workgroup memory',
          changed:
            'A workgroup of 256 threads loads weights and windows together: 64 uses for each load.',
          on: ['gpu'],
          run: () => run(staged, 'staged', {}, [64, 64]),
        },
        {
          name: 'windows handed round',
          changed:
            'A subgroup has 32 outputs of 32 pixels; a lane loads the windows of 4 and hands them to the others: 32 uses for each load.',
          on: ['cpu'],
          run: () => run(handed, 'handed', { LANES: lanes }, [4 * lanes, 4 * lanes]),
        },
        {
          name: 'four steps of K at once',
          changed:
            'An accumulator is loaded, blended with the mask of the loop and stored once for four multiply-adds, not for each.',
          on: ['cpu'],
          run: () => run(handed, 'steps', { LANES: lanes }, [4 * lanes, 4 * lanes]),
        },
        {
          name: 'stores by vec4',
          changed:
            'Four neighbouring pixels leave with one store, which pays where windows are small; any stride, dilation and groups.',
          on: ['cpu'],
          run: () => byWindows({ kernel: 'subgroup' }),
        },
        {
          name: 'operands as textures',
          changed:
            'A load is a call, no longer 40 tests and 32 loads; so a subgroup has 64 pixels. Large layers only: the copy comes first.',
          on: ['cpu'],
          run: () => byWindows({ kernel: 'texels' }),
        },
        {
          name: "product: Winograd's algorithm",
          changed:
            'A tile of 4 x 4 pixels becomes 36 numbers, multiplied as 36 matrices, and pixels again: a quarter of the multiplications.',
          on: ['cpu'],
          run: product,
        },
        {
          name: 'product: tuned register tiles',
          changed:
            'More outputs and pixels per thread, tile and slice as tuned for the adapter; any stride, dilation and groups.',
          on: ['gpu'],
          run: product,
        },
      ],
      reference: async () => referenceOf(await x.floats(), await weight.floats(), layer),
      dispose: () => disposeAll(x, weight),
    };
  },
};
