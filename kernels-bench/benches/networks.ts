/** Training steps of image networks: all of the network, and a layer that predicts 250 genes from its embedding. */
import type { Extractor } from '../../src/models/extractors/extractor.ts';
import { RESNET18, ResNet } from '../../src/models/extractors/resnet.ts';
import { VIT_S16, ViT } from '../../src/models/extractors/vit.ts';
import { type Init, Linear } from '../../src/nn/layers.ts';
import { Module } from '../../src/nn/module.ts';
import { mse } from '../../src/ops/mse.ts';
import { Generator } from '../../src/tensor/random.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Bench } from '../bench.ts';
import { random } from './tensors.ts';
import { bothPrecisions, training } from './training.ts';

const SIZE = 224;
const GENES = 250;

class Regressor extends Module {
  readonly extractor: Extractor;
  readonly head: Linear;

  constructor(init: Init, extractor: Extractor) {
    super();
    this.extractor = extractor;
    this.head = new Linear(init, extractor.width, GENES);
  }

  forward(images: Tensor): Tensor {
    return this.head.forward(this.extractor.forward(images));
  }
}

function step(id: string, name: string, batch: number, make: (init: Init) => Extractor): Bench[] {
  const title = `${name} step, ${batch} images of ${SIZE} x ${SIZE}`;
  return bothPrecisions(id, title, (device, way) => {
    const init = { device, generator: new Generator(1) };
    const model = new Regressor(init, make(init));
    const data = {
      images: random(device, [batch, 3, SIZE, SIZE], 2),
      targets: random(device, [batch, GENES], 3),
    };
    const loss = ({ images, targets }: typeof data) => mse(model.forward(images), targets);
    return training(device, { model, data, loss }, way);
  });
}

export const networkBenches: readonly Bench[] = [
  ...step('resnet18', 'ResNet18', 32, (init) => new ResNet(init, RESNET18)),
  ...step('vit-s', 'ViT-S/16', 4, (init) => new ViT(init, VIT_S16)),
];
