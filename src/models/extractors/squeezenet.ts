import { ReLU } from '../../nn/activation.ts';
import { Conv2d } from '../../nn/conv.ts';
import type { Init } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { MaxPool2d } from '../../nn/pool.ts';
import { Sequential } from '../../nn/sequential.ts';
import { concat } from '../../ops/layout.ts';
import { globalAvgPool2d } from '../../ops/pool2d.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, IMAGENET, type Preprocessing, stepsOf } from './extractor.ts';
import { extent, type Shapes } from './state.ts';

export interface SqueezeNetOptions {
  /** Whose weights, which decides on the preprocessing alone: the authors' (Caffe) or torchvision's. */
  readonly weights: 'caffe' | 'torchvision';
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels between the layers of each of the eight Fire modules; each gives eight times as many. */
  readonly squeeze: readonly number[];
  readonly classes: number;
}

export const SQUEEZENET: SqueezeNetOptions = {
  weights: 'caffe',
  stem: 96,
  squeeze: [16, 16, 32, 32, 48, 48, 64, 64],
  classes: 1000,
};

/** Of Caffe's models for ImageNet: BGR from 0 to 255, less the mean colour. */
export const CAFFE: Preprocessing = {
  size: 227,
  resize: 'bilinear',
  mean: [104, 117, 123],
  std: [1, 1, 1],
  scale: 1,
  channels: 'bgr',
};

/** A 1x1 convolution to few channels, then 1x1 and 3x3 side by side. */
class Fire extends Module {
  readonly squeeze: Conv2d;
  readonly expand1x1: Conv2d;
  readonly expand3x3: Conv2d;

  constructor(init: Init, inputs: number, squeeze: number) {
    super();
    this.squeeze = new Conv2d(init, inputs, squeeze, 1);
    this.expand1x1 = new Conv2d(init, squeeze, 4 * squeeze, 1);
    this.expand3x3 = new Conv2d(init, squeeze, 4 * squeeze, 3, { padding: 1 });
  }

  forward(x: Tensor): Tensor {
    const few = relu(this.squeeze.forward(x));
    return concat([relu(this.expand1x1.forward(few)), relu(this.expand3x3.forward(few))], 1);
  }
}

/** SqueezeNet 1.0 (Iandola et al. 2016) under torchvision's names (`features.3.squeeze`, `classifier.1`). */
export class SqueezeNet extends Extractor {
  readonly preprocessing: Preprocessing;
  readonly width: number;
  readonly features: Sequential;
  readonly classifier: Sequential;

  constructor(init: Init, options: SqueezeNetOptions = SQUEEZENET) {
    super();
    const { weights, stem, squeeze, classes } = options;
    this.preprocessing = weights === 'caffe' ? CAFFE : IMAGENET;
    const halve = () => new MaxPool2d(3, { stride: 2, ceilMode: true });
    const fires = squeeze.map((s, i) => new Fire(init, i > 0 ? 8 * squeeze[i - 1]! : stem, s));
    this.features = new Sequential(
      new Conv2d(init, 3, stem, 7, { stride: 2 }),
      new ReLU(),
      halve(),
      ...fires.slice(0, 3),
      halve(),
      ...fires.slice(3, 7),
      halve(),
      ...fires.slice(7),
    );
    this.width = 8 * squeeze.at(-1)!;
    // torchvision's dropout, which has no parameters, is layer 0.
    this.classifier = new Sequential(new ReLU(), new Conv2d(init, this.width, classes, 1));
  }

  forward(images: Tensor): Tensor {
    return chain(images, [...stepsOf(this.features), globalAvgPool2d]);
  }

  /** Logits [N, classes]. */
  classify(images: Tensor): Tensor {
    const steps = [...stepsOf(this.features), ...stepsOf(this.classifier)];
    return chain(images, [...steps, relu, globalAvgPool2d]);
  }
}

/** The sizes of the SqueezeNet that a state dict under torchvision's names is of; null for another network. */
export function inferSqueezeNet(state: Shapes): Omit<SqueezeNetOptions, 'weights'> | null {
  const stem = extent(state, 'features.0.weight', 0);
  const squeeze = FIRES.map((at) => extent(state, `features.${at}.squeeze.weight`, 0));
  const classes = extent(state, 'classifier.1.weight', 0);
  return stem === 0 || squeeze.includes(0) ? null : { stem, squeeze, classes };
}

/** Places of the Fire modules among the features: Caffe calls them fire2 to fire9. */
const FIRES = [3, 4, 5, 7, 8, 9, 10, 12];
const CAFFE_PARTS = new Map([
  ['conv1x1_1', 'squeeze'],
  ['conv1x1_2', 'expand1x1'],
  ['conv3x3_2', 'expand3x3'],
]);

/** The names of the authors' weights as torchvision's, whose own are left out: their preprocessing is another. */
export function caffeSqueezeNetName(name: string): string | null {
  const [, layer, fire, part, value] =
    /^(conv1|conv_final|conv10|fire(\d)\/(\w+))\.(weight|bias)$/.exec(name) ?? [];
  if (layer === undefined) return /^(features|classifier)\./.test(name) ? null : name;
  if (fire === undefined) return `${layer === 'conv1' ? 'features.0' : 'classifier.1'}.${value}`;
  const at = FIRES[Number(fire) - 2];
  const own = CAFFE_PARTS.get(part!);
  return at === undefined || own === undefined ? name : `features.${at}.${own}.${value}`;
}
