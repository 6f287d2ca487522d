import { noGrad } from '../autograd/tape.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Computes without recording gradients, reads the results back, and frees them whatever happens. */
export async function readBack<Name extends string>(
  compute: () => Record<Name, Tensor>,
): Promise<Record<Name, Float32Array>> {
  const results = scope(() => noGrad(compute));
  const values: Partial<Record<Name, Float32Array>> = {};
  try {
    for (const name in results) values[name] = await results[name].floats();
  } finally {
    for (const name in results) results[name].dispose();
  }
  return values as Record<Name, Float32Array>;
}
