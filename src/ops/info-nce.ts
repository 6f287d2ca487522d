import { autocast } from '../autograd/autocast.ts';
import { HistogradError } from '../errors.ts';
import { sameShape, type Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';
import { crossEntropy } from './cross-entropy.ts';
import { l2Normalize } from './l2-normalize.ts';
import { permute } from './layout.ts';
import { matmul } from './matmul.ts';
import { formatShapes, shapeError } from './op.ts';
import { affine } from './unary.ts';

/** A temperature, if it is one: 0 or a NaN would turn all logits into NaN, a negative one the pairs around. */
export function checkTemperature(loss: string, temperature: number): void {
  if (temperature > 0) return;
  throw new HistogradError(
    'option',
    `${loss}: expected a temperature above 0, found ${temperature}.`,
    'Choose a positive temperature, such as 0.1.',
  );
}

/**
 * Symmetric InfoNCE of paired embeddings a, b [B, d] (van den Oord et al. 2018; CLIP): with cosine
 * similarities / temperature as logits, half the cross-entropy of the pairs over rows plus half over columns.
 */
export function infoNce(a: Tensor, b: Tensor, temperature: number): Tensor {
  if (a.rank !== 2 || !sameShape(a.shape, b.shape)) {
    throw shapeError(
      'info-nce',
      'two matrices [B, d] of paired embeddings',
      formatShapes([a.shape, b.shape]),
    );
  }
  checkTemperature('info-nce', temperature);
  // The temperature would magnify the rounding of halves.
  const product = () => matmul(l2Normalize(a), l2Normalize(b), { transposeB: true });
  const similarity = autocast(product, false);
  const logits = affine(similarity, 1 / temperature);
  const pairs = Uint32Array.from({ length: a.shape[0]! }, (_, i) => i);
  const rows = crossEntropy(logits, pairs);
  const columns = crossEntropy(permute(logits, [1, 0]), pairs);
  return affine(add(rows, columns), 0.5);
}
