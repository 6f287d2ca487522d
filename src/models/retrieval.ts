/** Prediction from the most similar training slides: a weighted mean of their expression. */

export interface RetrievalOptions {
  /** Neighbours that take part (all, when there are fewer). */
  k: number;
  /** `uniform`: plain mean; `softmax`: weights exp(score / temperature), normalised over the neighbours. */
  weighting: 'uniform' | 'softmax';
  temperature: number;
}

/**
 * @param scores similarity to each of the n training slides (larger is nearer)
 * @param profiles their expression [n, G]
 * @returns expression [G]; ties in the scores go to the earlier slide
 */
export function retrieve(
  scores: Float64Array,
  profiles: Float32Array,
  { k, weighting, temperature }: RetrievalOptions,
): Float32Array {
  const n = scores.length;
  const genes = profiles.length / n;
  const nearest = Array.from({ length: n }, (_, i) => i)
    .sort((a, b) => scores[b]! - scores[a]! || a - b)
    .slice(0, k);
  const best = scores[nearest[0]!]!;
  const weights = nearest.map((i) =>
    weighting === 'uniform' ? 1 : Math.exp((scores[i]! - best) / temperature),
  );
  const total = weights.reduce((sum, w) => sum + w, 0);
  const expression = new Float64Array(genes);
  nearest.forEach((i, rank) => {
    const weight = weights[rank]! / total;
    for (let g = 0; g < genes; g++) expression[g]! += weight * profiles[i * genes + g]!;
  });
  return Float32Array.from(expression);
}
