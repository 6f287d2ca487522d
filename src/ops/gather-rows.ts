import code from '../../shaders/gather-rows.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { Csr, checkIndices } from '../tensor/csr.ts';
import { copyPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { spmmInto } from './spmm.ts';

const kernel = defineKernel('gather-rows', code);

export interface GatherRowsOptions {
  rows: ArrayLike<number>;
  /** A row of x that gets no gradient (torch's padding_idx). */
  paddingIdx?: number | null;
}

/** out[i] = x[rows[i]], outside the tape. */
export function gatherInto(x: Tensor, rows: ArrayLike<number>, out: Tensor): void {
  const { device } = x;
  const d = x.shape[1]!;
  const picks = Tensor.from(device, Uint32Array.from(rows));
  for (const part of rowParts(device, rows.length, [d])) {
    device.run(kernel, 'gather', {
      buffers: { x: x.buffer, picks: picks.buffer, out: bindPart(out, part, d) },
      params: { rows: part.count, d, first: part.start },
      ...copyPlan(device, part.count * d),
    });
  }
  picks.dispose();
}

/** out[r] = the sum of x[i] over the i with rows[i] = r, outside the tape; entries `ignored` count nothing. */
export function scatterInto(
  x: Tensor,
  rows: ArrayLike<number>,
  out: Tensor,
  ignored: number | null = null,
): void {
  const [count, targets] = [rows.length, out.shape[0]!];
  let columns = Array.from({ length: count }, (_, i) => i);
  if (ignored !== null) columns = columns.filter((i) => rows[i] !== ignored);
  const edges = { rows: columns.map((i) => rows[i]!), columns };
  const matrix = Csr.fromEdges(x.device, targets, count, edges);
  spmmInto(matrix, x, out);
  matrix.dispose();
}

export const gatherRowsOp = defineOp<GatherRowsOptions>({
  name: 'gather-rows',
  inputs: 'x [N, d]',
  output: '[rows, d]',
  cost: '0',
  shape([x], { rows }) {
    if (x!.length !== 2) throw shapeError('gather-rows', 'a matrix [N, d]', formatShape(x!));
    checkIndices('gather-rows', 'row', rows, x![0]!);
    return [rows.length, x![1]!];
  },
  forward: ([x], { rows }, output) => gatherInto(x!, rows, output),
  gradient({ grad, inputs: [x], options: { rows, paddingIdx } }) {
    const dx = Tensor.empty(grad.device, x!.shape, 'f32', 'gather-rows gradient');
    scatterInto(grad, rows, dx, paddingIdx ?? null);
    return [dx];
  },
});

/** Rows of x [N, d] by index, repeats allowed: [rows.length, d]. Their gradients add up without atomics. */
export function gatherRows(x: Tensor, rows: ArrayLike<number>): Tensor {
  return gatherRowsOp.apply([x], { rows: Array.from(rows) }); // the gradient reads them later
}
