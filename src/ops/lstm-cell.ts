import code from '../../shaders/lstm-cell.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { threadPlan } from '../tensor/grid.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';

const kernel = defineKernel('lstm-cell', code);

function run(entry: string, c: Tensor, tensors: Record<string, Tensor>): void {
  const [rows, hidden] = c.shape as [number, number];
  c.device.run(kernel, entry, {
    buffers: Object.fromEntries(Object.entries({ c, ...tensors }).map(([k, t]) => [k, t.buffer])),
    params: { rows, hidden },
    ...threadPlan(c.device, c.size),
  });
}

export const lstmCellOp = defineOp<Record<string, never>>({
  name: 'lstm-cell',
  inputs: 'gates [N, 4H], c [N, H]',
  output: '[N, 2H]',
  cost: '25·N·H',
  shape([gates, c]) {
    const [rows, hidden] = c as [number, number];
    const fits = gates!.length === 2 && c!.length === 2;
    if (!fits || gates![0] !== rows || gates![1] !== 4 * hidden) {
      throw shapeError('lstm-cell', 'gates [N, 4H] and c [N, H]', formatShapes([gates!, c!]));
    }
    return [rows, 2 * hidden];
  },
  forward: ([gates, c], _, out) => run('forward', c!, { gates: gates!, out }),
  gradient({ grad, inputs: [gates, c] }) {
    const dgates = Tensor.empty(grad.device, gates!.shape, 'f32', 'lstm-cell gradient');
    const dc = Tensor.empty(grad.device, c!.shape, 'f32', 'lstm-cell gradient');
    run('backward', c!, { gates: gates!, dy: grad, dgates, dc });
    return [dgates, dc];
  },
});

/**
 * One step of an LSTM after its products (torch.nn.LSTMCell): gates [N, 4H] = x W_ihᵀ + b_ih + h W_hhᵀ + b_hh in the
 * order i, f, g, o, and the cell state c [N, H], to [N, 2H]: h' in the first H columns, c' in the others.
 */
export const lstmCell = (gates: Tensor, c: Tensor) => lstmCellOp.apply([gates, c], {});
