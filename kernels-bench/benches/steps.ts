/** Whole training steps: forward, backward, gradient norm, AdamW. */

import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { DIRECT_ABMIL, DirectAbmil } from '../../src/models/direct-abmil.ts';
import { type Init, Linear } from '../../src/nn/layers.ts';
import { Module } from '../../src/nn/module.ts';
import { mse } from '../../src/ops/mse.ts';
import { relu } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { Generator } from '../../src/tensor/random.ts';
import { Segments } from '../../src/tensor/segments.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { type Bench, FLOAT, type Work } from '../bench.ts';
import { random } from './tensors.ts';

/** Trains `model` on the same data again and again. */
function training(model: Module, loss: () => Tensor, data: readonly { dispose(): void }[]): Work {
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  return {
    run() {
      backward(loss());
      optimizer.step(clipGradNorm(model.namedParameters().values()));
      optimizer.zeroGrad();
    },
    dispose() {
      optimizer.dispose();
      model.dispose();
      for (const item of data) item.dispose();
    },
  };
}

/** Parameters are read with their moments and gradient, and written with their moments: 7 passes, 3 of the weights besides. */
const PASSES = 10;

const ABMIL = { patches: 4096, width: 1024, genes: 20530 };

function abmil(): Bench {
  const { patches, width, genes } = ABMIL;
  const { hidden, attention } = DIRECT_ABMIL;
  const perPatch = width * hidden + 2 * hidden * attention + attention;
  const parameters = perPatch + hidden * genes;
  return {
    id: 'abmil-step',
    name: 'ABMIL step, 4096 patches x 1024, 20530 genes',
    quick: false,
    // Three products per layer, but none for the gradient of the features.
    flops: 6 * patches * perPatch - 2 * patches * width * hidden + 6 * hidden * genes,
    bytes: FLOAT * (PASSES * parameters + 2 * patches * width),
    prepare(device: Device) {
      const context = { device, generator: new Generator(1), genes: null };
      const model = new DirectAbmil(context, { width, genes }, DIRECT_ABMIL);
      const features = random(device, [patches, width], 2);
      const segments = new Segments(device, [0, patches]);
      const targets = random(device, [1, genes], 3);
      return training(model, () => model.loss({ features, segments }, targets), [
        features,
        segments,
        targets,
      ]);
    },
  };
}

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

function mlp(): Bench {
  const { batch, width, hidden, genes } = MLP;
  const parameters = width * hidden + hidden * genes;
  return {
    id: 'mlp-step',
    name: 'MLP step, batch 128, 1024-512-4927',
    quick: true,
    flops: 6 * batch * parameters - 2 * batch * width * hidden,
    bytes: FLOAT * PASSES * parameters,
    prepare(device: Device) {
      const model = new Perceptron({ device, generator: new Generator(1) });
      const x = random(device, [batch, width], 2);
      const targets = random(device, [batch, genes], 3);
      return training(model, () => mse(model.forward(x), targets), [x, targets]);
    },
  };
}

export const stepBenches: readonly Bench[] = [mlp(), abmil()];
