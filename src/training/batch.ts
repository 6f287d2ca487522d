/** A training batch on the GPU. */

import type { PackedBags } from '../data/packed-bags.ts';
import type { Bags } from '../models/model.ts';
import type { FloatType } from '../tensor/convert.ts';
import { Tensor } from '../tensor/tensor.ts';
import { uploadBags } from './bag-source.ts';
import type { TrainTask } from './task.ts';
import type { Scales } from './trained-model.ts';

/**
 * Uploads the bags and targets [B, G] of a batch.
 *
 * @param targets of all slides, scaled as the model sees them, [slides, G]
 * @param dtype of the features on the GPU (see `uploadBags`); 'f16' for models that multiply them inside `autocast`
 */
export function uploadBatch(
  { device, source, genes }: Pick<TrainTask, 'device' | 'source' | 'genes'>,
  scales: Scales,
  targets: Float32Array,
  batch: PackedBags,
  dtype: FloatType = 'f32',
): { bags: Bags; targets: Tensor } {
  const rows = takeRows(targets, batch.indices, genes.length);
  return {
    bags: uploadBags(device, batch, source, scales.features, dtype),
    targets: Tensor.from(device, rows, [batch.indices.length, genes.length]),
  };
}

/** Some rows of a [·, columns] matrix. */
export function takeRows(
  values: Float32Array,
  rows: readonly number[],
  columns: number,
): Float32Array {
  const out = new Float32Array(rows.length * columns);
  for (const [i, row] of rows.entries()) {
    out.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return out;
}
