import { segmentMean } from '../ops/segment.ts';
import type { Bags, TrainingSet } from './model.ts';
import { readBack } from './read-back.ts';

/** The mean patch feature of each bag, [B, d]. */
export async function bagMeans({ features, segments }: Bags): Promise<Float32Array> {
  const { means } = await readBack(() => ({ means: segmentMean(features, segments) }));
  return means;
}

/** The same for a whole training set, [n, d]. */
export async function trainingMeans(training: TrainingSet): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for await (const bags of training.batches()) parts.push(await bagMeans(bags));
  const all = new Float32Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
