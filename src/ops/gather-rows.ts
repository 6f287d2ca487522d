import code from '../../shaders/gather-rows.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('gather-rows', code);

export interface GatherRowsOptions {
  rows: ArrayLike<number>;
}

/** For each source row, where it was picked: `positions[starts[r]] … positions[starts[r + 1] − 1]`. */
function inverse(
  picks: Uint32Array,
  sourceRows: number,
): { starts: Uint32Array; positions: Uint32Array } {
  const starts = new Uint32Array(sourceRows + 1);
  for (const r of picks) starts[r + 1] = starts[r + 1]! + 1;
  for (let r = 0; r < sourceRows; r++) starts[r + 1] = starts[r + 1]! + starts[r]!;
  const next = starts.slice();
  const positions = new Uint32Array(picks.length);
  picks.forEach((r, i) => {
    const at = next[r]!;
    positions[at] = i;
    next[r] = at + 1;
  });
  return { starts, positions };
}

export const gatherRowsOp = defineOp<GatherRowsOptions>({
  name: 'gather-rows',
  inputs: 'x [N, d]',
  output: '[rows, d]',
  cost: '0',
  shape([x], { rows }) {
    if (x!.length !== 2) throw shapeError('gather-rows', 'a matrix [N, d]', formatShape(x!));
    const [n, d] = x as [number, number];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (!Number.isInteger(row) || row < 0 || row >= n) {
        throw new HistogradError(
          'index',
          `gather-rows: row ${row} (entry ${i}) is outside 0 … ${n - 1}.`,
          'Correct the indices.',
        );
      }
    }
    return [rows.length, d];
  },
  forward([x], { rows }, output) {
    const [count, d] = output.shape as [number, number];
    const picks = Tensor.from(x!.device, Uint32Array.from(rows));
    x!.device.run(kernel, 'gather', {
      buffers: { x: x!.buffer, picks: picks.buffer, out: output.buffer },
      params: { rows: count, d },
      ...threadPlan(x!.device, output.size),
    });
    picks.dispose();
  },
  gradient({ grad, inputs: [x], options: { rows } }) {
    const { device } = grad;
    const [n, d] = x!.shape as [number, number];
    const { starts, positions } = inverse(Uint32Array.from(rows), n);
    const dx = Tensor.empty(device, x!.shape, 'f32', 'gather-rows gradient');
    device.run(kernel, 'scatter', {
      buffers: {
        x: grad.buffer,
        starts: Tensor.from(device, starts).buffer,
        positions: Tensor.from(device, positions).buffer,
        out: dx.buffer,
      },
      params: { rows: n, d },
      ...threadPlan(device, dx.size),
    });
    return [dx];
  },
});

/** Rows of x [N, d] by index, repeats allowed: [rows.length, d]. Their gradients add up without atomics. */
export function gatherRows(x: Tensor, rows: ArrayLike<number>): Tensor {
  return gatherRowsOp.apply([x], { rows: Array.from(rows) }); // the gradient reads them later
}
