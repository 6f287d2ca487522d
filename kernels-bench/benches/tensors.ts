import type { Device } from '../../src/gpu/device.ts';
import { convert } from '../../src/tensor/convert.ts';
import { Generator, normal } from '../../src/tensor/random.ts';
import { keep } from '../../src/tensor/scope.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';

/** Normal numbers that live until disposed of. */
export function random(device: Device, shape: Shape, seed: number, deviation = 1): Tensor {
  return keep(normal(device, shape, new Generator(seed).next(), 0, deviation));
}

/** Random halves that live until disposed of. */
function randomHalves(device: Device, shape: Shape, seed: number): Tensor {
  const numbers = random(device, shape, seed);
  const halves = convert(numbers, 'f16');
  numbers.dispose();
  return halves;
}

/** What is multiplied: float32, or halves with float32 results. */
export interface Operands {
  readonly random: typeof randomHalves;
  /** Of an element. */
  readonly bytes: number;
}

export const FLOATS: Operands = { random, bytes: FLOAT };
export const HALVES: Operands = { random: randomHalves, bytes: 2 };

export function disposeAll(...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}
