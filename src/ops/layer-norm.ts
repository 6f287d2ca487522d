import code from '../../shaders/layer-norm.wgsl';
import subgroupCode from '../../shaders/layer-norm-subgroup.wgsl';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Binding } from '../gpu/pipelines.ts';
import { asQuads, byQuads, type GridPlan, rowPlan, subgroupLanes } from '../tensor/grid.ts';
import { bindPart, bindSpan, rowParts } from '../tensor/parts.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { asRows } from './axis.ts';
import { defineOp, formatShapes, shapeError } from './op.ts';
import { reduceSum } from './reduce.ts';

const KERNEL = defineKernel('layer-norm', code);
const SUBGROUP_KERNEL = defineKernel('layer-norm-subgroup', subgroupCode);
/** Rows that a workgroup of the latter does backward: BLOCK of its shader. */
const BLOCK = 4;

export interface LayerNormOptions {
  eps: number;
}

/** Narrower rows are faster with a lane to each row. */
const SHARED_ROW = 128;

/** Lanes of the kernel by subgroups where it does rows of n elements, else 0. */
function lanesFor(device: Device, n: number): number {
  return n % 4 === 0 && n >= SHARED_ROW ? subgroupLanes(device) : 0;
}

/** The entry points by vec4s. */
const BY_QUADS = { forward: 'forward4', backward: 'backward4' };

function run(
  device: Device,
  entry: keyof typeof BY_QUADS,
  rows: number,
  n: number,
  eps: number,
  buffers: Readonly<Record<string, Binding>>,
): void {
  const quads = byQuads(device, n);
  device.run(KERNEL, quads ? BY_QUADS[entry] : entry, {
    buffers: quads ? asQuads(buffers) : buffers,
    params: { rows, n, eps },
    ...rowPlan(device, rows, n),
  });
}

function blockPlan(lanes: number, rows: number, block: number): GridPlan {
  return { groups: Math.ceil(rows / block), overrides: { LANES: lanes } };
}

type Inputs = readonly [x: Tensor, weight: Tensor, bias: Tensor];

/** Returns mean and rstd of each row. */
function forwardBySubgroups([x, weight, bias]: Inputs, eps: number, output: Tensor): Tensor {
  const { device } = x;
  const { rows, n } = asRows(x.shape);
  const lanes = lanesFor(device, n);
  const stats = Tensor.empty(device, [rows, 2], 'f32', 'layer-norm statistics');
  for (const part of rowParts(device, rows, [n])) {
    const known = bindSpan(stats, 2 * part.start, 2 * part.count);
    device.run(SUBGROUP_KERNEL, 'forward', {
      buffers: {
        x4: bindPart(x, part, n),
        weight4: weight.buffer,
        bias4: bias.buffer,
        out4: bindPart(output, part, n),
        stats: known.binding,
      },
      params: { rows: part.count, n, eps, stats_start: known.start / 2, parts_start: 0 },
      ...blockPlan(lanes, part.count, lanes),
    });
  }
  return stats;
}

/** Gradients of x, weight and bias. */
function gradientBySubgroups([x, weight]: Inputs, stats: Tensor, grad: Tensor): Tensor[] {
  const { device } = x;
  const { rows, n } = asRows(x.shape);
  const empty = (shape: Shape) => Tensor.empty(device, shape, 'f32', 'layer-norm gradient');
  const dx = empty(x.shape);
  const parts = rowParts(device, rows, [n]);
  const blocks = parts.reduce((sum, { count }) => sum + Math.ceil(count / BLOCK), 0);
  const [dweight, dbias] = [empty([blocks, n]), empty([blocks, n])];
  let block = 0;
  for (const part of parts) {
    const plan = blockPlan(lanesFor(device, n), part.count, BLOCK);
    const known = bindSpan(stats, 2 * part.start, 2 * part.count);
    const sums = [dweight, dbias].map((t) => bindSpan(t, block * n, plan.groups * n));
    device.run(SUBGROUP_KERNEL, 'backward', {
      buffers: {
        x4: bindPart(x, part, n),
        weight4: weight.buffer,
        dy4: bindPart(grad, part, n),
        out4: bindPart(dx, part, n),
        stats: known.binding,
        weight_parts: sums[0]!.binding,
        bias_parts: sums[1]!.binding,
      },
      params: {
        rows: part.count,
        n,
        eps: 0,
        stats_start: known.start / 2,
        parts_start: sums[0]!.start / 4,
      },
      ...plan,
    });
    block += plan.groups;
  }
  return [dx, reduceSum(dweight, 0), reduceSum(dbias, 0)];
}

export const layerNormOp = defineOp<LayerNormOptions>({
  name: 'layer-norm',
  inputs: 'x [..., n], weight [n], bias [n]',
  output: '[..., n]',
  cost: '7·N',
  shape([x, weight, bias]) {
    const n = x!.at(-1);
    const fits = (s: Shape) => s.length === 1 && s[0] === n;
    if (!n || !fits(weight!) || !fits(bias!)) {
      throw shapeError(
        'layer-norm',
        'x [..., n] with weight [n] and bias [n]',
        formatShapes([x!, weight!, bias!]),
      );
    }
    return x!;
  },
  forward(inputs, { eps }, output) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
    const { device } = x;
    const { rows, n } = asRows(x.shape);
    if (lanesFor(device, n) > 0) return [forwardBySubgroups([x, weight, bias], eps, output)];
    for (const part of rowParts(device, rows, [n])) {
      const bind = (t: Tensor) => bindPart(t, part, n);
      run(device, 'forward', part.count, n, eps, {
        x: bind(x),
        weight: weight.buffer,
        bias: bias.buffer,
        out: bind(output),
      });
    }
    return [];
  },
  gradient({ grad, inputs, saved: [stats], options: { eps } }) {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor];
    const { device } = x;
    const { rows, n } = asRows(x.shape);
    if (stats) return gradientBySubgroups([x, weight, bias], stats, grad);
    const dx = Tensor.empty(device, x.shape, 'f32', 'layer-norm gradient');
    const dyh = Tensor.empty(device, [rows, n], 'f32', 'layer-norm gradient');
    for (const part of rowParts(device, rows, [n])) {
      const bind = (t: Tensor) => bindPart(t, part, n);
      run(device, 'backward', part.count, n, eps, {
        x: bind(x),
        weight: weight.buffer,
        dy: bind(grad),
        out: bind(dx),
        dyh: bind(dyh),
      });
    }
    return [dx, reduceSum(dyh, 0), reduceSum(grad.view([rows, n]), 0)];
  },
});

/** Layer normalisation of the last axis of x [..., n] with weight [n] and bias [n] (Ba et al. 2016). */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps = 1e-5): Tensor {
  return layerNormOp.apply([x, weight, bias], { eps });
}
