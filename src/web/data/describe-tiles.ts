/** How tiles become features: statistics of their pixels, or a network whose weights were dropped along. */
import { parseCheckpoint } from '../../data/checkpoint.ts';
import { type FeatureSettings, SETTINGS_FORMAT } from '../../data/feature-settings.ts';
import { embedTiles } from '../../extraction/embed-tiles.ts';
import type { Device } from '../../gpu/device.ts';
import { loadWeights } from '../../models/extractors/load-weights.ts';
import { createExtractor, EXTRACTORS, inferExtractor } from '../../models/extractors/registry.ts';
import type { RgbImage } from '../../slides/slide.ts';
import {
  TILE_STATISTICS,
  TILE_STATISTICS_VERSION,
  tileStatistics,
} from '../../slides/tile-statistics.ts';
import { Generator } from '../../tensor/random.ts';
import { readWhole } from './file-bytes.ts';
import type { Sniffed } from './found.ts';

export interface TileDescriber {
  /** For the user. */
  readonly name: string;
  /** Length of a feature. */
  readonly width: number;
  /** Most pixels of a tile's side that are of use. */
  readonly size: number;
  /** What the features depend on, but for where the tiles come from. */
  readonly settings: FeatureSettings;
  /** [count, width]. `read` is called for tile 0, 1, 2, … in this order. Errors: what `read` throws, and those of `embedTiles`. */
  describe(
    count: number,
    read: (index: number) => Promise<RgbImage>,
    onTiles: (done: number) => void,
  ): Promise<Float32Array<ArrayBuffer>>;
  close(): void;
}

export const STATISTICS = 'tile-statistics';
/** Larger tiles take long and say little more. */
const STATISTICS_SIZE = 64;
/** Between two looks at the messages, in milliseconds. */
const STRETCH = 40;
const BATCH = 16;
/** Weights of the largest networks take 1.2 GB. */
const MAX_WEIGHTS_BYTES = 2 ** 31 - 1;

export function statisticsDescriber(): TileDescriber {
  const width = TILE_STATISTICS.length;
  return {
    name: 'tile statistics',
    width,
    size: STATISTICS_SIZE,
    settings: { format: SETTINGS_FORMAT, extractor: STATISTICS, version: TILE_STATISTICS_VERSION },
    async describe(count, read, onTiles) {
      const features = new Float32Array(count * width);
      let rested = performance.now();
      for (let i = 0; i < count; i++) {
        const { data, height, width: side } = await read(i);
        features.set(tileStatistics(data, height, side), i * width);
        if (performance.now() - rested < STRETCH) continue;
        onTiles(i + 1);
        // The worker answers the page in between.
        await new Promise((resolve) => setTimeout(resolve));
        rested = performance.now();
      }
      onTiles(count);
      return features;
    },
    close() {},
  };
}

/** Errors: `too-large`, `not-readable`, those of `parseCheckpoint` and `loadWeights`. */
export async function networkDescriber(
  device: Device,
  weights: Sniffed<'weights'>,
): Promise<TileDescriber> {
  const bytes = await readWhole(weights, MAX_WEIGHTS_BYTES);
  const checkpoint = parseCheckpoint(bytes, weights.path);
  const name = inferExtractor(checkpoint.tensors);
  const init = { device, generator: new Generator(0) };
  const extractor = createExtractor(name, init, checkpoint.tensors);
  const { preprocessing, width } = extractor;
  try {
    loadWeights(extractor, checkpoint);
  } catch (cause) {
    extractor.dispose();
    throw cause;
  }
  return {
    name: EXTRACTORS[name].title,
    width,
    size: preprocessing.size,
    settings: {
      format: SETTINGS_FORMAT,
      extractor: name,
      weights: await sha256(bytes),
      preprocessing,
    },
    async describe(count, read, onTiles) {
      const features = new Float32Array(count * width);
      const options = { batch: BATCH, ahead: 1 };
      for await (const part of embedTiles(device, extractor, count, read, options)) {
        features.set(part.features, part.start * width);
        onTiles(part.start + part.count);
      }
      return features;
    },
    close: () => extractor.dispose(),
  };
}

/** As `histograd extract` has it. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
