import type { FeatureSettings } from '../data/feature-settings.ts';
import type { TrainedModel } from '../training/trained-model.ts';

/** What to say of features that give no settings to a model that knows the ones of its training. */
export function unknownFeatures(
  { provenance }: TrainedModel,
  settings: FeatureSettings | undefined,
): string | undefined {
  return provenance?.features && !settings
    ? 'these features do not say how they were made, and the model was trained on some that do: make sure that they come from the same extractor and tiles'
    : undefined;
}
