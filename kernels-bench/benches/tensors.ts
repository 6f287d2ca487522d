import type { Device } from '../../src/gpu/device.ts';
import { Generator, normal } from '../../src/tensor/random.ts';
import { keep } from '../../src/tensor/scope.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

/** Normal numbers that live until disposed of. */
export function random(device: Device, shape: Shape, seed: number, deviation = 1): Tensor {
  return keep(normal(device, shape, new Generator(seed).next(), 0, deviation));
}

export function disposeAll(...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
