/**
 * How work is cut into workgroups, per adapter class: the overrides and the workgroup count for the
 * three shapes that kernels come in. On a CPU rasteriser a workgroup costs about 0.5 µs and a barrier
 * as much, so that threads are few and each does a lot; a GPU wants many threads.
 */
import type { Device } from '../gpu/device.ts';

export interface GridPlan {
  groups: number;
  overrides: Record<string, number>;
}

/** Kernels that walk `count` float32 as vec4s. */
export function elementwisePlan(device: Device, count: number): GridPlan {
  const overrides =
    device.class === 'cpu' ? { WORKGROUP: 8, VECS: 16 } : { WORKGROUP: 256, VECS: 1 };
  const perGroup = 4 * overrides.WORKGROUP * overrides.VECS;
  return { groups: Math.ceil(count / perGroup), overrides };
}

/** Kernels that walk `count` single elements (copies, mostly), ELEMENTS to a thread. */
export function copyPlan(device: Device, count: number): GridPlan {
  const overrides =
    device.class === 'cpu' ? { WORKGROUP: 16, ELEMENTS: 32 } : { WORKGROUP: 256, ELEMENTS: 1 };
  return { groups: Math.ceil(count / (overrides.WORKGROUP * overrides.ELEMENTS)), overrides };
}

/** Kernels with one thread per task. */
export function threadPlan(device: Device, tasks: number): GridPlan {
  const WORKGROUP = device.class === 'cpu' ? 16 : 128;
  return { groups: Math.ceil(tasks / WORKGROUP), overrides: { WORKGROUP } };
}

/** Kernels over `rows` rows of `n` elements, in which threads share a row (shared/row_reduce.wgsl). */
export function rowPlan(device: Device, rows: number, n: number): GridPlan {
  let threads = 1;
  let perGroup = 8;
  if (device.class === 'gpu') {
    threads = n <= 64 ? 32 : n <= 1024 ? 64 : 256;
    perGroup = 256 / threads;
  }
  return rowGrid(rows, threads, perGroup);
}

/**
 * Do kernels over rows of `n` elements walk them by vec4s? CPU rasterisers do where rows allow it: a load there costs
 * by the instruction, not by the byte.
 */
export function byQuads(device: Device, n: number): boolean {
  return device.class === 'cpu' && n % 4 === 0;
}

/** Buffers by the names that the vec4 form of an entry point has for them: `x` is `x4`. */
export function asQuads<T>(buffers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(buffers).map(([name, buffer]) => [`${name}4`, buffer]));
}

/** Kernels over `lines` lines of `n` elements, in which threads share a line but exchange nothing. */
export function linePlan(device: Device, lines: number, n: number): GridPlan {
  let threads = 1;
  let perGroup = 8;
  if (device.class === 'gpu') {
    threads = [8, 16, 32].find((count) => n <= count) ?? 64;
    perGroup = 128 / threads;
  }
  return rowGrid(lines, threads, perGroup);
}

function rowGrid(rows: number, threads: number, perGroup: number): GridPlan {
  return {
    groups: Math.ceil(rows / perGroup),
    overrides: {
      THREADS_PER_ROW: threads,
      ROWS_PER_GROUP: perGroup,
      ROW_THREADS: threads * perGroup,
    },
  };
}
