import { HistogradError } from '../errors.ts';
import { sameShape, type Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { formatShapes, shapeError } from './op.ts';
import { sum } from './reduce.ts';
import { type ReductionOptions, reduceLosses } from './reduction.ts';
import { logSoftmax } from './softmax.ts';
import { affine } from './unary.ts';

/**
 * −Σ_c targets · log softmax(logits) of each row, for logits and targets [N, C]
 * (torch.nn.functional.cross_entropy with class probabilities); the mean is over the N rows. Targets receive a
 * gradient too. `labelSmoothing` s replaces targets by (1 − s) · targets + s / C.
 */
export function softCrossEntropy(
  logits: Tensor,
  targets: Tensor,
  { labelSmoothing = 0, reduction = 'mean' }: ReductionOptions & { labelSmoothing?: number } = {},
): Tensor {
  if (logits.rank !== 2 || !sameShape(logits.shape, targets.shape) || logits.shape.includes(0)) {
    throw shapeError(
      'soft-cross-entropy',
      'logits and targets [N, C], not empty',
      formatShapes([logits.shape, targets.shape]),
    );
  }
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new HistogradError(
      'option',
      `soft-cross-entropy: expected a labelSmoothing from 0 to 1, found ${labelSmoothing}.`,
      'Correct the option, or leave it out.',
    );
  }
  const smooth =
    labelSmoothing === 0
      ? targets
      : affine(targets, 1 - labelSmoothing, labelSmoothing / logits.shape[1]!);
  const perRow = affine(sum(mul(smooth, logSoftmax(logits)), 1), -1);
  return reduceLosses('soft-cross-entropy', perRow, reduction);
}
