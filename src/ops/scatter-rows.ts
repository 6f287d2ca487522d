import { HistogradError } from '../errors.ts';
import { checkIndices } from '../tensor/csr.ts';
import { Tensor } from '../tensor/tensor.ts';
import { gatherInto, scatterInto } from './gather-rows.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

export interface ScatterRowsOptions {
  /** For each row of x, the row of the result it is added to. */
  rows: ArrayLike<number>;
  /** Rows of the result. */
  count: number;
}

export const scatterRowsOp = defineOp<ScatterRowsOptions>({
  name: 'scatter-rows',
  inputs: 'x [M, d]',
  output: '[count, d]',
  cost: 'M·d',
  shape([x], { rows, count }) {
    if (x!.length !== 2 || x![0] !== rows.length) {
      const expected = `a matrix [${rows.length}, d], one row per index`;
      throw shapeError('scatter-rows', expected, formatShape(x!));
    }
    if (!Number.isInteger(count) || count < 0) {
      throw new HistogradError(
        'option',
        `scatter-rows: expected a number of rows, found ${count}.`,
        'Give the number of rows of the result.',
      );
    }
    checkIndices('scatter-rows', 'row', rows, count);
    return [count, x![1]!];
  },
  forward: ([x], { rows }, output) => scatterInto(x!, rows, output),
  gradient({ grad, inputs: [x], options: { rows } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'scatter-rows gradient');
    gatherInto(grad, rows, dx);
    return [dx];
  },
});

/**
 * Adds the rows of x [M, d] into `count` rows of zeros (torch.index_add): row i goes to row rows[i]. [count, d]. The sums are
 * in the order of i, run after run the same.
 */
export function scatterRows(x: Tensor, rows: ArrayLike<number>, count: number): Tensor {
  return scatterRowsOp.apply([x], { rows: Array.from(rows), count });
}
