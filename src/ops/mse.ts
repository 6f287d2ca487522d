import code from '../../shaders/mse.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, elementParts, rowParts } from '../tensor/parts.ts';
import { sameShape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { sumAllInto } from './reduce.ts';

const kernel = defineKernel('mse', code);
const CHUNK = 1024;

function difference(prediction: Tensor, target: Tensor, grad: Tensor, scale: number): Tensor {
  const out = Tensor.empty(prediction.device, prediction.shape, 'f32', 'mse gradient');
  for (const part of elementParts(out.device, out.size)) {
    out.device.run(kernel, 'backward', {
      buffers: {
        prediction4: bindPart(prediction, part),
        target4: bindPart(target, part),
        g: grad.buffer,
        out4: bindPart(out, part),
      },
      params: { count: part.count, chunk: CHUNK, first_run: 0, scale },
      ...elementwisePlan(out.device, part.count),
    });
  }
  return out;
}

export const mseOp = defineOp<Record<string, never>>({
  name: 'mse',
  inputs: 'prediction [...], target [...]',
  output: '[]',
  cost: '3·N',
  shape([prediction, target]) {
    if (!sameShape(prediction!, target!) || sizeOf(prediction!) === 0) {
      throw shapeError(
        'mse',
        'two non-empty tensors of one shape',
        formatShapes([prediction!, target!]),
      );
    }
    return [];
  },
  forward(inputs, _, output) {
    const [prediction, target] = inputs as [Tensor, Tensor];
    const { device, size } = prediction;
    const runs = Math.ceil(size / CHUNK);
    const partial = Tensor.empty(device, [runs], 'f32', 'mse');
    for (const { start, count: rows } of rowParts(device, runs, [CHUNK])) {
      const part = { start: start * CHUNK, count: Math.min(rows * CHUNK, size - start * CHUNK) };
      device.run(kernel, 'forward', {
        buffers: {
          prediction: bindPart(prediction, part),
          target_value: bindPart(target, part),
          out: partial.buffer,
        },
        params: { count: part.count, chunk: CHUNK, first_run: start, scale: 1 / size },
        ...rowPlan(device, rows, CHUNK),
      });
    }
    sumAllInto(partial, output);
    partial.dispose();
  },
  gradient({ grad, inputs, needs }) {
    const [prediction, target] = inputs as [Tensor, Tensor];
    const scale = 1 / prediction.size;
    return [
      needs[0] ? difference(prediction, target, grad, scale) : null,
      needs[1] ? difference(target, prediction, grad, scale) : null,
    ];
  },
});

/** Mean over all elements of (prediction − target)². */
export const mse = (prediction: Tensor, target: Tensor) => mseOp.apply([prediction, target], {});
