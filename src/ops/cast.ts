import { convertInto, type FloatType } from '../tensor/convert.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { defineOp } from './op.ts';

export interface CastOptions {
  /** What x becomes. */
  to: FloatType;
}

export const castOp = defineOp<CastOptions>({
  name: 'cast',
  inputs: 'x [...]',
  output: '[...]',
  cost: 'N',
  shape: ([x]) => x!,
  dtype: ({ to }) => to,
  forward([x], _, output) {
    if (x!.dtype === output.dtype) x!.device.copy(x!.buffer, output.buffer, x!.bytes);
    else convertInto(x!, output);
  },
  reads: [],
  // Gradients are float32, whatever the tensor is.
  gradient: ({ grad }) => [grad],
});

/**
 * x in float16 or float32, as torch.Tensor.to(dtype). Into float16 values are rounded to nearest, ties to even, and are
 * infinite from 65,520 on; into float32 they are exact. The gradient is float32 and passes unchanged. Works on every adapter.
 */
export function cast(x: Tensor, to: FloatType): Tensor {
  return castOp.apply([x], { to });
}
