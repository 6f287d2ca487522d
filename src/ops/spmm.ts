import code from '../../shaders/spmm.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import type { Csr } from '../tensor/csr.ts';
import { copyPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('spmm', code);

export interface SpmmOptions {
  matrix: Csr;
}

/** out = matrix · x, outside the tape: x [columns, d], out [rows, d]. */
export function spmmInto(matrix: Csr, x: Tensor, out: Tensor): void {
  const { split } = matrix;
  if (split) {
    const partial = Tensor.empty(x.device, [split.runs.rows, x.shape[1]!], 'f32', 'partial sums');
    spmmInto(split.runs, x, partial);
    spmmInto(split.sums, partial, out);
    partial.dispose();
    return;
  }
  const d = x.shape[1]!;
  const { starts, columnIndex, values } = matrix.tensors;
  for (const part of rowParts(x.device, matrix.rows, [d])) {
    const { groups, overrides } = copyPlan(x.device, part.count * d);
    x.device.run(kernel, 'multiply', {
      buffers: {
        x: x.buffer,
        starts: starts.buffer,
        columns: columnIndex.buffer,
        values: (values ?? x).buffer,
        out: bindPart(out, part, d),
      },
      params: { rows: part.count, d, first: part.start },
      overrides: { ...overrides, WEIGHTED: values !== null },
      groups,
    });
  }
}

export const spmmOp = defineOp<SpmmOptions>({
  name: 'spmm',
  inputs: 'x [n, d]',
  output: '[m, d]',
  cost: '2·nonzeros·d',
  shape([x], { matrix }) {
    if (x!.length !== 2 || x![0] !== matrix.columns) {
      const expected = `x [${matrix.columns}, d] for a sparse matrix [${matrix.rows}, ${matrix.columns}]`;
      throw shapeError('spmm', expected, formatShape(x!));
    }
    return [matrix.rows, x![1]!];
  },
  forward: ([x], { matrix }, output) => spmmInto(matrix, x!, output),
  gradient({ grad, inputs: [x], options: { matrix } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'spmm gradient');
    spmmInto(matrix.transpose, grad, dx);
    return [dx];
  },
});

/** The product of a constant sparse matrix [m, n] with x [n, d]: [m, d]. Empty rows give zeros. */
export const spmm = (matrix: Csr, x: Tensor) => spmmOp.apply([x], { matrix });
