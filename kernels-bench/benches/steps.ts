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
import type { Bench, Work } from '../bench.ts';
import { random } from './tensors.ts';
import { alsoCaptured, bothPrecisions, training, type Way } from './training.ts';

const ABMIL = { patches: 4096, width: 1024, genes: 20530 };

function prepareAbmil(device: Device, way: Way): Work {
  const { patches, width, genes } = ABMIL;
  const init = { device, generator: new Generator(1) };
  const model = new DirectAbmil(init, { width, genes }, DIRECT_ABMIL);
  const segments = new Segments(device, [0, patches]);
  const data = {
    features: random(device, [patches, width], 2),
    targets: random(device, [1, genes], 3),
  };
  const loss = ({ features, targets }: typeof data) => model.loss({ features, segments }, targets);
  return training(device, { model, data, loss, others: [segments] }, way);
}

const [abmil, abmilMixed] = bothPrecisions(
  'abmil',
  'ABMIL step, 4096 patches x 1024, 20530 genes',
  prepareAbmil,
);

const MLP = { batch: 128, width: 1024, hidden: 512, genes: 4927 };

export class Perceptron extends Module {
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

function prepareMlp(device: Device, way: Way): Work {
  const model = new Perceptron({ device, generator: new Generator(1) });
  const data = {
    x: random(device, [MLP.batch, MLP.width], 2),
    targets: random(device, [MLP.batch, MLP.genes], 3),
  };
  const loss = ({ x, targets }: typeof data) => mse(model.forward(x), targets);
  return training(device, { model, data, loss }, way);
}

const mlp: Bench = {
  id: 'mlp-step',
  name: 'MLP step, batch 128, 1024-512-4927',
  quick: true,
  prepare: (device) => prepareMlp(device, 'float32'),
};

export const stepBenches: readonly Bench[] = [
  alsoCaptured(mlp, prepareMlp),
  alsoCaptured(abmil, prepareAbmil),
  abmilMixed,
];
