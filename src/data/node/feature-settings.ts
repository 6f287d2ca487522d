/** What a feature file of `histograd extract` says of its own making. */
import { HistogradError } from '../../errors.ts';
import type { FeatureSettings } from '../feature-settings.ts';
import { readFeatureShape } from './read-features.ts';

/**
 * The settings in a file; null for files of others, or damaged ones.
 *
 * @throws HistogradError `newer-features`, `bad-feature-settings`
 */
export async function readFeatureSettings(path: string): Promise<FeatureSettings | null> {
  const header = await readFeatureShape(path).catch((cause: unknown) => {
    const said = cause instanceof HistogradError && SETTINGS_ERRORS.has(cause.code);
    if (said) throw cause;
  });
  return header?.settings ?? null;
}

const SETTINGS_ERRORS = new Set(['newer-features', 'bad-feature-settings']);
