import code from '../../shaders/channel-norm.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { type GridPlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, type Op, shapeError } from './op.ts';

const kernel = defineKernel('channel-norm', code);

export interface ChannelNormOptions {
  eps: number;
}

/** Threads share a position where neighbouring positions are few; else each has its own, and they read side by side. */
function planOf(x: Tensor, vec: boolean, positions: number, length: number): GridPlan {
  if (x.device.class === 'cpu' || (!vec && length < 16)) {
    return rowPlan(x.device, positions, x.shape[1]!);
  }
  const perGroup = 128;
  return {
    groups: Math.ceil(positions / perGroup),
    overrides: { THREADS_PER_ROW: 1, ROWS_PER_GROUP: perGroup, ROW_THREADS: perGroup },
  };
}

function run(
  entry: string,
  unit: boolean,
  eps: number,
  x: Tensor,
  dy: Tensor | null,
  out: Tensor,
): void {
  if (x.size === 0) return;
  const { device } = x;
  const [samples, channels] = x.shape as [number, number];
  const floats = sizeOf(x.shape.slice(2));
  const vec = floats % 4 === 0;
  const length = vec ? floats / 4 : floats;
  const width = channels * floats;
  const spare = Tensor.empty(device, [4], 'f32', 'channel-norm, not used');
  for (const part of rowParts(device, samples, [width])) {
    const plan = planOf(x, vec, part.count * length, length);
    const [source, written] = [bindPart(x, part, width), bindPart(out, part, width)];
    const grad = dy && bindPart(dy, part, width);
    device.run(kernel, entry, {
      buffers: {
        x: source,
        x4: source,
        ...(grad ? { dy: grad, dy4: grad } : {}),
        out: vec ? spare.buffer : written,
        out4: vec ? written : spare.buffer,
      },
      params: { samples: part.count, channels, length, eps },
      overrides: { ...plan.overrides, VEC: vec ? 1 : 0, UNIT: unit ? 1 : 0 },
      groups: plan.groups,
    });
  }
  spare.dispose();
}

function defineChannelNorm(name: string, unit: boolean): Op<ChannelNormOptions> {
  return defineOp<ChannelNormOptions>({
    name,
    inputs: 'x [N, C, ...]',
    output: '[N, C, ...]',
    cost: '3·N',
    shape([x]) {
      if (x!.length < 2) throw shapeError(name, 'x [N, C, ...]', formatShape(x!));
      return x!;
    },
    forward: ([x], { eps }, output) => run('forward', unit, eps, x!, null, output),
    gradient({ grad, inputs: [x], options: { eps } }) {
      const dx = Tensor.empty(grad.device, grad.shape, 'f32', `${name} gradient`);
      run('backward', unit, eps, x!, grad, dx);
      return [dx];
    },
  });
}

export const pixelNormOp = defineChannelNorm('pixel-norm', false);
export const channelUnitNormOp = defineChannelNorm('channel-unit-norm', true);

/** x / √(mean of x² over the channels + eps) at each position of x [N, C, ...] (PixelNorm; Karras et al. 2018, §4.2). */
export const pixelNorm = (x: Tensor, eps = 1e-8) => pixelNormOp.apply([x], { eps });
/**
 * x / (√(Σ x² over the channels) + eps) at each position of x [N, C, ...]: unit length, as LPIPS compares features
 * (Zhang et al. 2018). Where all channels are 0, so is the result, and its gradient is that of x / eps.
 */
export const channelUnitNorm = (x: Tensor, eps = 1e-10) => channelUnitNormOp.apply([x], { eps });
