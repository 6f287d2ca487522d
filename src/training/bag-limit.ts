/** How many patches fit on the GPU at once, and what is done with larger slides. */
import type { PatchFeatures } from '../data/features.ts';
import { sampleSorted } from '../data/shuffle.ts';
import type { Device } from '../gpu/device.ts';
import type { ModelOptions } from '../models/registry.ts';
import type { BagSource } from './bag-source.ts';

type Limits = Pick<Device, 'limits'>;

/** Patches whose features, or whose widest activations, fill one buffer of the device (float32). */
export function patchLimit({ limits }: Limits, width: number, { hidden }: ModelOptions): number {
  const bytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const columns = Math.max(width, typeof hidden === 'number' ? hidden : 0);
  return Math.max(1, Math.floor(bytes / (4 * columns)));
}

/** A bag, or as many of its patches as fit, always the same random ones; `patches` are their rows in the whole bag. */
export function fittingPart(
  bag: PatchFeatures,
  limit: number,
): { part: PatchFeatures; patches: Uint32Array | null } {
  const { rows, width, features } = bag;
  if (rows <= limit) return { part: bag, patches: null };
  const patches = sampleSorted(rows, limit, 0, 0, 0);
  const chosen = new Float32Array(limit * width);
  for (const [i, row] of patches.entries()) {
    chosen.set(features.subarray(row * width, (row + 1) * width), i * width);
  }
  return { part: { features: chosen, rows: limit, width }, patches };
}

/** A warning for slides that are larger than the device holds at once; null where there are none. */
export function oversizeWarning(
  device: Limits,
  { slides, width }: Pick<BagSource, 'slides' | 'width'>,
  options: ModelOptions,
): string | null {
  const limit = patchLimit(device, width, options);
  const large = slides.filter(({ rows }) => rows > limit);
  if (large.length === 0) return null;
  const names = large.slice(0, 3).map(({ id, rows }) => `${id} (${rows} patches)`);
  return (
    `this adapter holds ${limit} patches of a slide at once: of ${names.join(', ')}${large.length > 3 ? ', …' : ''} ` +
    `a random ${limit} are used for prediction, always the same`
  );
}
