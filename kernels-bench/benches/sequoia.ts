/**
 * Training steps at the size of SEQUOIA (Pizurica et al. 2024): 16 slides of 100 cluster means, six blocks of 16 heads of 64, all
 * genes; with SummaryMixing (its linearised form) and with attention.
 */
import { Parameter } from '../../src/autograd/parameter.ts';
import type { Device } from '../../src/gpu/device.ts';
import { Attention } from '../../src/nn/attention.ts';
import { Mlp } from '../../src/nn/blocks/mlp.ts';
import { SummaryMixing } from '../../src/nn/blocks/summary-mixing.ts';
import { type Init, LayerNorm, Linear } from '../../src/nn/layers.ts';
import { Module } from '../../src/nn/module.ts';
import { add } from '../../src/ops/binary.ts';
import { mse } from '../../src/ops/mse.ts';
import { mean } from '../../src/ops/reduce.ts';
import { Generator } from '../../src/tensor/random.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';
import type { Bench } from '../bench.ts';
import { random } from './tensors.ts';
import { bothPrecisions, training } from './training.ts';

const SIZES = { batch: 16, tokens: 100, width: 1024, depth: 6, heads: 16, head: 64, genes: 20820 };

type Mixer = 'summary' | 'attention';

/** x + mix(x), then a perceptron; attention is normalised before, SummaryMixing is not. */
class Block extends Module {
  readonly norm: LayerNorm | null;
  readonly mixer: SummaryMixing | Attention;
  readonly norm2: LayerNorm;
  readonly mlp: Mlp;

  constructor(init: Init, mixer: Mixer) {
    super();
    const { width, heads, head } = SIZES;
    const summary = mixer === 'summary';
    this.norm = summary ? null : new LayerNorm(init, width);
    this.mixer = summary
      ? new SummaryMixing(init, width, heads, head)
      : new Attention(init, width, heads, { qkvBias: false });
    this.norm2 = new LayerNorm(init, width);
    this.mlp = new Mlp(init, width, summary ? width : 2 * width);
  }

  forward(x: Tensor): Tensor {
    const y = add(x, this.mixer.forward(this.norm?.forward(x) ?? x));
    return add(y, this.mlp.forward(this.norm2.forward(y)));
  }
}

/** What the parameters of a block with SummaryMixing measure. */
export function summaryBlockShapes(device: Device): Shape[] {
  const block = new Block({ device, generator: new Generator(1) }, 'summary');
  const shapes = [...block.namedParameters().values()].map(({ shape }) => shape);
  block.dispose();
  return shapes;
}

class Sequoia extends Module {
  readonly position: Parameter;
  readonly blocks: readonly Block[];
  readonly norm: LayerNorm;
  readonly head: Linear;

  constructor(init: Init, mixer: Mixer) {
    super();
    const { tokens, width, depth, genes } = SIZES;
    this.position = Parameter.of(random(init.device, [tokens, width], 9));
    this.blocks = Array.from({ length: depth }, () => new Block(init, mixer));
    this.norm = new LayerNorm(init, width);
    this.head = new Linear(init, width, genes);
  }

  forward(x: Tensor): Tensor {
    const tokens = this.blocks.reduce((y, block) => block.forward(y), add(x, this.position));
    return this.head.forward(this.norm.forward(mean(tokens, 1)));
  }
}

function step(id: string, name: string, mixer: Mixer): Bench[] {
  const { batch, tokens, width, genes } = SIZES;
  const title = `${name} step, ${batch} x ${tokens} tokens x ${width}, ${genes} genes`;
  return bothPrecisions(id, title, (device, way) => {
    const model = new Sequoia({ device, generator: new Generator(1) }, mixer);
    const data = {
      x: random(device, [batch, tokens, width], 2),
      targets: random(device, [batch, genes], 3),
    };
    const loss = ({ x, targets }: typeof data) => mse(model.forward(x), targets);
    return training(device, { model, data, loss }, way);
  });
}

export const sequoiaBenches: readonly Bench[] = [
  ...step('summary-mixing', 'SummaryMixing', 'summary'),
  ...step('transformer', 'Transformer', 'attention'),
];
