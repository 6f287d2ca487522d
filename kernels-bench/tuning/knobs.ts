/** Every choice that `--tune` tries, each on work of its shape class. */
import type { Device } from '../../src/gpu/device.ts';
import type {
  ConvShape,
  MatmulShape,
  ProductPlan,
  RegisterTile,
  Tuning,
} from '../../src/gpu/tuning.ts';
import { add } from '../../src/ops/binary.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { convolveWeightGradient } from '../../src/ops/conv2d-kernels.ts';
import type { ConvSizes } from '../../src/ops/conv2d-sizes.ts';
import { permute } from '../../src/ops/layout.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { maxPool2d } from '../../src/ops/pool2d.ts';
import { sum } from '../../src/ops/reduce.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { disposeAll, random } from '../benches/tensors.ts';
import { attentionKnob } from './attention-knob.ts';
import { type Knob, knob, type TuneWork } from './knob.ts';

/** Work on normal numbers; the shapes are smaller on a CPU rasteriser. */
function onRandom(
  shapes: Readonly<Record<'cpu' | 'gpu', readonly Shape[]>>,
  run: (...inputs: readonly Tensor[]) => Tensor,
): (device: Device) => TuneWork {
  return (device) => {
    // The class of the adapter, not of the tuning: what it can do in a moment.
    const inputs = shapes[device.adapter.class].map((shape, i) => random(device, shape, i + 1));
    return { run: () => run(...inputs), dispose: () => disposeAll(...inputs) };
  };
}

const tiled = (
  threads: RegisterTile['threads'],
  blocks: RegisterTile['blocks'],
  slice: number,
): ProductPlan => ({ kernel: 'tiled', threads, blocks, slice });
const rows = (workgroup: number): ProductPlan => ({ kernel: 'rows', workgroup });

/** What is tried on CPU rasterisers; tiles in workgroup memory lose there, and one of them shows by how much. */
const CPU_PLANS: readonly ProductPlan[] = [
  { kernel: 'texels' },
  { kernel: 'subgroup' },
  rows(4),
  rows(8),
  rows(16),
  tiled([16, 8], [1, 2], 16),
];

const SQUARE_TILES: readonly ProductPlan[] = [
  tiled([16, 16], [2, 2], 16),
  tiled([16, 16], [2, 2], 8),
  tiled([16, 8], [2, 2], 16),
  tiled([16, 8], [2, 2], 8),
  tiled([8, 16], [2, 2], 16),
  tiled([8, 16], [2, 2], 8),
  tiled([8, 8], [2, 2], 16),
  tiled([8, 8], [2, 2], 32),
  tiled([16, 16], [2, 1], 16),
  tiled([16, 16], [1, 2], 16),
  tiled([16, 8], [1, 2], 16),
  tiled([16, 8], [1, 2], 32),
  tiled([16, 16], [1, 1], 16),
  tiled([16, 16], [1, 1], 32),
];

const FLAT_TILES: readonly ProductPlan[] = [
  tiled([32, 2], [1, 1], 16),
  tiled([32, 2], [1, 1], 8),
  tiled([16, 2], [2, 1], 16),
  tiled([16, 2], [1, 1], 32),
  tiled([32, 4], [1, 1], 16),
  tiled([16, 4], [1, 1], 16),
  tiled([16, 8], [1, 1], 16),
  tiled([16, 8], [2, 1], 16),
  tiled([32, 8], [1, 1], 16),
  rows(32),
  rows(64),
];

const GPU_PLANS: Readonly<Record<MatmulShape, readonly ProductPlan[]>> = {
  fewRows: FLAT_TILES,
  skinny: FLAT_TILES,
  fewColumns: [
    tiled([4, 16], [1, 1], 32),
    tiled([4, 16], [1, 1], 16),
    tiled([4, 32], [1, 1], 16),
    tiled([2, 32], [2, 1], 16),
    tiled([4, 16], [1, 2], 16),
  ],
  small: SQUARE_TILES,
  large: SQUARE_TILES,
};

