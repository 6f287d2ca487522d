/** Attention layers with PyTorch's and timm's names, parameter layouts and initialisation. */
import { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { attention, packedAttention } from '../ops/attention.ts';
import { BiasIndex } from '../ops/attention-bias.ts';
import type { AttentionOptions, PackedAttentionOptions } from '../ops/attention-call.ts';
import { reshape, slice } from '../ops/layout.ts';
import { linear } from '../ops/matmul.ts';
import { inLayer } from '../ops/op.ts';
import { dropping, type Generator, normal, uniform } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type Init, Linear } from './layers.ts';
import { Module } from './module.ts';

function checkHeads(name: string, width: number, heads: number): void {
  if (Number.isInteger(width / heads) && heads >= 1) return;
  throw new HistogradError(
    'option',
    `${name}: a width of ${width} does not divide into ${heads} heads.`,
    'Choose a number of heads that divides the width.',
  );
}

export interface MultiheadAttentionOptions {
  /** Dropout of the attention's probabilities, in training. */
  dropout: number;
  bias: boolean;
}

/**
 * torch.nn.MultiheadAttention with batch_first: `in_proj_weight` [3E, E] is xavier-uniform, its bias and that of
 * `out_proj` are zero at first.
 */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Parameter;
  readonly in_proj_bias: Parameter | null;
  readonly out_proj: Linear;
  readonly numHeads: number;
  readonly dropout: number;
  readonly #generator: Generator;

  constructor(
    init: Init,
    embedDim: number,
    numHeads: number,
    options: Partial<MultiheadAttentionOptions> = {},
  ) {
    super();
    checkHeads('MultiheadAttention', embedDim, numHeads);
    const { device, generator } = init;
    const { dropout = 0, bias = true } = options;
    const bound = Math.sqrt(6 / (4 * embedDim));
    const shape = [3 * embedDim, embedDim];
    this.in_proj_weight = Parameter.of(uniform(device, shape, generator.next(), -bound, bound));
    this.in_proj_bias = bias ? Parameter.of(Tensor.zeros(device, [3 * embedDim])) : null;
    this.out_proj = new Linear(init, embedDim, embedDim, bias);
    if (this.out_proj.bias) device.clear(this.out_proj.bias.buffer);
    this.numHeads = numHeads;
    this.dropout = dropout;
    this.#generator = generator;
  }

  /**
   * @param query [B, Nq, E]; with `segments` [total, E]
   * @param key [B, Nk, E]; without it, and without `value`, attention is that of `query` to itself
   * @param value [B, Nk, E]; without it the keys
   */
  forward(
    query: Tensor,
    key: Tensor = query,
    value: Tensor = key,
    options: Pick<AttentionOptions, 'keyMask' | 'mask' | 'segments'> = {},
  ): Tensor {
    return inLayer(this.layerName, () => {
      const heads = this.numHeads;
      const drops = this.training && this.dropout > 0;
      const all: AttentionOptions = {
        ...options,
        ...(drops ? { dropout: dropping(this.#generator.next(), this.dropout) } : {}),
      };
      const { in_proj_weight: weight, in_proj_bias: bias } = this;
      if (key === query && value === query) {
        return this.out_proj.forward(
          packedAttention(linear(query, weight, bias), { ...all, heads }),
        );
      }
      const width = weight.shape[1]!;
      const project = (x: Tensor, third: number) => {
        const part = (p: Tensor) => slice(p, 0, third * width, (third + 1) * width);
        const y = linear(x, part(weight), bias && part(bias));
        return reshape(y, [...x.shape.slice(0, -1), heads, width / heads]);
      };
      const attended = attention(project(query, 0), project(key, 1), project(value, 2), {
        ...all,
        layout: 'bnhd',
      });
      return this.out_proj.forward(reshape(attended, query.shape));
    });
  }
}

/** Self-attention of a vision transformer with timm's names: `qkv` [3C, C] and `proj`. */
export class Attention extends Module {
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly numHeads: number;

  constructor(init: Init, width: number, numHeads: number, { qkvBias = true } = {}) {
    super();
    checkHeads('Attention', width, numHeads);
    this.qkv = new Linear(init, width, 3 * width, qkvBias);
    this.proj = new Linear(init, width, width);
    this.numHeads = numHeads;
  }

  /** x [B, N, C] to the same; with `segments` [total, C]. */
  forward(x: Tensor, options: Omit<PackedAttentionOptions, 'heads'> = {}): Tensor {
    const qkv = this.qkv.forward(x);
    const heads = this.numHeads;
    const attended = inLayer(this.layerName, () => packedAttention(qkv, { ...options, heads }));
    return this.proj.forward(attended);
  }
}

/**
 * Attention within windows with a trained bias per relative position (Swin, Liu et al. 2021), with timm's names:
 * `relative_position_bias_table` [(2w − 1)², H] is normal with deviation 0.02 at first.
 */
export class WindowAttention extends Module {
  readonly relative_position_bias_table: Parameter;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly numHeads: number;
  readonly #index: BiasIndex;

  constructor(
    init: Init,
    width: number,
    numHeads: number,
    window: number,
    { qkvBias = true } = {},
  ) {
    super();
    checkHeads('WindowAttention', width, numHeads);
    const { device, generator } = init;
    const rows = (2 * window - 1) ** 2;
    // timm's truncated normal cuts at ±2, a hundred deviations away.
    const table = normal(device, [rows, numHeads], generator.next(), 0, 0.02);
    this.relative_position_bias_table = Parameter.of(table);
    this.qkv = new Linear(init, width, 3 * width, qkvBias);
    this.proj = new Linear(init, width, width);
    this.numHeads = numHeads;
    const [queries, keys] = [window * window, window * window];
    this.#index = new BiasIndex(device, relativePositionIndex(window), { queries, keys, rows });
  }

  /**
   * @param x windows [B·W, w², C], those of an image one after the other
   * @param mask [W, w², w²], added to the scores: −100 between tokens that a shift brought together
   */
  forward(x: Tensor, mask: Tensor | null = null): Tensor {
    const qkv = this.qkv.forward(x);
    const options = {
      heads: this.numHeads,
      biasIndex: this.#index,
      ...(mask ? { mask } : {}),
    };
    const attended = inLayer(this.layerName, () =>
      packedAttention(qkv, options, this.relative_position_bias_table),
    );
    return this.proj.forward(attended);
  }

  override dispose(): void {
    this.#index.dispose();
    super.dispose();
  }
}

/** The index of each pair of cells of a w × w window, by a function of their distances in rows and columns. */
function pairIndex(w: number, index: (rows: number, columns: number) => number): Uint32Array {
  const cells = w * w;
  return Uint32Array.from({ length: cells * cells }, (_, pair) => {
    const [i, j] = [Math.floor(pair / cells), pair % cells];
    return index(Math.floor(i / w) - Math.floor(j / w), (i % w) - (j % w));
  });
}

/** Swin's relative_position_index of a w × w window, flat [w², w²]: (Δrow + w − 1)(2w − 1) + Δcolumn + w − 1. */
export function relativePositionIndex(w: number): Uint32Array {
  return pairIndex(w, (rows, columns) => (rows + w - 1) * (2 * w - 1) + columns + w - 1);
}

/** The attention_bias_idxs of LeViT and TRIPLEX on a w × w grid, flat [w², w²]: |Δrow| w + |Δcolumn|. */
export function absoluteOffsetIndex(w: number): Uint32Array {
  return pairIndex(w, (rows, columns) => Math.abs(rows) * w + Math.abs(columns));
}
