import code from '../../shaders/cast.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { elementwisePlan } from './grid.ts';
import { bindPart, rowParts } from './parts.ts';
import { Tensor } from './tensor.ts';

const kernel = defineKernel('cast', code);

/** The dtypes of numbers. */
export type FloatType = 'f32' | 'f16';

/** Writes x, float32 or float16, into `out`, which is of the other of the two, outside the tape. */
export function convertInto(x: Tensor, out: Tensor): void {
  const { device, size } = x;
  const narrows = out.dtype === 'f16';
  // Pairs of values, which are whole words in both.
  for (const part of rowParts(device, Math.ceil(size / 2), [2], 'f16')) {
    const [from, to] = [bindPart(x, part, 2), bindPart(out, part, 2)];
    const vecs = Math.ceil(part.count / 2);
    device.run(kernel, narrows ? 'narrow' : 'widen', {
      buffers: narrows ? { x: from, halves: to } : { narrowed: from, widened: to },
      params: { vecs },
      ...elementwisePlan(device, 4 * vecs),
    });
  }
}

/** x as float16 or float32: a new tensor, outside the tape. The caller disposes of it. */
export function convert(x: Tensor, dtype: FloatType, purpose = 'cast'): Tensor {
  const out = Tensor.empty(x.device, x.shape, dtype, purpose);
  convertInto(x, out);
  return out;
}

/** A gradient, to be multiplied with an operand: float16 where that is. */
export function asOperand(grad: Tensor, { dtype }: Tensor): Tensor {
  return dtype === 'f16' ? convert(grad, 'f16', 'gradient') : grad;
}

/**
 * Do products read float16 from memory on this device? Elsewhere they widen their operands first: on a CPU rasteriser
 * halves are emulated, and slow.
 */
export function readsHalves({ class: tuning, features }: Device): boolean {
  return tuning === 'gpu' && features.has('shader-f16');
}

/** Calls `body` with these tensors, float16 among them as float32 copies, which it frees afterwards. */
export function widened(tensors: readonly Tensor[], body: (wide: readonly Tensor[]) => void): void {
  const copies = new Map<Tensor, Tensor>();
  for (const t of tensors) {
    if (t.dtype === 'f16' && !copies.has(t)) copies.set(t, convert(t, 'f32', 'widened operand'));
  }
  body(tensors.map((t) => copies.get(t) ?? t));
  for (const copy of copies.values()) copy.dispose();
}
