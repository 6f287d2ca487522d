import { Parameter } from '../../autograd/parameter.ts';
import { add, mul } from '../../ops/binary.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { Attention } from '../attention.ts';
import { type Init, LayerNorm } from '../layers.ts';
import { Module } from '../module.ts';
import { Mlp } from './mlp.ts';

/** x · γ with a γ per channel that starts small (Touvron et al. 2021, CaiT). */
class LayerScale extends Module {
  readonly gamma: Parameter;

  constructor({ device }: Init, width: number, start: number) {
    super();
    this.gamma = Parameter.of(Tensor.from(device, new Float32Array(width).fill(start)));
  }

  forward(x: Tensor): Tensor {
    return mul(x, this.gamma);
  }
}

export interface ViTBlockOptions {
  width: number;
  heads: number;
  /** Width of the perceptron between. */
  hidden: number;
  /** Start value of LayerScale; null for none. */
  layerScale: number | null;
}

/** A pre-norm transformer block (Dosovitskiy et al. 2021) with timm's names: x [B, T, width] to the same. */
export class ViTBlock extends Module {
  readonly norm1: LayerNorm;
  readonly attn: Attention;
  readonly ls1: LayerScale | null;
  readonly norm2: LayerNorm;
  readonly mlp: Mlp;
  readonly ls2: LayerScale | null;

  constructor(init: Init, { width, heads, hidden, layerScale }: ViTBlockOptions) {
    super();
    const scale = () => (layerScale === null ? null : new LayerScale(init, width, layerScale));
    this.norm1 = new LayerNorm(init, width, 1e-6);
    this.attn = new Attention(init, width, heads);
    this.ls1 = scale();
    this.norm2 = new LayerNorm(init, width, 1e-6);
    this.mlp = new Mlp(init, width, hidden);
    this.ls2 = scale();
  }

  forward(x: Tensor): Tensor {
    const attended = this.attn.forward(this.norm1.forward(x));
    const y = add(x, this.ls1?.forward(attended) ?? attended);
    const mixed = this.mlp.forward(this.norm2.forward(y));
    return add(y, this.ls2?.forward(mixed) ?? mixed);
  }
}
