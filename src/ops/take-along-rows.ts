import code from '../../shaders/take-along-rows.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { copyPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { sameShape, Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('take-along-rows', code);

export interface TakeAlongRowsOptions {
  /** u32 [..., k], below n, no index twice in a row. */
  indices: Tensor;
}

/** Writes the rows of `source` [..., k] (ones without it) at their indices, into zeros [..., n]. */
export function putAlongRows(source: Tensor | null, indices: Tensor, n: number): Tensor {
  const { device } = indices;
  const { rows, n: k } = asRows(indices.shape);
  const out = Tensor.zeros(device, [...indices.shape.slice(0, -1), n]);
  if (out.size === 0) return out;
  for (const part of rowParts(device, rows, [n, k])) {
    const { groups, overrides } = copyPlan(device, part.count * k);
    const picked = bindPart(indices, part, k);
    device.run(kernel, 'put', {
      buffers: {
        x: source ? bindPart(source, part, k) : picked,
        indices: picked,
        out: bindPart(out, part, n),
      },
      params: { rows: part.count, n, k },
      overrides: { ...overrides, ONES: source === null },
      groups,
    });
  }
  return out;
}

export const takeAlongRowsOp = defineOp<TakeAlongRowsOptions>({
  name: 'take-along-rows',
  inputs: 'x [..., n]',
  output: '[..., k]',
  cost: '0',
  shape([x], { indices }) {
    const lead = x!.slice(0, -1);
    const fits = x!.length > 0 && sameShape(lead, indices.shape.slice(0, -1));
    if (!fits || indices.dtype !== 'u32' || indices.rank !== x!.length) {
      const expected = `x [..., n] with u32 indices [..., k], the leading axes equal`;
      const found = `${formatShape(x!)} with ${indices.dtype} indices ${formatShape(indices.shape)}`;
      throw shapeError('take-along-rows', expected, found);
    }
    return indices.shape;
  },
  forward([x], { indices }, output) {
    const { rows, n } = asRows(x!.shape);
    const k = indices.shape.at(-1)!;
    for (const part of rowParts(x!.device, rows, [n, k])) {
      x!.device.run(kernel, 'take', {
        buffers: {
          x: bindPart(x!, part, n),
          indices: bindPart(indices, part, k),
          out: bindPart(output, part, k),
        },
        params: { rows: part.count, n, k },
        ...copyPlan(x!.device, part.count * k),
      });
    }
  },
  gradient: ({ grad, inputs: [x], options: { indices } }) => [
    putAlongRows(grad, indices, x!.shape.at(-1)!),
  ],
});

/**
 * out[..., j] = x[..., indices[..., j]] (torch.gather along the last axis): x [..., n], indices u32 [..., k] to [..., k].
 * The indices are below n, and none stands twice in one row: nothing on the GPU can check it.
 */
export function takeAlongRows(x: Tensor, indices: Tensor): Tensor {
  return takeAlongRowsOp.apply([x], { indices });
}
