import { HistogradError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { mean, sum } from './reduce.ts';

/** What a loss does with the losses of its elements: their mean (PyTorch's default), their sum, or nothing. */
export type Reduction = 'mean' | 'sum' | 'none';

export interface ReductionOptions {
  reduction?: Reduction;
}

export function checkReduction(loss: string, reduction: Reduction): void {
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    throw new HistogradError(
      'option',
      `${loss}: expected the reduction mean, sum or none, found ${String(reduction)}.`,
      'Leave it out for the mean.',
    );
  }
}

/** The losses of elements (or rows), reduced. */
export function reduceLosses(loss: string, losses: Tensor, reduction: Reduction): Tensor {
  checkReduction(loss, reduction);
  if (reduction === 'none') return losses;
  return reduction === 'mean' ? mean(losses) : sum(losses);
}
