/** Compiles the kernels of a training while the user still reads: a training of one epoch on numbers of no meaning. */
import type { Device } from '../../gpu/device.ts';
import { modelDefaults, trainingDefaults } from '../../models/registry.ts';
import type { BagSource } from '../../training/bag-source.ts';
import { TRAIN_DEFAULTS } from '../../training/task.ts';
import { train } from '../../training/train.ts';

/** About those of the simulated cohort: kernels are chosen by the sizes of what they multiply. */
const WIDTH = 75;
const GENES = 160;
const PATCHES = 32;
const BAGS = 24;
const SIZES = { hidden: 128, attention: 32 };

export async function warmUp(device: Device): Promise<void> {
  const kind = 'direct-abmil';
  const indices = Array.from({ length: BAGS }, (_, i) => i);
  const { model } = await train({
    device,
    source: numbers,
    genes: Array.from({ length: GENES }, (_, g) => `${g}`),
    targets: Float32Array.from({ length: BAGS * GENES }, (_, i) => Math.sin(i)),
    split: { name: 'warm-up', train: indices.slice(4), validation: indices.slice(0, 4), test: [] },
    kind,
    modelOptions: { ...modelDefaults(kind), ...SIZES },
    options: {
      ...TRAIN_DEFAULTS,
      ...trainingDefaults(kind),
      epochs: 1,
      batchSize: 10,
      featureScale: 'zscore',
      targetScale: 'zscore',
    },
  });
  model.dispose();
}

const numbers: BagSource = {
  slides: Array.from({ length: BAGS }, (_, i) => ({ id: `${i}`, rows: PATCHES })),
  width: WIDTH,
  async *batches(order) {
    for (const indices of order) {
      const features = new Float32Array(indices.length * PATCHES * WIDTH).map((_, i) =>
        Math.cos(i),
      );
      const offsets = Uint32Array.from({ length: indices.length + 1 }, (_, b) => b * PATCHES);
      yield { indices, features, offsets };
    }
  },
};
