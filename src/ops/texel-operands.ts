/** When CPU rasterisers should read the operands of a product as textures (`ProductPlan`, `texels`). */
import type { Device } from '../gpu/device.ts';

/**
 * Numbers are copied at 30 times what a multiply-add gains (copy 0.4 ns; gain 12 ps), so that each must be used in some more; a product
 * of a few hundred microseconds gains no more than breaking a pass twice costs.
 */
const USES = 48;
const LEAST_MULTIPLY_ADDS = 2 ** 25;

/** @param operands elements of each */
export function repaysTexels(multiplyAdds: number, operands: readonly number[]): boolean {
  const copied = operands.reduce((sum, n) => sum + n, 0);
  return multiplyAdds >= LEAST_MULTIPLY_ADDS && multiplyAdds >= USES * copied;
}

/** @param operands elements of each */
export function fitTexels(device: Device, operands: readonly number[]): boolean {
  return 4 * Math.max(...operands) <= device.texelBytes;
}
