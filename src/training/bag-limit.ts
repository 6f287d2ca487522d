/** How many patches fit on the GPU at once, and what is done with larger slides. */
import type { PatchFeatures } from '../data/features.ts';
import { sampleSorted } from '../data/shuffle.ts';
import type { Device } from '../gpu/device.ts';
import type { ModelKind, ModelOptions } from '../models/registry.ts';
import type { BagSource } from './bag-source.ts';

/** Patches of a step, or of a slide to be predicted, that may be on the GPU at once; their activations take a few gigabytes. */
export const MOST_AT_ONCE = 65_536;
/** Patches of a piece. */
export const PIECE = 8192;

type Limits = Pick<Device, 'limits'>;

/** Patches whose features, or whose widest activations, fill one buffer of the device (float32). */
export function patchLimit({ limits }: Limits, width: number, { hidden }: ModelOptions): number {
  const bytes = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const columns = Math.max(width, typeof hidden === 'number' ? hidden : 0);
  return Math.max(1, Math.floor(bytes / (4 * columns)));
}

/** Can such a model take a slide in pieces (`streaming.ts`), so that nothing has to be left out? */
export function streams(kind: ModelKind): boolean {
  return kind === 'direct-abmil';
}

/** A warning where `--stream-above` was given for models that take no slide in pieces; null for others. */
export function streamWarning(asked: readonly ModelKind[]): string | null {
  if (asked.length === 0 || asked.some(streams)) return null;
  return `--stream-above changes nothing here: ${asked.join(', ')} ${asked.length > 1 ? 'take' : 'takes'} slides whole (direct-abmil takes them in pieces)`;
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

/** A warning for slides that are larger than the device holds at once; null where there are none, and for models that take them in pieces. */
export function oversizeWarning(
  device: Limits,
  { slides, width }: Pick<BagSource, 'slides' | 'width'>,
  kind: ModelKind,
  options: ModelOptions,
): string | null {
  if (streams(kind)) return null;
  const limit = patchLimit(device, width, options);
  const large = slides.filter(({ rows }) => rows > limit);
  if (large.length === 0) return null;
  const names = large.slice(0, 3).map(({ id, rows }) => `${id} (${rows} patches)`);
  return (
    `this adapter holds ${limit} patches of a slide at once: of ${names.join(', ')}${large.length > 3 ? ', …' : ''} ` +
    `a random ${limit} are used for prediction, always the same (direct-abmil takes slides of any size)`
  );
}
