import code from '../../shaders/pixel-shift.wgsl';
import { defineKernel } from '../gpu/kernel.ts';
import { copyPlan } from '../tensor/grid.ts';
import { bindPart, rowParts } from '../tensor/parts.ts';
import { type Shape, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, shapeError } from './op.ts';

const kernel = defineKernel('pixel-shift', code);

export interface PixelShiftOptions {
  /** [dy, dx] of each channel. */
  shifts: readonly (readonly [dy: number, dx: number])[];
  /** x is [N, H, W, C] rather than [N, C, H, W]. */
  channelsLast?: boolean;
}

function sizes(shape: Shape, channelsLast: boolean) {
  const [n, a, b, c] = shape as [number, number, number, number];
  return channelsLast
    ? { n, channels: c, height: a, width: b, strides: [1, b * c, c] as const }
    : { n, channels: a, height: b, width: c, strides: [b * c, c, 1] as const };
}

function run(x: Tensor, options: PixelShiftOptions, sign: 1 | -1, out: Tensor): void {
  if (x.size === 0) return;
  const { device } = x;
  const { n, channels, height, width, strides } = sizes(x.shape, options.channelsLast ?? false);
  const shifts = Tensor.from(device, Int32Array.from(options.shifts.flat()));
  const image = channels * height * width;
  for (const part of rowParts(device, n, [image])) {
    const count = part.count * image;
    device.run(kernel, 'shift', {
      buffers: {
        x: bindPart(x, part, image),
        shifts: shifts.buffer,
        out: bindPart(out, part, image),
      },
      params: {
        channels,
        height,
        width,
        channel_stride: strides[0],
        row_stride: strides[1],
        column_stride: strides[2],
        sign,
        count,
      },
      ...copyPlan(device, count),
    });
  }
  shifts.dispose();
}

export const pixelShiftOp = defineOp<PixelShiftOptions>({
  name: 'pixel-shift',
  inputs: 'x [N, C, H, W] or [N, H, W, C]',
  output: 'as x',
  cost: '0',
  shape([x], { shifts, channelsLast = false }) {
    const whole = shifts.flat().every(Number.isInteger);
    if (x!.length !== 4 || !whole || sizes(x!, channelsLast).channels !== shifts.length) {
      const layout = channelsLast ? '[N, H, W, C]' : '[N, C, H, W]';
      throw shapeError(
        'pixel-shift',
        `${layout} and a whole [dy, dx] for each channel`,
        `${formatShape(x!)} and ${shifts.length} shifts`,
      );
    }
    return x!;
  },
  forward: ([x], options, output) => run(x!, options, 1, output),
  gradient({ grad, options }) {
    const dx = Tensor.empty(grad.device, grad.shape, 'f32', 'pixel-shift gradient');
    run(grad, options, -1, dx);
    return [dx];
  },
});

/**
 * Moves every channel c by a whole number of pixels: y[n, c, h, w] = x[n, c, h + dy, w + dx] with
 * [dy, dx] = shifts[c], zeros outside. CycleFC is this and a linear layer (Chen et al., CycleMLP, ICLR 2022, eq. 5).
 */
export function pixelShift(
  x: Tensor,
  shifts: readonly (readonly [dy: number, dx: number])[],
  { channelsLast = false }: { channelsLast?: boolean } = {},
): Tensor {
  return pixelShiftOp.apply([x], { shifts: [...shifts], channelsLast });
}
