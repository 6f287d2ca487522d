/**
 * `scope(() => …)` frees every tensor created inside it, except those it returns (at any depth of
 * arrays, maps and plain objects) and those given to `keep`. Returned tensors belong to the enclosing scope,
 * and so do all others where `frees(result, tensor)` is false: those that a gradient will need.
 */
import { HistogradError } from '../errors.ts';
import type { Tensor } from './tensor.ts';

const open: Set<Tensor>[] = [];

/** Called by every tensor at birth. */
export function adopt(tensor: Tensor): void {
  open.at(-1)?.add(tensor);
}

/** Takes a tensor out of all scopes: from now on its holder disposes of it. */
export function keep<T extends Tensor>(tensor: T): T {
  for (const tensors of open) tensors.delete(tensor);
  return tensor;
}

export function scope<T>(
  body: () => T,
  frees: (result: T, tensor: Tensor) => boolean = () => true,
): T {
  const tensors = new Set<Tensor>();
  open.push(tensors);
  let result: T;
  try {
    result = body();
    if (result instanceof Promise) {
      result.catch(() => {}); // its tensors are about to be freed: it can only fail
      throw new HistogradError(
        'async-scope',
        'scope() was given an async function: it would free tensors still in use.',
        'Compute inside the scope, return the tensor, and await its data() outside.',
      );
    }
  } catch (error) {
    open.pop();
    for (const tensor of tensors) tensor.dispose();
    throw error;
  }
  open.pop();
  const returned = new Set<unknown>();
  collect(result, returned);
  for (const tensor of tensors) {
    if (returned.has(tensor) || !frees(result, tensor)) adopt(tensor);
    else tensor.dispose();
  }
  return result;
}

function collect(value: unknown, found: Set<unknown>): void {
  if (typeof value !== 'object' || value === null || found.has(value) || ArrayBuffer.isView(value))
    return;
  found.add(value);
  // Tensors refer to their device, which refers to much else: only containers are entered.
  if (Array.isArray(value) || value instanceof Set) for (const item of value) collect(item, found);
  else if (value instanceof Map) for (const item of value.values()) collect(item, found);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) collect(item, found);
}
