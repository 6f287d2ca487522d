/** What a feature file of `histograd extract` says of its own making. */
import { type FeatureSettings, parseFeatureSettings, SETTINGS_KEY } from '../feature-settings.ts';
import { h5Text } from '../hdf5.ts';
import { parseSafetensorsHeader, safetensorsDataStart } from '../safetensors-header.ts';
import { openH5 } from './h5-file.ts';
import { readStart } from './read-file.ts';

/**
 * The settings in a file; null for files of others, or damaged ones.
 *
 * @throws HistogradError `newer-features`, `bad-feature-settings`
 */
export async function readFeatureSettings(path: string): Promise<FeatureSettings | null> {
  const text = await (path.endsWith('.h5') ? fromH5(path) : fromSafetensors(path)).catch(() => {});
  return text === undefined ? null : parseFeatureSettings(text, path);
}

async function fromH5(path: string): Promise<string | undefined> {
  const { file } = await openH5(path);
  try {
    return h5Text(file, SETTINGS_KEY, path);
  } finally {
    file.close();
  }
}

async function fromSafetensors(path: string): Promise<string | undefined> {
  const length = await readStart(path, 8);
  const dataStart = safetensorsDataStart(length.bytes, length.fileBytes, path);
  const { bytes, fileBytes } = await readStart(path, dataStart);
  return parseSafetensorsHeader(bytes, fileBytes, path).metadata[SETTINGS_KEY];
}
