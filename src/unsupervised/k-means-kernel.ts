import code from '../../shaders/k-means.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import type { GridPlan } from '../tensor/grid.ts';
import type { Tensor } from '../tensor/tensor.ts';

const kernel = defineKernel('k-means', code);

/** Candidates that the entry point `seeds` measures at once. */
export const TRIALS = 8;

/** The plan, with loads of four columns where rows allow them. */
export function wide({ groups, overrides }: GridPlan, d: number): GridPlan {
  return { groups, overrides: { ...overrides, WIDE: d % 4 === 0 ? 1 : 0 } };
}

/** Runs an entry point of shaders/k-means.wgsl; `candidates` are for `seeds`. */
export function runKMeans(
  entry: 'seeds' | 'assign' | 'partial' | 'means',
  tensors: Readonly<Record<string, Tensor>>,
  sizes: { n: number; k: number; d: number },
  { groups, overrides }: GridPlan,
  candidates: readonly number[] = Array<number>(TRIALS).fill(0),
): void {
  const { device } = Object.values(tensors)[0]!;
  device.run(kernel, entry, {
    buffers: Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.buffer])),
    params: { ...sizes, near: candidates.slice(0, 4), far: candidates.slice(4) },
    overrides,
    groups,
  });
}