/** [M, K] · [K, N]; on a GPU the sizes of the published heads and layers. */
const MATMULS: Readonly<Record<MatmulShape, Readonly<Record<'cpu' | 'gpu', readonly Shape[]>>>> = {
  fewRows: {
    cpu: [
      [4, 1024],
      [1024, 8192],
    ],
    gpu: [
      [4, 1024],
      [1024, 20_532],
    ],
  },
  fewColumns: {
    cpu: [
      [8192, 512],
      [512, 8],
    ],
    gpu: [
      [65_536, 512],
      [512, 8],
    ],
  },
  skinny: {
    cpu: [
      [16, 1024],
      [1024, 8192],
    ],
    gpu: [
      [16, 20_532],
      [20_532, 1024],
    ],
  },
  small: {
    cpu: [
      [512, 512],
      [512, 512],
    ],
    gpu: [
      [1024, 1024],
      [1024, 1024],
    ],
  },
  large: {
    cpu: [
      [2048, 512],
      [512, 1024],
    ],
    gpu: [
      [4096, 4096],
      [4096, 4096],
    ],
  },
};

function matmulKnob(shape: MatmulShape): Knob {
  return knob<ProductPlan>({
    name: `matmul.${shape}`,
    read: ({ matmul }) => matmul[shape],
    write: (t, value) => ({ ...t, matmul: { ...t.matmul, [shape]: value } }),
    values: (t) => (t.class === 'cpu' ? CPU_PLANS : GPU_PLANS[shape]),
    prepare: onRandom(MATMULS[shape], (a, b) => matmul(a!, b!)),
  });
}

/** Images and weights of 3 x 3. */
const CONVS: Readonly<Record<ConvShape, Readonly<Record<'cpu' | 'gpu', readonly Shape[]>>>> = {
  fewRows: {
    cpu: [
      [2, 32, 56, 56],
      [8, 32, 3, 3],
    ],
    gpu: [
      [32, 32, 112, 112],
      [8, 32, 3, 3],
    ],
  },
  narrow: {
    cpu: [
      [2, 64, 56, 56],
      [64, 64, 3, 3],
    ],
    gpu: [
      [32, 64, 56, 56],
      [64, 64, 3, 3],
    ],
  },
  wide: {
    cpu: [
      [2, 128, 28, 28],
      [256, 128, 3, 3],
    ],
    gpu: [
      [32, 256, 14, 14],
      [512, 256, 3, 3],
    ],
  },
};

function convKnob(shape: ConvShape): Knob {
  return knob<ProductPlan>({
    name: `conv.${shape}`,
    read: ({ conv }) => conv[shape],
    write: (t, value) => ({ ...t, conv: { ...t.conv, [shape]: value } }),
    values(t) {
      if (t.class === 'cpu') return CPU_PLANS;
      return shape === 'fewRows' ? FLAT_TILES : SQUARE_TILES;
    },
    prepare: onRandom(CONVS[shape], (x, weight) => conv2d(x!, weight!, null, { padding: 1 })),
  });
}

function rowsKnob(
  width: 'narrow' | 'middle' | 'wide',
  cpu: Shape,
  gpu: Shape,
  threads: readonly number[],
): Knob {
  return knob<number>({
    name: `rows.${width}`,
    read: (t) => t.rows[width],
    write: (t, value) => ({ ...t, rows: { ...t.rows, [width]: value } }),
    values: (t) => (t.class === 'cpu' ? [1, 2, 4] : threads),
    prepare: onRandom({ cpu: [cpu], gpu: [gpu] }, (x) => softmax(x!)),
  });
}

const CHANNELS = 32;
const IMAGES: Shape = [4, CHANNELS, 28, 28];
const SIZES: ConvSizes = {
  batch: 4,
  groups: 1,
  inputs: CHANNELS,
  outputs: CHANNELS,
  size: [28, 28],
  outSize: [28, 28],
  kernel: [3, 3],
  stride: [1, 1],
  dilation: [1, 1],
  padding: [1, 1],
};

const onGpu = (t: Tuning) => t.class === 'gpu';

