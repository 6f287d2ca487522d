import code from '../../shaders/softmax.wgsl';
import subgroupCode from '../../shaders/softmax-subgroup.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { asQuads, byQuads, type GridPlan, rowPlan, subgroupLanes } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { Tensor } from '../tensor/tensor.ts';
import { aroundAxis } from './axis.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('softmax', code);
const subgroupKernel = defineKernel('softmax-subgroup', subgroupCode);

/** Narrower rows are faster with a lane to each row. */
const SHARED_ROW = 1024;

export interface SoftmaxOptions {
  /** −1 unless given. */
  axis?: number;
}

/** Neighbouring columns of n elements, each shared by some threads. */
function columnPlan(device: Device, columns: number, n: number): GridPlan {
  const gpu = device.class === 'gpu';
  const LANES = gpu && n > 16 ? 8 : 1;
  const COLUMNS = gpu ? 256 / LANES : 16;
  return {
    groups: Math.ceil(columns / COLUMNS),
    overrides: { COLUMNS, LANES, COLUMN_THREADS: COLUMNS * LANES },
  };
}

/** Entry points of `softmax`: along rows, rows of whole vec4s, and columns. */
const ENTRIES = {
  forward: { rows: 'forward', quads: 'forward4', columns: 'forward_columns' },
  backward: { rows: 'backward', quads: 'backward4', columns: 'backward_columns' },
};

function run(
  entry: keyof typeof ENTRIES,
  log: boolean,
  axis: number,
  like: Tensor,
  tensors: Record<string, Tensor>,
): void {
  if (like.size === 0) return;
  const { device } = like;
  const { outer, length: n, inner } = aroundAxis('softmax', like.shape, axis);
  const quads = inner === 1 && byQuads(device, n);
  const lanes = quads && n >= SHARED_ROW ? subgroupLanes(device) : 0;
  for (const part of rowParts(device, outer, [n * inner])) {
    const buffers = Object.fromEntries(
      Object.entries(tensors).map(([name, t]) => [name, bindPart(t, part, n * inner)]),
    );
    if (lanes > 0) {
      device.run(subgroupKernel, entry, {
        buffers: asQuads(buffers),
        params: { rows: part.count, n },
        overrides: { LANES: lanes, LOG: log ? 1 : 0 },
        groups: part.count,
      });
      continue;
    }
    const rows = part.count * inner;
    const { groups, overrides } =
      inner === 1 ? rowPlan(device, rows, n) : columnPlan(device, rows, n);
    device.run(kernel, ENTRIES[entry][inner > 1 ? 'columns' : quads ? 'quads' : 'rows'], {
      buffers: quads ? asQuads(buffers) : buffers,
      params: { rows, n, inner },
      overrides: { ...overrides, LOG: log ? 1 : 0 },
      groups,
    });
  }
}

function defineSoftmax(name: string, logarithm: boolean) {
  return defineOp<SoftmaxOptions>({
    name,
    inputs: 'x [..., n, ...]',
    output: '[..., n, ...]',
    cost: '4·N',
    shape([x], { axis = -1 }) {
      if (x!.length === 0) throw shapeError(name, 'at least one dimension', formatShape(x!));
      aroundAxis(name, x!, axis);
      return x!;
    },
    forward: ([x], { axis = -1 }, output) =>
      run('forward', logarithm, axis, x!, { x: x!, out: output }),
    gradient({ grad, output, options: { axis = -1 } }) {
      const dx = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      run('backward', logarithm, axis, grad, { y: output, dy: grad, out: dx });
      return [dx];
    },
  });
}

export const softmaxOp = defineSoftmax('softmax', false);
export const logSoftmaxOp = defineSoftmax('log-softmax', true);

/** exp(x) / Σ exp(x) along an axis, the last unless given. */
export const softmax = (x: Tensor, axis = -1) => softmaxOp.apply([x], { axis });
/** log softmax along an axis, the last unless given. */
export const logSoftmax = (x: Tensor, axis = -1) => logSoftmaxOp.apply([x], { axis });
