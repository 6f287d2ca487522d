import { BatchNorm2d } from '../../nn/batch-norm.ts';
import { DenseLayer } from '../../nn/blocks/densenet.ts';
import { Conv2d } from '../../nn/conv.ts';
import type { Init } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { reshape } from '../../ops/layout.ts';
import { adaptiveAvgPool2d, avgPool2d, maxPool2d } from '../../ops/pool2d.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, IMAGENET } from './extractor.ts';
import { countModules, extent, type Shapes } from './state.ts';

export interface DenseNetOptions {
  /** Layers of each block. */
  readonly depths: readonly number[];
  /** Channels that a layer adds. */
  readonly growth: number;
  /** Channels of the stem. */
  readonly stem: number;
}

export const DENSENET121: DenseNetOptions = { depths: [6, 12, 24, 16], growth: 32, stem: 64 };

/** The layers of a block: `denselayer1`, `denselayer2`, … */
class DenseBlock extends Module {
  readonly #layers: readonly DenseLayer[];

  constructor(init: Init, inputs: number, { growth }: DenseNetOptions, depth: number) {
    super();
    this.#layers = Array.from(
      { length: depth },
      (_, i) => new DenseLayer(init, inputs + i * growth, growth),
    );
    const named = this.#layers.map((layer, i) => [`denselayer${i + 1}`, layer]);
    Object.assign(this, Object.fromEntries(named));
  }

  forward(x: Tensor): Tensor {
    return chain(
      x,
      this.#layers.map((layer) => (y) => layer.forward(y)),
    );
  }
}

/** Half the channels and half the size. */
class Transition extends Module {
  readonly norm: BatchNorm2d;
  readonly conv: Conv2d;

  constructor(init: Init, inputs: number) {
    super();
    this.norm = new BatchNorm2d(init, inputs);
    this.conv = new Conv2d(init, inputs, Math.floor(inputs / 2), 1, { bias: false });
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(this.conv.forward(relu(this.norm.forward(x))), 2);
  }
}

/** Everything before the pooling: the stem, `denseblock1`, `transition1`, …, and the last norm. */
class Features extends Module {
  readonly conv0: Conv2d;
  readonly norm0: BatchNorm2d;
  readonly norm5: BatchNorm2d;
  readonly width: number;
  readonly #blocks: readonly (DenseBlock | Transition)[];

  constructor(init: Init, options: DenseNetOptions) {
    super();
    const { depths, growth, stem } = options;
    this.conv0 = new Conv2d(init, 3, stem, 7, { stride: 2, padding: 3, bias: false });
    this.norm0 = new BatchNorm2d(init, stem);
    let channels = stem;
    const named = depths.flatMap((depth, i): [string, DenseBlock | Transition][] => {
      const block = new DenseBlock(init, channels, options, depth);
      channels += depth * growth;
      if (i === depths.length - 1) return [[`denseblock${i + 1}`, block]];
      const transition = new Transition(init, channels);
      channels = Math.floor(channels / 2);
      return [
        [`denseblock${i + 1}`, block],
        [`transition${i + 1}`, transition],
      ];
    });
    this.#blocks = named.map(([, block]) => block);
    Object.assign(this, Object.fromEntries(named)); // public, where `Module` looks for them
    this.norm5 = new BatchNorm2d(init, channels);
    this.width = channels;
  }

  forward(images: Tensor): Tensor {
    return chain(images, [
      (x) => relu(this.norm0.forward(this.conv0.forward(x))),
      (x) => maxPool2d(x, 3, { stride: 2, padding: 1 }),
      ...this.#blocks.map((block) => (x: Tensor) => block.forward(x)),
      (x) => relu(this.norm5.forward(x)),
    ]);
  }
}

/** DenseNet (Huang et al. 2017) without its classifier, under torchvision's names. */
export class DenseNet extends Extractor {
  readonly preprocessing = IMAGENET;
  readonly width: number;
  readonly features: Features;
  readonly #depth: number;

  constructor(init: Init, options: DenseNetOptions) {
    super();
    this.features = new Features(init, options);
    this.width = this.features.width;
    this.#depth = options.depths.length;
  }

  forward(images: Tensor): Tensor {
    return chain(images, [
      (x) => this.featureMap(x),
      (x) => reshape(adaptiveAvgPool2d(x, 1), [x.shape[0]!, this.width]),
    ]);
  }

  /** What is pooled: [N, width, H / 32, W / 32]. */
  featureMap(images: Tensor): Tensor {
    return this.features.forward(images);
  }

  override get stages(): readonly (readonly string[])[] {
    const blocks = Array.from({ length: this.#depth }, (_, i) => {
      const last = i === this.#depth - 1;
      return [`denseblock${i + 1}`, last ? 'norm5' : `transition${i + 1}`];
    });
    const stages = [['conv0', 'norm0'], ...blocks];
    return stages.map((names) => names.map((name) => `features.${name}`));
  }
}

/** The sizes of the DenseNet that a state dict is of; null for another network. */
export function inferDenseNet(state: Shapes): DenseNetOptions | null {
  const stem = extent(state, 'features.conv0.weight', 0);
  const growth = extent(state, 'features.denseblock1.denselayer1.conv2.weight', 0);
  if (stem === 0 || growth === 0) return null;
  const depths = Array.from({ length: countModules(state, 'features.denseblock', 1) }, (_, i) =>
    countModules(state, `features.denseblock${i + 1}.denselayer`, 1),
  );
  return { depths, growth, stem };
}

/** Drops the classifier, and joins the names of torchvision before 2018: `norm.1` to `norm1`, `conv.2` to `conv2`. */
export function denseNetName(name: string): string | null {
  if (name.startsWith('classifier.')) return null;
  return name.replace(/(\.denselayer\d+\.(?:norm|conv))\.([12])\./, '$1$2.');
}
