import { HistogradError } from '../../errors.ts';
import { ReLU } from '../../nn/activation.ts';
import { BatchNorm2d } from '../../nn/batch-norm.ts';
import { SwinBlock } from '../../nn/blocks/swin.ts';
import { Conv2d } from '../../nn/conv.ts';
import { type Init, LayerNorm, Linear } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { Sequential } from '../../nn/sequential.ts';
import { permute, reshape } from '../../ops/layout.ts';
import { shapeError } from '../../ops/op.ts';
import { mean } from '../../ops/reduce.ts';
import { windowPartition } from '../../ops/window-partition.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { chain, Extractor, IMAGENET, stepsOf } from './extractor.ts';
import { countModules, extent, renamed, type Shapes } from './state.ts';

export interface CTransPathOptions {
  /** Channels of the first stage; each later stage doubles them. */
  readonly width: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Heads of each stage. */
  readonly heads: readonly number[];
  /** Side of the attention windows, in tokens. */
  readonly window: number;
  /** Side of the images, in pixels: four times the tokens of the first stage. */
  readonly size: number;
}

/** Swin-T. */
export const CTRANSPATH: CTransPathOptions = {
  width: 96,
  depths: [2, 2, 6, 2],
  heads: [3, 6, 12, 24],
  window: 7,
  size: 224,
};

/** Three convolutions in the place of Swin's one: [N, 3, H, W] to tokens [N, H / 4 · W / 4, width]. */
class ConvStem extends Module {
  readonly proj: Sequential;
  readonly norm: LayerNorm;

  constructor(init: Init, width: number) {
    super();
    const half = (inputs: number, outputs: number) =>
      new Conv2d(init, inputs, outputs, 3, { stride: 2, padding: 1, bias: false });
    const [a, b] = [width / 8, width / 4];
    this.proj = new Sequential(
      half(3, a),
      new BatchNorm2d(init, a),
      new ReLU(),
      half(a, b),
      new BatchNorm2d(init, b),
      new ReLU(),
      new Conv2d(init, b, width, 1),
    );
    this.norm = new LayerNorm(init, width);
  }

  forward(images: Tensor): Tensor {
    const grid = chain(images, stepsOf(this.proj));
    const [count, width, rows, columns] = grid.shape as [number, number, number, number];
    const tokens = permute(reshape(grid, [count, width, rows * columns]), [0, 2, 1]);
    return this.norm.forward(tokens);
  }
}

/** Four neighbouring tokens to one of twice the width: [N, side², C] to [N, side² / 4, 2C]. */
class PatchMerging extends Module {
  readonly norm: LayerNorm;
  readonly reduction: Linear;
  readonly #side: number;

  constructor(init: Init, width: number, side: number) {
    super();
    this.norm = new LayerNorm(init, 4 * width);
    this.reduction = new Linear(init, 4 * width, 2 * width, false);
    this.#side = side;
  }

  forward(x: Tensor): Tensor {
    const [count, tokens, width] = x.shape as [number, number, number];
    const side = this.#side;
    const squares = windowPartition(reshape(x, [count, side, side, width]), 2);
    // Within a square, timm takes column by column: 00, 10, 01, 11.
    const columns = permute(reshape(squares, [(count * tokens) / 4, 2, 2, width]), [0, 2, 1, 3]);
    return this.reduction.forward(
      this.norm.forward(reshape(columns, [count, tokens / 4, 4 * width])),
    );
  }
}

/** Blocks, every other one shifted, and the way to the next stage. */
class Stage extends Module {
  readonly blocks: readonly SwinBlock[];
  readonly downsample: PatchMerging | null;

  constructor(init: Init, options: CTransPathOptions, index: number) {
    super();
    const { depths, heads } = options;
    const width = options.width * 2 ** index;
    const side = options.size / 4 / 2 ** index;
    const window = Math.min(options.window, side);
    this.blocks = Array.from({ length: depths[index]! }, (_, i) => {
      const shift = i % 2 === 1 && window < side ? Math.floor(window / 2) : 0;
      const own = { width, heads: heads[index]!, hidden: 4 * width, window, shift };
      return new SwinBlock(init, { ...own, size: [side, side] });
    });
    const last = index === depths.length - 1;
    this.downsample = last ? null : new PatchMerging(init, width, side);
  }

