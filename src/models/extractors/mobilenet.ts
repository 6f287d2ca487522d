import { BatchNorm2d } from '../../nn/batch-norm.ts';
import { Conv2d, type Conv2dLayerOptions } from '../../nn/conv.ts';
import { type Init, Linear } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { type Layer, Sequential } from '../../nn/sequential.ts';
import { add } from '../../ops/binary.ts';
import { globalAvgPool2d } from '../../ops/pool2d.ts';
import { clamp } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, HALVES, IMAGENET, type Preprocessing, stepsOf } from './extractor.ts';
import { extent, type Shapes } from './state.ts';

export interface MobileNetOptions {
  /**
   * Google's: padded as TensorFlow does, batch normalisation folded into the convolutions, class 0 for background.
   * torchvision's: padded on both sides, with batch normalisation.
   */
  readonly weights: 'google' | 'torchvision';
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Expansion, channels, blocks and first stride of each stage. */
  readonly stages: readonly (readonly [number, number, number, 1 | 2])[];
  /** Length of an embedding. */
  readonly width: number;
  readonly classes: number;
}

/** MobileNetV2 1.0. */
export const MOBILENET: MobileNetOptions = {
  weights: 'google',
  stem: 32,
  stages: [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ],
  width: 1280,
  classes: 1001,
};

/** min(max(x, 0), 6). */
class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return clamp(x, 0, 6);
  }
}

/** A convolution whose zeros go below and to the right first, as with TensorFlow's padding 'SAME'. */
class SameConv2d extends Conv2d {
  readonly #stride: number;

  constructor(init: Init, inputs: number, outputs: number, options: SameConvOptions) {
    const { kernel, stride = 1, groups = 1 } = options;
    super(init, inputs, outputs, kernel, { stride, groups });
    this.#stride = stride;
  }

  protected override paddingFor({ shape }: Tensor) {
    const zeros = (axis: 2 | 3): [number, number] => {
      const size = shape[axis]!;
      const steps = Math.ceil(size / this.#stride) - 1;
      const all = Math.max(0, steps * this.#stride + this.weight.shape[axis]! - size);
      return [Math.floor(all / 2), Math.ceil(all / 2)];
    };
    return [zeros(2), zeros(3)] as const;
  }
}

interface SameConvOptions {
  kernel: number;
  stride?: number;
  groups?: number;
}

/** Layers of one convolution, in either kind of weights. */
type Unit = (
  inputs: number,
  outputs: number,
  options: Omit<SameConvOptions, 'kernel'> & { kernel?: number },
) => Layer[];

function unitOf(init: Init, weights: MobileNetOptions['weights']): Unit {
  return (inputs, outputs, { kernel = 1, ...options }) => {
    if (weights === 'google')
      return [new SameConv2d(init, inputs, outputs, { kernel, ...options })];
    const all: Conv2dLayerOptions = { ...options, padding: (kernel - 1) / 2, bias: false };
    return [new Conv2d(init, inputs, outputs, kernel, all), new BatchNorm2d(init, outputs)];
  };
}

/** 1x1 to more channels, 3x3 per channel, 1x1 to few; the input is added where it fits. */
class InvertedResidual extends Module {
  readonly conv: Sequential;
  readonly residual: boolean;

  constructor(unit: Unit, inputs: number, outputs: number, expansion: number, stride: number) {
    super();
    const middle = inputs * expansion;
    const expand = expansion > 1 ? [new Sequential(...unit(inputs, middle, {}), new ReLU6())] : [];
    const depthwise = unit(middle, middle, { kernel: 3, stride, groups: middle });
    this.conv = new Sequential(
      ...expand,
      new Sequential(...depthwise, new ReLU6()),
      ...unit(middle, outputs, {}),
    );
    this.residual = stride === 1 && inputs === outputs;
  }

  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return this.residual ? add(x, y) : y;
  }
}

/** MobileNetV2 (Sandler et al. 2018) under torchvision's names. */
export class MobileNet extends Extractor {
  readonly preprocessing: Preprocessing;
  readonly width: number;
  readonly features: Sequential;
  readonly classifier: Sequential;

  constructor(init: Init, options: MobileNetOptions = MOBILENET) {
    super();
    const { weights, stem, stages, width, classes } = options;
    this.preprocessing = weights === 'google' ? HALVES : IMAGENET;
    const unit = unitOf(init, weights);
    let inputs = stem;
    const blocks = stages.flatMap(([expansion, channels, count, first]) =>
      Array.from({ length: count }, (_, i) => {
        const stride = i === 0 ? first : 1;
        const block = new InvertedResidual(unit, inputs, channels, expansion, stride);
        inputs = channels;
        return block;
      }),
    );
    this.features = new Sequential(
      new Sequential(...unit(3, stem, { kernel: 3, stride: 2 }), new ReLU6()),
      ...blocks,
      new Sequential(...unit(inputs, width, {}), new ReLU6()),
    );
    this.width = width;
    // torchvision's dropout, which has no parameters, is layer 0.
    this.classifier = new Sequential(new ReLU6(), new Linear(init, width, classes));
  }

  forward(images: Tensor): Tensor {
    return chain(images, [...stepsOf(this.features), globalAvgPool2d]);
  }

  /** Logits [N, classes]. */
  classify(images: Tensor): Tensor {
    return this.classifier.at(1)!.forward(this.forward(images));
  }
}

/** MobileNetV2 1.0 of either kind, from a state dict under torchvision's names; null for another network. */
export function inferMobileNet(state: Shapes): MobileNetOptions | null {
  const stem = extent(state, 'features.0.0.weight', 0);
  const middle = extent(state, 'features.17.conv.1.0.weight', 0);
  if (stem !== 32 || middle !== 960 || !state.has('features.18.0.weight')) return null;
  const weights = state.has('features.0.1.running_mean') ? 'torchvision' : 'google';
  return { ...MOBILENET, weights, classes: extent(state, 'classifier.1.weight', 0) };
}

/**
 * Google's names, the operations of the TensorFlow Lite graph in their order (op09 is the first addition, op62 the
 * pooling), as ours.
 */
const OPERATIONS = operations();

function operations(): Map<number, string> {
  const names = new Map([[0, 'features.0.0']]);
  let operation = 1;
  let block = 1;
  for (const [expansion, , count] of MOBILENET.stages) {
    for (let i = 0; i < count; i++, block++) {
      const units = expansion > 1 ? ['0.0', '1.0', '2'] : ['0.0', '1'];
      for (const unit of units) names.set(operation++, `features.${block}.conv.${unit}`);
      if (i > 0) operation++; // the addition
    }
  }
  names.set(operation, `features.${block}.0`);
  return names.set(operation + 2, 'classifier.1');
}

/** The names of Google's weights as ours; those of torchvision as they are. */
export function mobileNetName(name: string): string | null {
  const [, operation, value] = /^op(\d+)_(?:conv|dw)\.(weight|bias)$/.exec(name) ?? [];
  if (operation === undefined) return name;
  const own = OPERATIONS.get(Number(operation));
  return own === undefined ? null : `${own}.${value}`;
}
