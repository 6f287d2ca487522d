/** Whether tiles of a slide can be described as a model's were; from headers alone. */
import { HistogradError } from '../../errors.ts';
import { EXTRACTOR_NAMES, EXTRACTORS } from '../../models/extractors/registry.ts';
import { TILE_STATISTICS } from '../../slides/tile-statistics.ts';
import { STATISTICS } from './describe-tiles.ts';
import type { Sniffed } from './found.ts';
import type { Plan } from './plan.ts';
import { type TileRules, tileRules } from './tile-rules.ts';

export interface SlideRules {
  /** Undefined where the model does not say how its tiles were made. */
  readonly rules: TileRules | undefined;
  /** The network to use; null for tile statistics. */
  readonly weights: Sniffed<'weights'> | null;
}

/** @throws HistogradError `weights-needed`, `other-extractor`, `unknown-scale`, `odd-features` */
export function slideRules({
  model,
  weights,
}: Extract<Plan, { opens: 'slide-and-model' }>): SlideRules {
  const rules = tileRules(model.features, model.path);
  if (rules?.tiling && rules.tiling.mpp === undefined) {
    throw new HistogradError(
      'unknown-scale',
      `${model.path} was trained on spots of sections whose scale is unknown, so tiles of a slide cannot be cut at the same scale.`,
      'Predict other sections with their spots, or train again on sections that say their scale.',
    );
  }
  const wanted = rules?.extractor;
  const statistics =
    wanted === STATISTICS || (wanted === undefined && model.width === TILE_STATISTICS.length);
  if (statistics) return { rules, weights: null };
  if (!weights) throw weightsNeeded(model.path, model.width, wanted);
  if (wanted === undefined || weights.extractor === wanted) return { rules, weights };
  throw new HistogradError(
    'other-extractor',
    `${model.path} was trained on features of ${titleOf(wanted)}; ${weights.path} are the weights of ${titleOf(weights.extractor)}.`,
    `Drop the weights of ${titleOf(wanted)} instead.`,
  );
}

function titleOf(extractor: string): string {
  const known = EXTRACTOR_NAMES.find((name) => name === extractor);
  return known ? EXTRACTORS[known].title : extractor;
}

function weightsNeeded(model: string, width: number, wanted: string | undefined): HistogradError {
  const network = wanted === undefined ? `a network of width ${width}` : titleOf(wanted);
  return new HistogradError(
    'weights-needed',
    `${model} was trained on features of ${network}, which this page does not have.`,
    `Drop the weights of ${network} along (.safetensors, .pth or .bin), or drop feature files of the slide instead of the slide.`,
  );
}
