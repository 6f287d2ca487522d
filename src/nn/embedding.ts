import { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import { embedding } from '../ops/embedding.ts';
import { inLayer } from '../ops/op.ts';
import { copyBox } from '../ops/strided-copy.ts';
import { normal } from '../tensor/random.ts';
import { Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/** A table of `count` rows looked up by index (torch.nn.Embedding); weight [count, width] drawn from N(0, 1). */
export class Embedding extends Module {
  readonly weight: Parameter;
  readonly paddingIdx: number | null;

  /** @param paddingIdx a row that is zero at first and never trained */
  constructor(init: Init, count: number, width: number, paddingIdx: number | null = null) {
    super(init);
    const { device, generator } = init;
    const valid = paddingIdx === null || (Number.isInteger(paddingIdx) && paddingIdx >= 0);
    if (!valid || (paddingIdx ?? 0) >= count) {
      throw new HistogradError(
        'option',
        `Embedding: expected a paddingIdx from 0 to ${count - 1}, found ${paddingIdx}.`,
        'Give the index of one of the rows, or none.',
      );
    }
    this.weight = Parameter.of(normal(device, [count, width], generator.next()));
    this.paddingIdx = paddingIdx;
    if (paddingIdx !== null) clearRow(this.weight, paddingIdx);
  }

  /** M indices to [M, width]. */
  forward(indices: ArrayLike<number>): Tensor {
    return inLayer(this.layerName, () => embedding(this.weight, indices, this.paddingIdx));
  }
}

function clearRow(weight: Tensor, row: number): void {
  const width = weight.shape[1]!;
  const zeros = Tensor.zeros(weight.device, [width]);
  const strides = [1];
  copyBox(zeros, weight, {
    dims: [width],
    from: { strides, start: 0 },
    to: { strides, start: row * width },
  });
  zeros.dispose();
}
