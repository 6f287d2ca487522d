import { Parameter } from '../../autograd/parameter.ts';
import { HistogradError } from '../../errors.ts';
import { ViTBlock } from '../../nn/blocks/vit.ts';
import { Conv2d } from '../../nn/conv.ts';
import { type Init, LayerNorm } from '../../nn/layers.ts';
import { Module } from '../../nn/module.ts';
import { add } from '../../ops/binary.ts';
import { expand } from '../../ops/expand.ts';
import { concat, permute, reshape, slice } from '../../ops/layout.ts';
import { matmul } from '../../ops/matmul.ts';
import { shapeError } from '../../ops/op.ts';
import { normal } from '../../tensor/random.ts';
import { Tensor } from '../../tensor/tensor.ts';
import { antialiasTaps } from './antialias.ts';
import { chain, Extractor, HALVES, IMAGENET, type Preprocessing } from './extractor.ts';
import { countModules, extent, type Shapes } from './state.ts';

export interface ViTOptions {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Width of the perceptrons between. */
  readonly hidden: number;
  /** Side of a patch, in pixels. */
  readonly patch: number;
  /** Side of the images that the position embeddings are made for, in pixels. */
  readonly size: number;
  /** Start value of LayerScale; null for none. */
  readonly layerScale: number | null;
}

/** ViT-S/16, as kaiko trained it. */
export const VIT_S16: ViTOptions = {
  width: 384,
  depth: 12,
  heads: 6,
  hidden: 1536,
  patch: 16,
  size: 224,
  layerScale: null,
};

/** UNI: a ViT-L/16 with LayerScale. */
export const UNI: ViTOptions = {
  width: 1024,
  depth: 24,
  heads: 16,
  hidden: 4096,
  patch: 16,
  size: 224,
  layerScale: 1e-5,
};

class PatchEmbed extends Module {
  readonly proj: Conv2d;

  constructor(init: Init, width: number, patch: number) {
    super();
    this.proj = new Conv2d(init, 3, width, patch, { stride: patch });
  }

  /** Images [N, 3, H, W] to [N, width, H / patch, W / patch]. */
  forward(images: Tensor): Tensor {
    return this.proj.forward(images);
  }
}

/** Vision transformer (Dosovitskiy et al. 2021) with a class token and without a head, under timm's names. */
export class ViT extends Extractor {
  readonly preprocessing: Preprocessing;
  readonly width: number;
  readonly cls_token: Parameter;
  readonly pos_embed: Parameter;
  readonly patch_embed: PatchEmbed;
  readonly blocks: readonly ViTBlock[];
  readonly norm: LayerNorm;
  readonly #patch: number;

  constructor(init: Init, options: ViTOptions) {
    super();
    const { width, depth, patch, size, layerScale } = options;
    const { device, generator } = init;
    this.preprocessing = layerScale === null ? HALVES : IMAGENET;
    this.width = width;
    this.#patch = patch;
    const draw = (rows: number) =>
      Parameter.of(normal(device, [1, rows, width], generator.next(), 0, 0.02));
    this.cls_token = draw(1);
    this.pos_embed = draw(1 + (size / patch) ** 2);
    this.patch_embed = new PatchEmbed(init, width, patch);
    this.blocks = Array.from({ length: depth }, () => new ViTBlock(init, options));
    this.norm = new LayerNorm(init, width, 1e-6);
  }

  /** The class token. */
  forward(images: Tensor): Tensor {
    return chain(images, [
      (x) => this.#encode(x),
      (x) => this.norm.forward(reshape(slice(x, 1, 0, 1), [x.shape[0]!, this.width])),
    ]);
  }

  /** All tokens [N, 1 + H / patch · W / patch, width], the class token first. */
  tokens(images: Tensor): Tensor {
    return chain(images, [(x) => this.#encode(x), (x) => this.norm.forward(x)]);
  }

  #encode(images: Tensor): Tensor {
    return chain(images, [
      (x) => this.#embed(x),
      ...this.blocks.map((block) => (x: Tensor) => block.forward(x)),
    ]);
  }

  #embed(images: Tensor): Tensor {
    const [count, , height, width] = images.shape as [number, number, number, number];
    if (height % this.#patch !== 0 || width % this.#patch !== 0) {
      const expected = `images whose sides are multiples of ${this.#patch}`;
      throw shapeError('ViT', expected, `[${images.shape.join(', ')}]`);
    }
    const grid = this.patch_embed.forward(images);
    const [, , rows, columns] = grid.shape as [number, number, number, number];
    const patches = permute(reshape(grid, [count, this.width, rows * columns]), [0, 2, 1]);
    const cls = expand(this.cls_token, [count, 1, this.width]);
    return add(concat([cls, patches], 1), this.#positions(rows, columns));
  }

  /** The position embeddings for a grid of patches, resampled where it is not that of the weights (as timm does). */
  #positions(rows: number, columns: number): Tensor {
    const own = Math.round(Math.sqrt(this.pos_embed.shape[1]! - 1));
    if (rows === own && columns === own) return this.pos_embed;
    const table = reshape(slice(this.pos_embed, 1, 1, 1 + own * own), [own * own, this.width]);
    const [down, across] = [
      antialiasTaps('bicubic', own, rows),
      antialiasTaps('bicubic', own, columns),
    ];
    const weights = new Float32Array(rows * columns * own * own);
    for (let at = 0; at < rows * columns; at++) {
      for (const [row, a] of down(Math.floor(at / columns))) {
        for (const [column, b] of across(at % columns)) {
          weights[at * own * own + row * own + column] = a * b;
        }
      }
    }
    const resample = Tensor.from(this.pos_embed.device, weights, [rows * columns, own * own]);
    const resampled = reshape(matmul(resample, table), [1, rows * columns, this.width]);
    return concat([slice(this.pos_embed, 1, 0, 1), resampled], 1);
  }

  override get stages(): readonly (readonly string[])[] {
    const blocks = this.blocks.map((_, i) => [`blocks.${i}`]);
    return [['cls_token', 'pos_embed', 'patch_embed'], ...blocks, ['norm']];
  }
}

/** Widths of ViT-so400m, -H, -g and -G, whose heads are 72, 80, 88 and 104 wide; a state dict does not say so. */
const OTHER_HEADS = [1152, 1280, 1408, 1664];

/** The sizes of the ViT that a state dict is of, heads being 64 wide; null for another network. */
export function inferViT(state: Shapes): ViTOptions | null {
  const width = extent(state, 'cls_token', 2);
  const patch = extent(state, 'patch_embed.proj.weight', 2);
  const side = Math.sqrt(extent(state, 'pos_embed', 1) - 1);
  if (width === 0 || patch === 0) return null;
  if (!Number.isInteger(side) || width % 64 !== 0 || OTHER_HEADS.includes(width)) {
    throw new HistogradError(
      'checkpoint-mismatch',
      `A vision transformer of width ${width} with pos_embed [${state.get('pos_embed')?.shape.join(', ')}]: expected a multiple of 64 whose heads are 64 wide, and one position more than a square grid has.`,
      'Networks with register tokens, without a class token, or of the sizes so400m, H, g and G are not supported.',
    );
  }
  return {
    width,
    depth: countModules(state, 'blocks.'),
    heads: width / 64,
    hidden: extent(state, 'blocks.0.mlp.fc1.weight', 0),
    patch,
    size: side * patch,
    layerScale: state.has('blocks.0.ls1.gamma') ? 1e-5 : null,
  };
}

export function viTName(name: string): string | null {
  return name.startsWith('head.') ? null : name;
}
