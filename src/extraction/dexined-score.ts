/** Tiles scored by the edges that DexiNed sees in them, one of the selectors of papers/002 (Table 2, "Dex"). */
import { noGrad } from '../autograd/tape.ts';
import { parseCheckpoint } from '../data/checkpoint.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { DEXINED_STRIDE, DexiNed } from '../models/dexined.ts';
import { loadWeights } from '../models/extractors/load-weights.ts';
import { preprocess } from '../models/extractors/preprocess.ts';
import { mean } from '../ops/reduce.ts';
import type { RgbImage } from '../slides/slide.ts';
import { Generator } from '../tensor/random.ts';
import { scope } from '../tensor/scope.ts';

/** Where the weights are; nothing of them comes with the program. */
export const DEXINED_SOURCE =
  'They are published at github.com/xavysp/DexiNed (10_model.pth) and at huggingface.co/kornia/dexined (DexiNed_BIPED_10.pth).';

/**
 * DexiNed with its published weights, for evaluation.
 *
 * @param bytes the checkpoint, as torch.save wrote it or as safetensors
 * @param name the file's name, for messages
 * @throws HistogradError `checkpoint-mismatch` for the weights of another network; and those of `parseCheckpoint`
 */
export function openDexiNed(device: Device, bytes: Uint8Array, name: string): DexiNed {
  const checkpoint = parseCheckpoint(bytes, name);
  const network = new DexiNed({ device, generator: new Generator(0) }).eval();
  try {
    loadWeights(network, checkpoint);
  } catch (cause) {
    network.dispose();
    if (!(cause instanceof HistogradError && cause.code === 'checkpoint-mismatch')) throw cause;
    throw new HistogradError(
      'checkpoint-mismatch',
      `${cause.message.split('\n')[0]} The network is DexiNed.`,
      `Give DexiNed's own weights. ${DEXINED_SOURCE}`,
      { cause },
    );
  }
  return network;
}

/**
 * The score of a tile: the probability of an edge by DexiNed's fused map, averaged over the pixels. The tile goes through
 * the network at its own size; where its side is no multiple of 16 it is enlarged to the next one first, as the authors do.
 *
 * @returns a function that throws HistogradError `non-finite-score` where damaged weights give no number
 */
export function dexinedScore(
  device: Device,
  network: DexiNed,
): (tile: RgbImage) => Promise<number> {
  return async ({ width, height, data }) => {
    const size = DEXINED_STRIDE * Math.ceil(Math.min(width, height) / DEXINED_STRIDE);
    const preprocessing = { ...network.preprocessing, resize: 'bilinear', size } as const;
    const score = scope(() =>
      noGrad(() =>
        mean(network.edges(preprocess(device, data, [1, height, width], preprocessing))),
      ),
    );
    const [value] = await score.floats().finally(() => score.dispose());
    if (!Number.isFinite(value)) {
      throw new HistogradError(
        'non-finite-score',
        `DexiNed gives ${value} for a tile.`,
        'Check that its weights are complete and not damaged.',
      );
    }
    return value!;
  };
}
