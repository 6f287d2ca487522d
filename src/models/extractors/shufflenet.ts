import { BatchNorm2d } from '../../nn/batch-norm.ts';
import { Conv2d } from '../../nn/conv.ts';
import { type Init, Linear } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { add } from '../../ops/binary.ts';
import { concat, permute, reshape } from '../../ops/layout.ts';
import { avgPool2d, globalAvgPool2d, maxPool2d } from '../../ops/pool2d.ts';
import { relu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, type Preprocessing } from './extractor.ts';
import { countModules, extent, type Shapes } from './state.ts';

export interface ShuffleNetOptions {
  /** Groups of the 1x1 convolutions. */
  readonly groups: number;
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels of the first of the three stages; each later stage doubles them. */
  readonly width: number;
  /** Units of each stage. */
  readonly depths: readonly [number, number, number];
  readonly classes: number;
}

/** As trained on H&E of TCGA for microsatellite instability (Kather et al. 2019/2020), half the paper's width. */
export const SHUFFLENET: ShuffleNetOptions = {
  groups: 4,
  stem: 24,
  width: 136,
  depths: [4, 8, 4],
  classes: 3,
};

/** Mean and deviation of the tiles it was trained on, 0 to 255 (`input_mean` and `input_std` of its file). */
export const TCGA_TILES: Preprocessing = {
  size: 224,
  resize: 'bilinear',
  mean: [178.67102, 121.36715, 158.07211],
  std: [53.55336, 71.94798, 56.920677],
  scale: 1,
};

/** A convolution with bias and the normalisation behind it: `weight`, `bias`, `bn.*`. */
class NormalisedConv extends Conv2d {
  readonly bn: BatchNorm2d;

  constructor(...args: ConstructorParameters<typeof Conv2d>) {
    super(...args);
    this.bn = new BatchNorm2d(args[0], args[2]);
  }

  override forward(x: Tensor): Tensor {
    return this.bn.forward(super.forward(x));
  }
}

/** Channel i of group g becomes channel g of group i, so that the next grouped convolution sees all groups. */
function channelShuffle(x: Tensor, groups: number): Tensor {
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const grouped = reshape(x, [n, groups, channels / groups, height * width]);
  return reshape(permute(grouped, [0, 2, 1, 3]), x.shape);
}

/** 1x1 in groups, shuffle, 3x3 per channel, 1x1 in groups; the input is added, or with stride 2 pooled and put behind. */
class Unit extends Module {
  readonly gconv1: NormalisedConv;
  readonly dwconv: NormalisedConv;
  readonly gconv2: NormalisedConv;
  readonly #groups: number;
  readonly #stride: number;

  constructor(init: Init, inputs: number, outputs: number, groups: number, stride: 1 | 2) {
    super();
    const own = stride === 2 ? outputs - inputs : outputs;
    this.gconv1 = new NormalisedConv(init, inputs, own, 1, { groups });
    this.dwconv = new NormalisedConv(init, own, own, 3, { stride, padding: 1, groups: own });
    this.gconv2 = new NormalisedConv(init, own, own, 1, { groups });
    this.#groups = groups;
    this.#stride = stride;
  }

  forward(x: Tensor): Tensor {
    const shuffled = channelShuffle(relu(this.gconv1.forward(x)), this.#groups);
    const y = this.gconv2.forward(this.dwconv.forward(shuffled));
    if (this.#stride === 1) return relu(add(x, y));
    return relu(concat([y, avgPool2d(x, 3, { stride: 2, padding: 1 })], 1));
  }
}

/** Units under the names `unit0`, `unit1`, … */
class Stage extends Module {
  readonly #units: readonly Unit[];

  constructor(units: readonly Unit[]) {
    super();
    this.#units = units;
    Object.assign(this, Object.fromEntries(units.map((unit, i) => [`unit${i}`, unit])));
  }

  get steps(): ((x: Tensor) => Tensor)[] {
    return this.#units.map((unit) => (x) => unit.forward(x));
  }
}

/**
 * ShuffleNet v1 (Zhang et al. 2018) under the names of its histology weights: the first 1x1 convolution is
 * grouped as well, convolutions have biases, and the units have no bottleneck.
 */
export class ShuffleNet extends Extractor {
  readonly preprocessing = TCGA_TILES;
  readonly width: number;
  readonly conv1: NormalisedConv;
  readonly stage2: Stage;
  readonly stage3: Stage;
  readonly stage4: Stage;
  readonly fc: Linear;

  constructor(init: Init, options: ShuffleNetOptions = SHUFFLENET) {
    super();
    const { groups, stem, width, depths, classes } = options;
    this.conv1 = new NormalisedConv(init, 3, stem, 3, { stride: 2, padding: 1 });
    let inputs = stem;
    const stage = (index: number) => {
      const outputs = width * 2 ** index;
      const units = Array.from({ length: depths[index]! }, (_, i) => {
        const unit = new Unit(init, inputs, outputs, groups, i === 0 ? 2 : 1);
        inputs = outputs;
        return unit;
      });
      return new Stage(units);
    };
    this.stage2 = stage(0);
    this.stage3 = stage(1);
    this.stage4 = stage(2);
    this.width = inputs;
    this.fc = new Linear(init, inputs, classes);
  }

  forward(images: Tensor): Tensor {
    return chain(images, [
      (x) => relu(this.conv1.forward(x)),
      (x) => maxPool2d(x, 3, { stride: 2, padding: 1 }),
      ...[this.stage2, this.stage3, this.stage4].flatMap(({ steps }) => steps),
      globalAvgPool2d,
    ]);
  }

  /** Logits [N, classes] of what it was trained for. */
  classify(images: Tensor): Tensor {
    return this.fc.forward(this.forward(images));
  }
}

/** The sizes of the ShuffleNet that a state dict is of; null for another network. */
export function inferShuffleNet(state: Shapes): ShuffleNetOptions | null {
  const [a, b, c] = [2, 3, 4].map((stage) => countModules(state, `stage${stage}.unit`));
  const stem = extent(state, 'conv1.weight', 0);
  const first = extent(state, 'stage2.unit0.gconv1.weight', 1);
  const width = stem + extent(state, 'stage2.unit0.gconv2.weight', 0);
  const classes = extent(state, 'fc.weight', 0);
  if (!a || !b || !c || first === 0 || stem % first !== 0) return null;
  return { groups: stem / first, stem, width, depths: [a, b, c], classes };
}

/** Its input statistics are no parameters (see `TCGA_TILES`). */
export function shuffleNetName(name: string): string | null {
  return name === 'input_mean' || name === 'input_std' ? null : name;
}
