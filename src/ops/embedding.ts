import type { Tensor } from '../tensor/tensor.ts';
import { gatherRowsOp } from './gather-rows.ts';

/**
 * Rows of a table (torch.nn.functional.embedding): weight [N, d] and M indices to [M, d]. The row `paddingIdx` is looked up like the
 * others, but gets no gradient.
 */
export function embedding(
  weight: Tensor,
  indices: ArrayLike<number>,
  paddingIdx: number | null = null,
): Tensor {
  return gatherRowsOp.apply([weight], { rows: Array.from(indices), paddingIdx });
}
