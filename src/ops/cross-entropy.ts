import code from '../../shaders/cross-entropy.wgsl';
import { HistogradError } from '../errors.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { rowPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';
import { sumAllInto } from './reduce.ts';

const kernel = defineKernel('cross-entropy', code);

export interface CrossEntropyOptions {
  /** The right class of each row. */
  labels: ArrayLike<number>;
}

export const crossEntropyOp = defineOp<CrossEntropyOptions>({
  name: 'cross-entropy',
  inputs: 'logits [N, C]',
  output: '[]',
  cost: '4·N·C',
  shape([x], { labels }) {
    if (x!.length !== 2 || x![0] !== labels.length || x!.includes(0)) {
      throw shapeError(
        'cross-entropy',
        `logits [${labels.length}, C] for ${labels.length} labels`,
        formatShape(x!),
      );
    }
    const classes = x![1]!;
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i]!;
      if (!Number.isInteger(label) || label < 0 || label >= classes) {
        throw new HistogradError(
          'index',
          `cross-entropy: label ${label} of row ${i} is outside 0 … ${classes - 1}.`,
          'Correct the labels.',
        );
      }
    }
    return [];
  },
  forward([x], { labels }, output) {
    const [rows, n] = x!.shape as [number, number];
    const perRow = Tensor.empty(x!.device, [rows], 'f32', 'cross-entropy');
    const labelTensor = Tensor.from(x!.device, Uint32Array.from(labels));
    for (const part of rowParts(x!.device, rows, [n, 1])) {
      x!.device.run(kernel, 'forward', {
        buffers: {
          x: bindPart(x!, part, n),
          labels: bindPart(labelTensor, part),
          out: bindPart(perRow, part),
        },
        params: { rows: part.count, n, scale: 1 / rows },
        ...rowPlan(x!.device, part.count, n),
      });
    }
    sumAllInto(perRow, output);
    perRow.dispose();
    labelTensor.dispose();
  },
  gradient({ grad, inputs: [x], options: { labels } }) {
    const [rows, n] = x!.shape as [number, number];
    const dx = Tensor.empty(x!.device, x!.shape, 'f32', 'cross-entropy gradient');
    const labelTensor = Tensor.from(x!.device, Uint32Array.from(labels));
    for (const part of rowParts(x!.device, rows, [n, 1])) {
      x!.device.run(kernel, 'backward', {
        buffers: {
          x: bindPart(x!, part, n),
          labels: bindPart(labelTensor, part),
          g: grad.buffer,
          out: bindPart(dx, part, n),
        },
        params: { rows: part.count, n, scale: 1 / rows },
        ...rowPlan(x!.device, part.count, n),
      });
    }
    return [dx];
  },
});

/** Mean over rows of −log softmax(logits)[label], logits [N, C]. */
export function crossEntropy(logits: Tensor, labels: ArrayLike<number>): Tensor {
  return crossEntropyOp.apply([logits], { labels: Array.from(labels) }); // the gradient reads them later
}
