import type { Checkpoint } from '../data/checkpoint.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { keep } from '../tensor/scope.ts';
import { Tensor } from '../tensor/tensor.ts';

/**
 * The weights of LPIPS v0.1 (Zhang et al. 2018: `alex.pth`, `squeeze.pth`, `vgg.pth`; keys `lin0.model.1.weight`, …) for
 * `featureDistance`: one [1, C, 1, 1] per layer, the first layer first. The caller disposes of them.
 *
 * @throws HistogradError `checkpoint-mismatch` for another file, or weights that are negative or not finite
 */
export function lpipsHeads(device: Device, { name, tensors }: Checkpoint): Tensor[] {
  const heads: { data: Float32Array; shape: number[] }[] = [];
  for (;;) {
    const found = tensors.get(`lin${heads.length}.model.1.weight`);
    if (!found) break;
    const data = found.values();
    const { shape } = found;
    const channels = shape[1] ?? 0;
    if (
      shape.join() !== `1,${channels},1,1` ||
      !data.every((value) => value >= 0 && value < Infinity)
    ) {
      throw mismatch(
        name,
        `lin${heads.length} has the shape [${shape.join(', ')}] or values that are negative; expected [1, C, 1, 1] from 0 on`,
      );
    }
    heads.push({ data, shape: [...shape] });
  }
  if (heads.length === 0 || heads.length !== tensors.size) {
    const found = [...tensors.keys()].slice(0, 3).map((key) => key.slice(0, 100));
    throw mismatch(name, `expected lin0.model.1.weight and so on alone, found ${found.join(', ')}`);
  }
  return heads.map(({ data, shape }) => keep(Tensor.from(device, data, shape)));
}

function mismatch(name: string, problem: string): HistogradError {
  return new HistogradError(
    'checkpoint-mismatch',
    `${name} does not hold the linear layers of LPIPS: ${problem}.`,
    'Use alex.pth, squeeze.pth or vgg.pth of the folder weights/v0.1 of richzhang/PerceptualSimilarity.',
  );
}
