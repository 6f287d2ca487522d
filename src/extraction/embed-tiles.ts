/** Tiles through an extractor, in batches: while the GPU computes one, the next are read. */
import { noGrad } from '../autograd/tape.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import type { Extractor } from '../models/extractors/extractor.ts';
import { preprocess } from '../models/extractors/preprocess.ts';
import type { RgbImage } from '../slides/slide.ts';
import { scope } from '../tensor/scope.ts';

export interface EmbedOptions {
  /** Tiles per pass through the network. */
  readonly batch: number;
  /** Batches read ahead of the one that is computed. */
  readonly ahead: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EmbeddedBatch {
  /** Index of the first tile. */
  readonly start: number;
  readonly count: number;
  /** [count, extractor.width], row-major. */
  readonly features: Float32Array;
}

/**
 * Embeddings of `count` square tiles of one size, in order. The extractor is put into evaluation mode. Memory holds
 * `ahead + 1` batches, however many tiles there are.
 *
 * @param read gives tile i; several are asked for at a time
 * @throws HistogradError `option`; `tile-shape` for a tile that is not like the first, `non-finite-features`; what `read` throws;
 *   and the signal's reason when it is aborted
 */
export async function* embedTiles(
  device: Device,
  extractor: Extractor,
  count: number,
  read: (index: number) => Promise<RgbImage>,
  { batch, ahead, signal }: EmbedOptions,
): AsyncGenerator<EmbeddedBatch> {
  if (!(Number.isInteger(batch) && batch >= 1)) {
    throw new HistogradError(
      'option',
      `embedTiles: batch is ${batch}, expected a whole number of tiles from 1 up.`,
      'Use 32, or fewer where memory is short.',
    );
  }
  extractor.eval();
  const queue: Promise<RgbImage[]>[] = [];
  let asked = 0;
  for (let start = 0; start < count; start += batch) {
    for (; asked < count && queue.length <= ahead; asked += batch) {
      const indices = Array.from({ length: Math.min(batch, count - asked) }, (_, i) => asked + i);
      const images = Promise.all(indices.map(read));
      images.catch(() => {}); // it is awaited later, and throws there
      queue.push(images);
    }
    signal?.throwIfAborted();
    const images = await queue.shift()!;
    const features = await embed(device, extractor, images, start);
    yield { start, count: images.length, features };
  }
}

async function embed(
  device: Device,
  extractor: Extractor,
  images: readonly RgbImage[],
  start: number,
): Promise<Float32Array> {
  const { width, height } = images[0]!;
  const bytes = new Uint8Array(images.length * width * height * 3);
  for (const [i, image] of images.entries()) {
    if (image.width !== width || image.height !== height) {
      throw new HistogradError(
        'tile-shape',
        `Tile ${start + i} has ${image.width} x ${image.height} pixels, expected ${width} x ${height} like the others.`,
        'Read all tiles of a slide at one size.',
      );
    }
    bytes.set(image.data, i * width * height * 3);
  }
  const embedded = scope(() =>
    noGrad(() => {
      const shape = [images.length, height, width] as const;
      return extractor.forward(preprocess(device, bytes, shape, extractor.preprocessing));
    }),
  );
  const features = await embedded.floats().finally(() => embedded.dispose());
  const broken = features.findIndex((value) => !Number.isFinite(value));
  if (broken >= 0) {
    throw new HistogradError(
      'non-finite-features',
      `The extractor gives ${features[broken]} for tile ${start + Math.floor(broken / extractor.width)}.`,
      'Check that the weights are those of this network, complete and not damaged.',
    );
  }
  return features;
}
