/** Training steps of models on features. */
import type { Device } from '../../src/gpu/device.ts';
import { DIRECT_ABMIL, DirectAbmil } from '../../src/models/direct-abmil.ts';
import { type Init, Linear } from '../../src/nn/layers.ts';
import { Module } from '../../src/nn/module.ts';
import { mse } from '../../src/ops/mse.ts';
import { relu } from '../../src/ops/unary.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Segments } from '../../src/tensor/segments.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Bench } from '../bench.ts';
import { random } from './tensors.ts';
import { bothPrecisions, training } from './training.ts';

const ABMIL = { patches: 4096, width: 1024, genes: 20530 };

const abmil = bothPrecisions(
  'abmil',
  'ABMIL step, 4096 patches x 1024, 20530 genes',
  (device, precision) => {
    const { patches, width, genes } = ABMIL;
    const init = { device, generator: new Generator(1) };
    const model = new DirectAbmil(init, { width, genes }, DIRECT_ABMIL);
    const features = random(device, [patches, width], 2);
    const segments = new Segments(device, [0, patches]);
    const targets = random(device, [1, genes], 3);
    const loss = () => model.loss({ features, segments }, targets);
    return training(model, loss, [features, segments, targets], device, precision);
  },
);

const MLP = { batch: 128, width: 1024, hidden: 512, genes: 4927 };

class Perceptron extends Module {
  readonly hidden: Linear;
  readonly head: Linear;

  constructor(init: Init) {
    super();
    this.hidden = new Linear(init, MLP.width, MLP.hidden);
    this.head = new Linear(init, MLP.hidden, MLP.genes);
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(relu(this.hidden.forward(x)));
  }
}

const mlp: Bench = {
  id: 'mlp-step',
  name: 'MLP step, batch 128, 1024-512-4927',
  quick: true,
  prepare(device: Device) {
    const model = new Perceptron({ device, generator: new Generator(1) });
    const x = random(device, [MLP.batch, MLP.width], 2);
    const targets = random(device, [MLP.batch, MLP.genes], 3);
    return training(model, () => mse(model.forward(x), targets), [x, targets], device);
  },
};

export const stepBenches: readonly Bench[] = [mlp, ...abmil];
