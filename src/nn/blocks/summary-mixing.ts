import { add } from '../../ops/binary.ts';
import { concat, reshape, slice } from '../../ops/layout.ts';
import { linear } from '../../ops/matmul.ts';
import { mean } from '../../ops/reduce.ts';
import { gelu } from '../../ops/unary.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type Init, LayerNorm, Linear } from '../layers.ts';
import { Module } from '../module.ts';

/** One head: each token's own projection, joined with a projection of the mean token. */
class SummaryMixer extends Module {
  readonly local_norm: LayerNorm;
  readonly summary_norm: LayerNorm;
  readonly f: Linear;
  readonly s: Linear;
  readonly c: Linear;

  constructor(init: Init, width: number, head: number) {
    super();
    this.local_norm = new LayerNorm(init, head);
    this.summary_norm = new LayerNorm(init, head);
    this.f = new Linear(init, width, head);
    this.s = new Linear(init, width, head);
    this.c = new Linear(init, 2 * head, head);
  }

  /** @param average the mean token, [B, width] */
  forward(x: Tensor, average: Tensor): Tensor {
    const local = gelu(this.local_norm.forward(this.f.forward(x)));
    const summary = gelu(this.summary_norm.forward(this.s.forward(average)));
    // c([local, summary]) in two halves: that of the summary is the same for all tokens of a sample.
    const [batch, head] = summary.shape as [number, number];
    const own = linear(local, slice(this.c.weight, 1, 0, head), this.c.bias);
    const shared = linear(summary, slice(this.c.weight, 1, head, 2 * head));
    return gelu(add(own, reshape(shared, [batch, 1, head])));
  }
}

/**
 * SummaryMixing with heads (Parcollet et al. 2024) in the form and with the names of SEQUOIA's ViS: a mixer of
 * tokens whose cost is linear in their number; x [B, T, width] to the same. The mean over tokens
 * is taken before the linear map s instead of after it, which is the same.
 */
export class SummaryMixing extends Module {
  readonly mixers: readonly SummaryMixer[];
  readonly projection: Linear;

  /** @param head width of each head */
  constructor(init: Init, width: number, heads: number, head: number) {
    super();
    this.mixers = Array.from({ length: heads }, () => new SummaryMixer(init, width, head));
    this.projection = new Linear(init, heads * head, width);
  }

  forward(x: Tensor): Tensor {
    const average = mean(x, 1);
    const heads = this.mixers.map((mixer) => mixer.forward(x, average));
    return this.projection.forward(concat(heads, -1));
  }
}
