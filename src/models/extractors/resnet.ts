import { BatchNorm2d } from '../../nn/batch-norm.ts';
import { BasicBlock, Bottleneck } from '../../nn/blocks/resnet.ts';
import { Conv2d } from '../../nn/conv.ts';
import type { Init } from '../../nn/layers.ts';
import { Sequential } from '../../nn/sequential.ts';
import { reshape } from '../../ops/layout.ts';
import { adaptiveAvgPool2d, maxPool2d } from '../../ops/pool2d.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, IMAGENET, stepsOf } from './extractor.ts';
import { countModules, extent, type Shapes } from './state.ts';

export interface ResNetOptions {
  /** 'basic' of two 3x3 convolutions, or 'bottleneck' with four times the width behind it. */
  readonly block: 'basic' | 'bottleneck';
  /** Blocks of each of the four layers. */
  readonly depths: readonly [number, number, number, number];
  /** Channels of the stem and of the first layer's blocks; each later layer doubles them. */
  readonly stem?: number;
}

export const RESNET18: ResNetOptions = { block: 'basic', depths: [2, 2, 2, 2] };
export const RESNET34: ResNetOptions = { block: 'basic', depths: [3, 4, 6, 3] };
export const RESNET50: ResNetOptions = { block: 'bottleneck', depths: [3, 4, 6, 3] };

/**
 * ResNet (He et al. 2016) without its classifier, under the names that torchvision and timm share; the
 * bottleneck's stride is on its 3x3 convolution (torchvision's v1.5).
 */
export class ResNet extends Extractor {
  readonly preprocessing = IMAGENET;
  readonly width: number;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;

  constructor(init: Init, { block, depths, stem = 64 }: ResNetOptions) {
    super();
    this.conv1 = new Conv2d(init, 3, stem, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = new BatchNorm2d(init, stem);
    const [Block, expansion] = block === 'basic' ? [BasicBlock, 1] : [Bottleneck, 4];
    let inputs = stem;
    const layer = (index: number) => {
      const width = stem * 2 ** index;
      const blocks = Array.from({ length: depths[index]! }, (_, i) => {
        const made = new Block(init, inputs, width, i === 0 && index > 0 ? 2 : 1);
        inputs = width * expansion;
        return made;
      });
      return new Sequential(...blocks);
    };
    this.layer1 = layer(0);
    this.layer2 = layer(1);
    this.layer3 = layer(2);
    this.layer4 = layer(3);
    this.width = inputs;
  }

  forward(images: Tensor): Tensor {
    return chain(images, [
      (x) => this.featureMap(x),
      (x) => reshape(adaptiveAvgPool2d(x, 1), [x.shape[0]!, this.width]),
    ]);
  }

  /** What is pooled: [N, width, H / 32, W / 32], for TRIPLEX a token per position. */
  featureMap(images: Tensor): Tensor {
    const layers = [this.layer1, this.layer2, this.layer3, this.layer4];
    return chain(images, [
      (x) => relu(this.bn1.forward(this.conv1.forward(x))),
      (x) => maxPool2d(x, 3, { stride: 2, padding: 1 }),
      ...layers.flatMap(stepsOf),
    ]);
  }

  override get stages(): readonly (readonly string[])[] {
    return [['conv1', 'bn1'], ['layer1'], ['layer2'], ['layer3'], ['layer4']];
  }
}

/** The sizes of the ResNet that a state dict is of; null for another network. */
export function inferResNet(state: Shapes): ResNetOptions | null {
  const stem = extent(state, 'conv1.weight', 0);
  const depths = [1, 2, 3, 4].map((layer) => countModules(state, `layer${layer}.`));
  if (stem === 0 || depths.includes(0)) return null;
  const [a, b, c, d] = depths as [number, number, number, number];
  const block = state.has('layer1.0.conv3.weight') ? 'bottleneck' : 'basic';
  return { block, depths: [a, b, c, d], stem };
}

/** Torchvision's and timm's names are ours; the classifier goes. */
export function resNetName(name: string): string | null {
  return name.startsWith('fc.') ? null : name;
}
