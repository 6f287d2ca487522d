/**
 * DexiNed (Soria et al. 2020, 2023): a network that draws edges, under the names of the published checkpoint
 * (github.com/xavysp/DexiNed, `10_model.pth`; kornia's `DexiNed_BIPED_10.pth` is the same).
 */
import { ReLU } from '../nn/activation.ts';
import { BatchNorm2d } from '../nn/batch-norm.ts';
import { Conv2d, ConvTranspose2d } from '../nn/conv.ts';
import type { Init } from '../nn/layers.ts';
import { Module } from '../nn/module.ts';
import { Sequential } from '../nn/sequential.ts';
import { add } from '../ops/binary.ts';
import { concat } from '../ops/layout.ts';
import { formatShape, shapeError } from '../ops/op.ts';
import { maxPool2d } from '../ops/pool2d.ts';
import { affine, relu, sigmoid } from '../ops/unary.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { chain, type Preprocessing, stepsOf } from './extractors/extractor.ts';

/** Sides of images are multiples of this: the deepest maps are a sixteenth of the image, and grow back by doubling. */
export const DEXINED_STRIDE = 16;

/** 3x3, norm, ReLU, 3x3, norm, and ReLU where that is wanted. */
class DoubleConvBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly #steps: ((x: Tensor) => Tensor)[];

  constructor(
    init: Init,
    inputs: number,
    [middle, outputs]: readonly [number, number],
    { stride, active }: { stride: number; active: boolean },
  ) {
    super();
    this.conv1 = new Conv2d(init, inputs, middle, 3, { stride, padding: 1 });
    this.bn1 = new BatchNorm2d(init, middle);
    this.conv2 = new Conv2d(init, middle, outputs, 3, { padding: 1 });
    this.bn2 = new BatchNorm2d(init, outputs);
    this.#steps = [
      (x) => this.conv1.forward(x),
      (x) => relu(this.bn1.forward(x)),
      (x) => this.conv2.forward(x),
      (x) => (active ? relu(this.bn2.forward(x)) : this.bn2.forward(x)),
    ];
  }

  forward(x: Tensor): Tensor {
    return chain(x, this.#steps);
  }
}

/** 1x1 and norm. */
class SingleConvBlock extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;

  constructor(init: Init, inputs: number, outputs: number, stride = 1) {
    super();
    this.conv = new Conv2d(init, inputs, outputs, 1, { stride });
    this.bn = new BatchNorm2d(init, outputs);
  }

  forward(x: Tensor): Tensor {
    return this.bn.forward(this.conv.forward(x));
  }
}

/** ReLU, 3x3 that grows the image by a pixel on each side, norm, ReLU, 3x3 that takes it away, norm. */
class DenseLayer extends Module {
  readonly conv1: Conv2d;
  readonly norm1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly norm2: BatchNorm2d;

  constructor(init: Init, inputs: number, outputs: number) {
    super();
    this.conv1 = new Conv2d(init, inputs, outputs, 3, { padding: 2 });
    this.norm1 = new BatchNorm2d(init, outputs);
    this.conv2 = new Conv2d(init, outputs, outputs, 3);
    this.norm2 = new BatchNorm2d(init, outputs);
  }

  /** The mean with `skip`. */
  forward(x: Tensor, skip: Tensor): Tensor {
    return chain(x, [
      relu,
      (y) => this.conv1.forward(y),
      (y) => relu(this.norm1.forward(y)),
      (y) => this.conv2.forward(y),
      (y) => affine(add(this.norm2.forward(y), skip), 0.5),
    ]);
  }
}

/** Layers one behind the other, `denselayer1`, `denselayer2`, …, all with the same `skip`. */
class DenseBlock extends Module {
  readonly #layers: readonly DenseLayer[];

  constructor(init: Init, depth: number, inputs: number, outputs: number) {
    super();
    this.#layers = Array.from(
      { length: depth },
      (_, i) => new DenseLayer(init, i === 0 ? inputs : outputs, outputs),
    );
    const named = this.#layers.map((layer, i) => [`denselayer${i + 1}`, layer]);
    Object.assign(this, Object.fromEntries(named)); // public, where `Module` looks for them
  }

  forward(x: Tensor, skip: Tensor): Tensor {
    return chain(
      x,
      this.#layers.map((layer) => (y) => layer.forward(y, skip)),
    );
  }
}

/** One map of the size of the image, 2^doublings times as large as the input: 1x1, ReLU and a transposed convolution each. */
class UpConvBlock extends Module {
  readonly features: Sequential;

  constructor(init: Init, inputs: number, doublings: number) {
    super();
    const kernel = 2 ** doublings;
    const padding = kernel / 2 - 1;
    const layers = Array.from({ length: doublings }, (_, i) => {
      const outputs = i === doublings - 1 ? 1 : 16;
      return [
        new Conv2d(init, i === 0 ? inputs : 16, outputs, 1),
        new ReLU(),
        new ConvTranspose2d(init, outputs, outputs, kernel, { stride: 2, padding }),
      ];
    });
    this.features = new Sequential(...layers.flat());
  }

  forward(x: Tensor): Tensor {
    return chain(x, stepsOf(this.features));
  }
}