  get steps(): ((x: Tensor) => Tensor)[] {
    const layers = [...this.blocks, ...(this.downsample ? [this.downsample] : [])];
    return layers.map((layer) => (x) => layer.forward(x));
  }
}

/**
 * CTransPath (Wang et al. 2022): a Swin transformer with a stem of convolutions, under the names of the published
 * file (timm 0.5.4).
 */
export class CTransPath extends Extractor {
  readonly preprocessing = IMAGENET;
  readonly width: number;
  readonly patch_embed: ConvStem;
  readonly layers: readonly Stage[];
  readonly norm: LayerNorm;
  readonly #size: number;

  constructor(init: Init, options: CTransPathOptions) {
    super();
    const { width, depths, size, window } = options;
    const sides = depths.map((_, i) => size / 4 / 2 ** i);
    const whole = sides.every(
      (side) => Number.isInteger(side) && side % Math.min(window, side) === 0,
    );
    if (!whole || width % 8 !== 0) {
      throw new HistogradError(
        'option',
        `CTransPath: images of ${size} pixels give grids of ${sides.join(', ')} tokens, which windows of ${window} do not tile, or the width ${width} is no multiple of 8.`,
        'The published network has images of 224 pixels, windows of 7 and a width of 96.',
      );
    }
    this.patch_embed = new ConvStem(init, width);
    this.layers = depths.map((_, i) => new Stage(init, options, i));
    this.width = width * 2 ** (depths.length - 1);
    this.norm = new LayerNorm(init, this.width);
    this.#size = size;
  }

  /** The mean of the last tokens. */
  forward(images: Tensor): Tensor {
    return chain(images, [(x) => this.tokens(x), (x) => mean(x, 1)]);
  }

  /** The tokens of the last stage: 7 · 7 of them, [N, 49, width]. */
  tokens(images: Tensor): Tensor {
    const size = this.#size;
    if (images.shape[2] !== size || images.shape[3] !== size) {
      const expected = `images [N, 3, ${size}, ${size}]`;
      throw shapeError('CTransPath', expected, `[${images.shape.join(', ')}]`);
    }
    return chain(images, [
      (x) => this.patch_embed.forward(x),
      ...this.layers.flatMap((stage) => stage.steps),
      (x) => this.norm.forward(x),
    ]);
  }
}

/** The sizes of the CTransPath that a state dict is of, for images of 224 pixels; null for another network. */
export function inferCTransPath(state: Shapes): CTransPathOptions | null {
  const width = extent(state, 'patch_embed.proj.6.weight', 0);
  if (width === 0) return null;
  const depths = Array.from({ length: countModules(state, 'layers.') }, (_, i) =>
    countModules(state, `layers.${i}.blocks.`),
  );
  const table = (stage: number, axis: number) =>
    extent(state, `layers.${stage}.blocks.0.attn.relative_position_bias_table`, axis);
  const window = (Math.sqrt(table(0, 0)) + 1) / 2;
  return { width, depths, heads: depths.map((_, i) => table(i, 1)), window, size: 224 };
}

/**
 * The names of the published file, from those of timm 0.5.4 (with buffers that follow from the sizes) or from 0.9,
 * which gives the merging of patches to the stage behind it, and keeps the classifier as `head.fc`.
 */
export function cTransPathState<Value>(state: ReadonlyMap<string, Value>): Map<string, Value> {
  const later = ![...state.keys()].some((name) => name.startsWith('layers.0.downsample.'));
  return renamed(state, (name) => {
    if (/^head\.|\.relative_position_index$|\.attn_mask$/.test(name)) return null;
    const merging = later && /^layers\.(\d+)\.downsample\.(.*)$/.exec(name);
    return merging ? `layers.${Number(merging[1]) - 1}.downsample.${merging[2]}` : name;
  });
}
