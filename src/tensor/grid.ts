/**
 * How work is cut into workgroups, as the device's tuning has it: the overrides and the workgroup count for the shapes that
 * kernels come in.
 */
import type { Device } from '../gpu/device.ts';
import { isLanes } from '../gpu/tuning.ts';

export interface GridPlan {
  groups: number;
  overrides: Record<string, number>;
}

/** Kernels that walk `count` float32 as vec4s. */
export function elementwisePlan(device: Device, count: number): GridPlan {
  const { workgroup: WORKGROUP, vecs: VECS } = device.tuning.elementwise;
  return { groups: Math.ceil(count / (4 * WORKGROUP * VECS)), overrides: { WORKGROUP, VECS } };
}

/** Kernels that walk `count` single elements (copies, mostly), ELEMENTS to a thread. */
export function copyPlan(device: Device, count: number): GridPlan {
  const { workgroup: WORKGROUP, elements: ELEMENTS } = device.tuning.copy;
  return { groups: Math.ceil(count / (WORKGROUP * ELEMENTS)), overrides: { WORKGROUP, ELEMENTS } };
}

/** Kernels with one thread per task. */
export function threadPlan(device: Device, tasks: number): GridPlan {
  const WORKGROUP = device.tuning.thread.workgroup;
  return { groups: Math.ceil(tasks / WORKGROUP), overrides: { WORKGROUP } };
}

/** Kernels over `rows` rows of `n` elements, in which threads share a row (shared/row_reduce.wgsl). */
export function rowPlan(device: Device, rows: number, n: number): GridPlan {
  const { group, narrow, middle, wide } = device.tuning.rows;
  const threads = Math.min(group, n <= 64 ? narrow : n <= 1024 ? middle : wide);
  return rowGrid(rows, threads, group / threads);
}

/**
 * Do kernels over rows of `n` elements walk them by vec4s? CPU rasterisers do where rows allow it: a load there costs
 * by the instruction, not by the byte.
 */
export function byQuads(device: Device, n: number): boolean {
  return device.class === 'cpu' && n % 4 === 0;
}

/**
 * Lanes of kernels for CPU rasterisers in which a workgroup is one subgroup: 4 or 8; 0 where the device is no such, or has no
 * subgroups of one such size.
 */
export function subgroupLanes({ class: kind, subgroupSize }: Device): number {
  return kind === 'cpu' && isLanes(subgroupSize) ? subgroupSize : 0;
}

/** Buffers by the names that the vec4 form of an entry point has for them: `x` is `x4`. */
export function asQuads<T>(buffers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(buffers).map(([name, buffer]) => [`${name}4`, buffer]));
}

/** Kernels over `lines` lines of `n` elements, in which threads share a line but exchange nothing. */
export function linePlan(device: Device, lines: number, n: number): GridPlan {
  const { group, least, most } = device.tuning.lines;
  let threads = least;
  while (threads < most && threads < n) threads *= 2;
  return rowGrid(lines, threads, group / threads);
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
