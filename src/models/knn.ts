/**
 * kNN (Gustafsson & Rantalainen 2024): a slide is its mean patch feature; its expression is the mean
 * over the k training slides with the nearest mean features.
 */
import { bagMeans, trainingMeans } from './bag-means.ts';
import { type Bags, ExpressionModel, type Prediction, type TrainingSet } from './model.ts';
import { retrieve } from './retrieval.ts';

export interface KnnOptions {
  k: number;
  metric: 'euclidean' | 'cosine';
}

export const KNN: KnnOptions = { k: 100, metric: 'euclidean' };

export class Knn extends ExpressionModel {
  readonly trainable = false;
  readonly options: KnnOptions;

  constructor(options: KnnOptions) {
    super();
    this.options = options;
  }

  override async prepare(training: TrainingSet): Promise<void> {
    const n = training.count;
    const means = await trainingMeans(training);
    const { targets } = training;
    this.memory.set('means', { shape: [n, means.length / n], data: means });
    this.memory.set('profiles', { shape: [n, targets.length / n], data: targets });
  }

  async predict(bags: Bags): Promise<Prediction> {
    const means = this.recall('means');
    const profiles = this.recall('profiles');
    const [n, d] = means.shape as [number, number];
    const genes = profiles.shape[1]!;
    const queries = await bagMeans(bags);
    const expression = new Float32Array(bags.segments.count * genes);
    for (let b = 0; b < bags.segments.count; b++) {
      const query = queries.subarray(b * d, (b + 1) * d);
      const scores = Float64Array.from({ length: n }, (_, i) =>
        similarity(query, means.data.subarray(i * d, (i + 1) * d), this.options.metric),
      );
      const options = { k: this.options.k, weighting: 'uniform', temperature: 1 } as const;
      expression.set(retrieve(scores, profiles.data, options), b * genes);
    }
    return { expression };
  }
}

/** Larger is nearer: minus the Euclidean distance, or the cosine. */
function similarity(a: Float32Array, b: Float32Array, metric: KnnOptions['metric']): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  let distance = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    dot += x * y;
    aa += x * x;
    bb += y * y;
    distance += (x - y) ** 2;
  }
  if (metric === 'euclidean') return -Math.sqrt(distance);
  return dot / Math.max(Math.sqrt(aa * bb), 1e-12);
}
