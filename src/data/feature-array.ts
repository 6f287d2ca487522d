/** Which of a file's arrays holds the patch features: the one rule for .h5, .safetensors and .pt. */
import { HistogradError } from '../errors.ts';

/** A named array of a feature file. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Picks the features among a file's arrays: the one asked for; else `features` (CLAM, TRIDENT); else the only one named
 * `*_features` (SEQUOIA, PRALINE); else the only two-dimensional array besides `coords`.
 *
 * @param dataset the name asked for with `--dataset`
 * @param file the file's name, for error messages
 * @throws HistogradError `no-dataset` when there is none, or no such one; `ambiguous-dataset` when several fit
 */
export function pickFeatureArray<T extends NamedShape>(
  arrays: readonly T[],
  dataset: string | undefined,
  file: string,
): T {
  const listing = arrays.map(({ name, shape }) => `${name || '(unnamed)'} [${shape.join(', ')}]`);
  const found = listing.length > 0 ? `Found: ${listing.join(', ')}.` : 'It holds no arrays.';
  if (dataset !== undefined) {
    const wanted = arrays.find(({ name }) => name === dataset);
    if (wanted) return wanted;
    throw new HistogradError(
      'no-dataset',
      `${file} has no dataset called '${dataset}'. ${found}`,
      'Name one of these with --dataset.',
    );
  }
  const exact = arrays.find(({ name }) => name === 'features');
  if (exact) return exact;

  const suffixed = arrays.filter(({ name }) => name.endsWith('_features'));
  const candidates =
    suffixed.length > 0
      ? suffixed
      : arrays.filter(({ name, shape }) => shape.length === 2 && name !== 'coords');
  const [first, second] = candidates;
  if (first && !second) return first;
  if (!first) {
    throw new HistogradError(
      'no-dataset',
      `${file} has no features: expected a dataset 'features' or '*_features', or one 2-D array. ${found}`,
      'Check that this is a feature file, or name the dataset with --dataset.',
    );
  }
  throw new HistogradError(
    'ambiguous-dataset',
    `${file} has several datasets that could be the features: ${candidates.map(({ name }) => name).join(', ')}.`,
    'Say which one with --dataset NAME.',
  );
}
