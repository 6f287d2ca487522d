import { HistogradError } from '../../errors.ts';
import { add } from '../../ops/binary.ts';
import { reshape } from '../../ops/layout.ts';
import { roll } from '../../ops/roll.ts';
import { windowPartition, windowReverse } from '../../ops/window-partition.ts';
import { keep } from '../../tensor/scope.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { WindowAttention } from '../attention.ts';
import { type Init, LayerNorm } from '../layers.ts';
import { Module } from '../module.ts';
import { Mlp } from './mlp.ts';

export interface SwinBlockOptions {
  width: number;
  heads: number;
  /** Width of the perceptron between. */
  hidden: number;
  /** Side of the windows; H and W are multiples of it. */
  window: number;
  /** Rows and columns that the windows are shifted by: 0 or window / 2. */
  shift: number;
  /** H and W of the token grid. */
  size: readonly [number, number];
}

/** A Swin transformer block (Liu et al. 2021) with timm's names: x [B, H·W, width] to the same. */
export class SwinBlock extends Module {
  readonly norm1: LayerNorm;
  readonly attn: WindowAttention;
  readonly norm2: LayerNorm;
  readonly mlp: Mlp;
  readonly #options: SwinBlockOptions;
  readonly #mask: Tensor | null;

  constructor(init: Init, options: SwinBlockOptions) {
    super();
    const { width, heads, hidden, window, shift, size } = options;
    if (size.some((n) => n % window !== 0) || !(shift >= 0 && shift < window)) {
      throw new HistogradError(
        'option',
        `SwinBlock: windows of ${window}, shifted by ${shift}, do not tile ${size.join(' x ')} tokens.`,
        'Give a grid of whole windows, and shift by less than a window.',
      );
    }
    this.norm1 = new LayerNorm(init, width);
    this.attn = new WindowAttention(init, width, heads, window);
    this.norm2 = new LayerNorm(init, width);
    this.mlp = new Mlp(init, width, hidden);
    this.#options = options;
    this.#mask = shift > 0 ? keep(shiftMask(init, options)) : null;
  }

  forward(x: Tensor): Tensor {
    const { window, shift, size } = this.#options;
    const [batch, tokens, width] = x.shape as [number, number, number];
    const shifted = (y: Tensor, by: number) => (shift === 0 ? y : roll(y, [by, by], [1, 2]));
    const grid = reshape(this.norm1.forward(x), [batch, ...size, width]);
    const windows = windowPartition(shifted(grid, -shift), window);
    const attended = windowReverse(this.attn.forward(windows, this.#mask), window, ...size);
    const y = add(x, reshape(shifted(attended, shift), [batch, tokens, width]));
    return add(y, this.mlp.forward(this.norm2.forward(y)));
  }

  override dispose(): void {
    this.#mask?.dispose();
    super.dispose();
  }
}

/**
 * −100 between tokens that a shifted window brings together from opposite edges of the grid, else 0:
 * [windows, window², window²].
 */
function shiftMask({ device }: Init, { window, shift, size: [h, w] }: SwinBlockOptions): Tensor {
  const region = (at: number, length: number) =>
    at < length - window ? 0 : at < length - shift ? 1 : 2;
  const count = window * window;
  const windows = (h / window) * (w / window);
  const mask = new Float32Array(windows * count * count);
  const regionOf = (index: number, cell: number) => {
    const row = Math.floor(index / (w / window)) * window + Math.floor(cell / window);
    const column = (index % (w / window)) * window + (cell % window);
    return 3 * region(row, h) + region(column, w);
  };
  for (let index = 0; index < windows; index++) {
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) {
        const apart = regionOf(index, i) !== regionOf(index, j);
        mask[(index * count + i) * count + j] = apart ? -100 : 0;
      }
    }
  }
  return Tensor.from(device, mask, [windows, count, count]);
}
