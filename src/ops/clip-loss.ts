import { autocast } from '../autograd/autocast.ts';
import { sameShape, type Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';
import { checkTemperature } from './info-nce.ts';
import { permute } from './layout.ts';
import { matmul } from './matmul.ts';
import { formatShapes, shapeError } from './op.ts';
import { softCrossEntropy } from './soft-cross-entropy.ts';
import { softmax } from './softmax.ts';
import { affine } from './unary.ts';

/**
 * CLIP with soft targets (BLEEP, Xie et al. 2023) of paired embeddings of images and spots, both [B, d]:
 * logits = S Iᵀ / τ, targets = softmax((I Iᵀ + S Sᵀ) / 2 / τ) over rows, and half the cross-entropy over rows plus
 * half of that over columns, averaged over the batch. The gradient flows through the targets, as in BLEEP's code (which
 * multiplies the similarities of the targets by τ; with its τ = 1 that is the same).
 */
export function softClipLoss(images: Tensor, spots: Tensor, temperature = 1): Tensor {
  if (images.rank !== 2 || !sameShape(images.shape, spots.shape)) {
    throw shapeError(
      'soft-clip',
      'two matrices [B, d] of paired embeddings',
      formatShapes([images.shape, spots.shape]),
    );
  }
  checkTemperature('soft-clip', temperature);
  // The temperature would magnify the rounding of halves.
  const similarities = (a: Tensor, b: Tensor) =>
    autocast(() => matmul(a, b, { transposeB: true }), false);
  const logits = affine(similarities(spots, images), 1 / temperature);
  const alike = add(similarities(images, images), similarities(spots, spots));
  const targets = softmax(affine(alike, 0.5 / temperature));
  const rows = softCrossEntropy(logits, targets);
  const columns = softCrossEntropy(permute(logits, [1, 0]), permute(targets, [1, 0]));
  return affine(add(rows, columns), 0.5);
}