/** Threads, and what each does, of kernels that walk elements. */
function walks(t: Tuning): [number, number][] {
  return onGpu(t)
    ? [64, 128, 256].flatMap((group) => [1, 2, 4].map((each): [number, number] => [group, each]))
    : [8, 16, 64].flatMap((group) => [8, 16, 32].map((each): [number, number] => [group, each]));
}

export const knobs: readonly Knob[] = [
  knob({
    name: 'elementwise',
    read: (t) => ({ ...t.elementwise }),
    write: (t, elementwise) => ({ ...t, elementwise }),
    values: (t) => walks(t).map(([workgroup, vecs]) => ({ workgroup, vecs })),
    prepare: onRandom(
      {
        cpu: [[2 ** 21], [2 ** 21]],
        gpu: [[2 ** 25], [2 ** 25]],
      },
      (a, b) => add(a!, b!),
    ),
  }),
  knob({
    name: 'copy',
    read: (t) => ({ ...t.copy }),
    write: (t, copy) => ({ ...t, copy }),
    values: (t) => walks(t).map(([workgroup, elements]) => ({ workgroup, elements })),
    prepare: onRandom({ cpu: [[8, 256, 512]], gpu: [[64, 512, 512]] }, (x) =>
      permute(x!, [0, 2, 1]),
    ),
  }),
  knob({
    name: 'thread',
    read: (t) => ({ ...t.thread }),
    write: (t, thread) => ({ ...t, thread }),
    values: (t) =>
      (onGpu(t) ? [32, 64, 128, 256] : [4, 8, 16, 32, 64]).map((workgroup) => ({ workgroup })),
    prepare: onRandom({ cpu: [[1024, 1027]], gpu: [[8192, 4099]] }, (x) => sum(x!, 0)),
  }),
  rowsKnob('narrow', [32_768, 49], [1_048_576, 49], [1, 4, 8, 16, 32]),
  rowsKnob('middle', [4096, 511], [65_536, 511], [16, 32, 64, 128]),
  rowsKnob('wide', [64, 32_767], [1024, 32_767], [64, 128, 256]),
  knob({
    name: 'rows.group',
    read: (t) => t.rows.group,
    write: (t, group) => ({ ...t, rows: { ...t.rows, group } }),
    values: (t) => (onGpu(t) ? [64, 128, 256] : [4, 8, 16, 32]),
    prepare: onRandom({ cpu: [[4096, 511]], gpu: [[65_536, 511]] }, (x) => softmax(x!)),
  }),
  knob({
    name: 'lines',
    read: (t) => ({ ...t.lines }),
    write: (t, lines) => ({ ...t, lines }),
    values: (t) =>
      onGpu(t)
        ? [64, 128, 256].flatMap((group) => [16, 32, 64].map((most) => ({ group, least: 8, most })))
        : [4, 8, 16, 32].map((group) => ({ group, least: 1, most: 1 })),
    prepare: onRandom({ cpu: [[4, 32, 56, 56]], gpu: [[64, 64, 112, 112]] }, (x) =>
      maxPool2d(x!, 3, { stride: 2, padding: 1 }),
    ),
  }),
  matmulKnob('fewRows'),
  matmulKnob('fewColumns'),
  matmulKnob('skinny'),
  matmulKnob('small'),
  matmulKnob('large'),
  convKnob('fewRows'),
  convKnob('narrow'),
  convKnob('wide'),
  attentionKnob,
  knob({
    name: 'enoughGroups',
    read: (t) => t.enoughGroups,
    write: (t, enoughGroups) => ({ ...t, enoughGroups }),
    values: (t) => (onGpu(t) ? [64, 128, 256, 512, 1024] : [8, 16, 32, 64, 128]),
    // A product of few tiles, which is split along K: that of a head's gradient, or the gradient of a convolution's weights.
    prepare: (device) =>
      device.class === 'gpu'
        ? onRandom(MATMULS.skinny, (a, b) => matmul(a!, b!))(device)
        : onRandom({ cpu: [IMAGES, IMAGES], gpu: [IMAGES, IMAGES] }, (x, dy) => {
            const dw = Tensor.empty(device, [CHANNELS, CHANNELS, 3, 3]);
            convolveWeightGradient(x!, dy!, dw, SIZES);
            return dw;
          })(device),
  }),
];
