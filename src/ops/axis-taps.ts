/**
 * Sparse linear maps along one axis, outside the tape. The host writes down which inputs each output reads;
 * the gradient is the same kernel with the transposed table, so that the two are adjoint by construction.
 */
import code from '../../shaders/axis-taps.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';

const kernel = defineKernel('axis-taps', code);

/** Output p reads the inputs indices[t] with weights[t], for t from starts[p] to starts[p + 1] − 1. */
interface AxisMap {
  readonly inputs: number;
  readonly outputs: number;
  readonly starts: Uint32Array;
  readonly indices: Uint32Array;
  readonly weights: Float32Array;
}

export interface AlongAxis {
  readonly axis: number;
  readonly map: AxisMap;
}

/** The map whose output p is the sum of weight · input over `taps(p)`. */
export function axisMap(
  inputs: number,
  outputs: number,
  taps: (output: number) => readonly (readonly [index: number, weight: number])[],
): AxisMap {
  const all = Array.from({ length: outputs }, (_, p) => taps(p));
  const starts = new Uint32Array(outputs + 1);
  all.forEach((own, p) => {
    starts[p + 1] = starts[p]! + own.length;
  });
  const flat = all.flat();
  const indices = Uint32Array.from(flat, ([index]) => index);
  return { inputs, outputs, starts, indices, weights: Float32Array.from(flat, ([, w]) => w) };
}

/** The adjoint: input and output change places. */
function transposed({ inputs, outputs, starts, indices, weights }: AxisMap): AxisMap {
  const taps = Array.from({ length: inputs }, (): [number, number][] => []);
  for (let p = 0; p < outputs; p++) {
    for (let t = starts[p]!; t < starts[p + 1]!; t++) taps[indices[t]!]!.push([p, weights[t]!]);
  }
  return axisMap(outputs, inputs, (j) => taps[j]!);
}

/** Applies the maps one after another, the last of them into `out`. */
export function applyAlong(x: Tensor, steps: readonly AlongAxis[], out: Tensor): void {
  if (steps.length === 0) x.device.copy(x.buffer, out.buffer, 4 * x.size);
  let now = x;
  steps.forEach(({ axis, map }, i) => {
    const shape = now.shape.map((n, d) => (d === axis ? map.outputs : n));
    const last = i === steps.length - 1;
    const next = last ? out : Tensor.empty(x.device, shape, 'f32', 'one axis of several');
    applyOnce(now, axis, map, next);
    if (now !== x) now.dispose();
    now = next;
  });
}

/** The gradient of `applyAlong`. */
export function applyTransposed(grad: Tensor, steps: readonly AlongAxis[], dx: Tensor): void {
  const back = steps.map(({ axis, map }) => ({ axis, map: transposed(map) }));
  applyAlong(grad, back.reverse(), dx);
}

function applyOnce(x: Tensor, axis: number, map: AxisMap, out: Tensor): void {
  if (out.size === 0) return;
  const { device } = x;
  const { outer, inner } = aroundAxis('axis-taps', out.shape, axis);
  const { inputs, outputs } = map;
  const tables = {
    starts: Tensor.from(device, map.starts),
    indices: Tensor.from(device, map.indices),
    weights: Tensor.from(device, map.weights),
  };
  const unit = inner % 4 === 0 ? 4 : 1;
  const entry = inner === 1 ? 'apply_rows' : unit === 4 ? 'apply_vec4' : 'apply';
  const overrides =
    device.class === 'cpu' ? { WORKGROUP: 16, ELEMENTS: 16 } : { WORKGROUP: 256, ELEMENTS: 1 };
  for (const part of rowParts(device, outer, [inputs * inner, outputs * inner])) {
    const source = bindPart(x, part, inputs * inner);
    const target = bindPart(out, part, outputs * inner);
    const lines = inner === 1 ? Math.ceil(part.count / 4) : (part.count * inner) / unit;
    const count = lines * outputs;
    device.run(kernel, entry, {
      buffers: {
        x: source,
        out: target,
        x4: source,
        out4: target,
        starts: tables.starts.buffer,
        indices: tables.indices.buffer,
        weights: tables.weights.buffer,
      },
      params: { inputs, outputs, inner: inner / unit, rows: part.count, count },
      overrides,
      groups: Math.ceil(count / (overrides.WORKGROUP * overrides.ELEMENTS)),
    });
  }
  for (const table of Object.values(tables)) table.dispose();
}