/** The whole network; it has no sizes to choose. `side_5` and `block_cat.bn` are in the published file, and nothing uses them. */
export class DexiNed extends Module {
  /** BGR from 0 to 255, less the mean colour. Trained at 352 pixels; any size will do (`DEXINED_STRIDE`). */
  readonly preprocessing: Preprocessing = {
    size: 352,
    resize: 'none',
    mean: [103.939, 116.779, 123.68],
    std: [1, 1, 1],
    scale: 1,
    channels: 'bgr',
  };
  readonly block_1: DoubleConvBlock;
  readonly block_2: DoubleConvBlock;
  readonly dblock_3: DenseBlock;
  readonly dblock_4: DenseBlock;
  readonly dblock_5: DenseBlock;
  readonly dblock_6: DenseBlock;
  readonly side_1: SingleConvBlock;
  readonly side_2: SingleConvBlock;
  readonly side_3: SingleConvBlock;
  readonly side_4: SingleConvBlock;
  readonly side_5: SingleConvBlock;
  readonly pre_dense_2: SingleConvBlock;
  readonly pre_dense_3: SingleConvBlock;
  readonly pre_dense_4: SingleConvBlock;
  readonly pre_dense_5: SingleConvBlock;
  readonly pre_dense_6: SingleConvBlock;
  readonly up_block_1: UpConvBlock;
  readonly up_block_2: UpConvBlock;
  readonly up_block_3: UpConvBlock;
  readonly up_block_4: UpConvBlock;
  readonly up_block_5: UpConvBlock;
  readonly up_block_6: UpConvBlock;
  readonly block_cat: SingleConvBlock;

  constructor(init: Init) {
    super();
    this.block_1 = new DoubleConvBlock(init, 3, [32, 64], { stride: 2, active: true });
    this.block_2 = new DoubleConvBlock(init, 64, [128, 128], { stride: 1, active: false });
    this.dblock_3 = new DenseBlock(init, 2, 128, 256);
    this.dblock_4 = new DenseBlock(init, 3, 256, 512);
    this.dblock_5 = new DenseBlock(init, 3, 512, 512);
    this.dblock_6 = new DenseBlock(init, 3, 512, 256);
    this.side_1 = new SingleConvBlock(init, 64, 128, 2);
    this.side_2 = new SingleConvBlock(init, 128, 256, 2);
    this.side_3 = new SingleConvBlock(init, 256, 512, 2);
    this.side_4 = new SingleConvBlock(init, 512, 512);
    this.side_5 = new SingleConvBlock(init, 512, 256);
    this.pre_dense_2 = new SingleConvBlock(init, 128, 256, 2);
    this.pre_dense_3 = new SingleConvBlock(init, 128, 256);
    this.pre_dense_4 = new SingleConvBlock(init, 256, 512);
    this.pre_dense_5 = new SingleConvBlock(init, 512, 512);
    this.pre_dense_6 = new SingleConvBlock(init, 512, 256);
    this.up_block_1 = new UpConvBlock(init, 64, 1);
    this.up_block_2 = new UpConvBlock(init, 128, 1);
    this.up_block_3 = new UpConvBlock(init, 256, 2);
    this.up_block_4 = new UpConvBlock(init, 512, 3);
    this.up_block_5 = new UpConvBlock(init, 512, 4);
    this.up_block_6 = new UpConvBlock(init, 256, 4);
    this.block_cat = new SingleConvBlock(init, 6, 1);
  }

  /**
   * Preprocessed images [N, 3, H, W] to seven maps of logits [N, 1, H, W]: one of each block, and last their fusion.
   *
   * @throws HistogradError `shape` when H or W is no multiple of 16
   */
  forward(images: Tensor): Tensor[] {
    const [, channels, height, width] = images.shape;
    const fits = [height, width].every((side) => side !== undefined && side % DEXINED_STRIDE === 0);
    if (images.rank !== 4 || channels !== 3 || !fits) {
      const expected = `images [N, 3, H, W] with H and W multiples of ${DEXINED_STRIDE}`;
      throw shapeError('DexiNed', expected, formatShape(images.shape));
    }
    const halve = (x: Tensor) => maxPool2d(x, 3, { stride: 2, padding: 1 });

    const block1 = this.block_1.forward(images);
    const block2 = this.block_2.forward(block1);
    const half2 = halve(block2);
    const in3 = add(half2, this.side_1.forward(block1));
    const block3 = this.dblock_3.forward(in3, this.pre_dense_3.forward(half2));
    const half3 = halve(block3);
    const in4 = add(half3, this.side_2.forward(in3));
    const skip4 = this.pre_dense_4.forward(add(half3, this.pre_dense_2.forward(half2)));
    const block4 = this.dblock_4.forward(in4, skip4);
    const half4 = halve(block4);
    const in5 = add(half4, this.side_3.forward(in4));
    const block5 = this.dblock_5.forward(in5, this.pre_dense_5.forward(half4));
    const in6 = add(block5, this.side_4.forward(in5));
    const block6 = this.dblock_6.forward(in6, this.pre_dense_6.forward(block5));

    const maps = [
      this.up_block_1.forward(block1),
      this.up_block_2.forward(block2),
      this.up_block_3.forward(block3),
      this.up_block_4.forward(block4),
      this.up_block_5.forward(block5),
      this.up_block_6.forward(block6),
    ];
    return [...maps, this.block_cat.conv.forward(concat(maps, 1))];
  }

  /** The probability of an edge at each pixel by the fused map, [N, 1, H, W]. */
  edges(images: Tensor): Tensor {
    return sigmoid(this.forward(images).at(-1)!);
  }
}
