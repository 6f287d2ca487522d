/**
 * How features were made: what `histograd extract` writes into every feature file, as JSON. Features of one cohort, and those given to a
 * model, must have been made in the same way; files of other tools say nothing and pass.
 */
import { HistogradError } from '../errors.ts';

/** The attribute (h5) or metadata entry (safetensors) that holds them. */
export const SETTINGS_KEY = 'histograd';
/** The version of what is written; a file without it is of version 1. */
export const SETTINGS_FORMAT = 1;

/** By name; nested ones, such as `tiling`, are records themselves. */
export type FeatureSettings = Readonly<Record<string, unknown>>;

/** Differ from slide to slide by nature. */
const OWN = new Set(['format', 'slide', 'mppOverride']);

/** Options of `histograd extract` behind settings, by the beginning of the setting's name. */
const FLAGS = {
  extractor: '--weights',
  weights: '--weights',
  preprocessing: '--weights',
  'tiling.mpp': '--tile-mpp',
  'tiling.size': '--tile-size',
  'tiling.overlap': '--overlap',
  'tiling.edge': '--edge',
  'select.tissue': '--tissue',
  'select.minTissue': '--min-tissue',
  'select.selector': '--selector',
  'select.keep': '--keep',
  'select.dexined': '--dexined-weights',
  stain: '--stain',
} as const;

/**
 * Settings as they stand in a file.
 *
 * @throws HistogradError `newer-features` when a later version of histograd wrote them, `bad-feature-settings` when they cannot be read
 */
export function parseFeatureSettings(text: string, file: string): FeatureSettings {
  const settings = parseRecord(text);
  const format = settings?.format ?? 1;
  if (settings === undefined || typeof format !== 'number') {
    throw new HistogradError(
      'bad-feature-settings',
      `${file} says how its features were made, but that is not a JSON object of histograd's: ${text.slice(0, 60)}`,
      'The file is damaged or was changed by another program: extract the slide again.',
    );
  }
  if (format > SETTINGS_FORMAT) {
    throw new HistogradError(
      'newer-features',
      `${file} was written by a newer histograd: its settings have format ${format}, and this version knows formats up to ${SETTINGS_FORMAT}.`,
      'Update histograd (npm install histograd@latest), or extract the slides again with this version.',
    );
  }
  return settings;
}

/** A feature file and what it says; nothing for files of other tools. */
interface SettledFile {
  readonly path: string;
  readonly settings?: FeatureSettings | undefined;
}

/**
 * The settings that all files of a cohort share, without those that are a slide's own.
 *
 * @returns undefined when no file has any; and a warning when only some have
 * @throws HistogradError `mixed-features`, with two files and what differs between them
 */
export function sharedSettings(files: readonly SettledFile[]): {
  settings: FeatureSettings | undefined;
  warning: string | undefined;
} {
  let first: { path: string; settings: FeatureSettings } | undefined;
  const silent: string[] = [];
  for (const { path, settings } of files) {
    if (!settings) silent.push(path);
    else if (!first) first = { path, settings };
    else {
      const changes = settingChanges(settings, first.settings);
      if (changes.length > 0) throw mixed(path, first.path, changes);
    }
  }
  const warning =
    first && silent.length > 0
      ? `${silent.length} of ${files.length} feature files do not say how they were made (${silent[0]}), the others do (${first.path}): make sure that all come from the same extractor and tiles`
      : undefined;
  return { settings: first && withoutOwn(first.settings), warning };
}

/** A setting that is not as it should be; values as text, `none` where there is no such setting. */
export interface SettingChange {
  /** With dots: `tiling.mpp`. */
  readonly name: string;
  readonly found: string;
  readonly expected: string;
}

/** What differs, but for what is a slide's own. */
function settingChanges(found: FeatureSettings, expected: FeatureSettings): SettingChange[] {
  return differences(withoutOwn(found), withoutOwn(expected), '');
}

/** Say which tiles of a slide there are, not how one is described: a map may have more of them than the training. */
const WHICH_TILES = /^(select\b|tiling\.(overlap|edge)$)/;

/** What differs in how a single tile becomes features. */
export function tileChanges(found: FeatureSettings, expected: FeatureSettings): SettingChange[] {
  return settingChanges(found, expected).filter(({ name }) => !WHICH_TILES.test(name));
}

/** What differs, a slide's own settings among them. */
export function allSettingChanges(
  found: FeatureSettings,
  expected: FeatureSettings,
): SettingChange[] {
  return differences({ ...found, format: 0 }, { ...expected, format: 0 }, '');
}

/** Which options of `histograd extract` would mend these: `--tile-mpp and --stain`; empty when none would. */
export function flagsOf(changes: readonly SettingChange[]): string {
  const flags = changes.flatMap(
    ({ name }) => Object.entries(FLAGS).find(([start]) => name.startsWith(start))?.[1] ?? [],
  );
  return new Intl.ListFormat('en').format(new Set(flags));
}

function mixed(path: string, other: string, changes: readonly SettingChange[]): HistogradError {
  const flags = flagsOf(changes);
  return new HistogradError(
    'mixed-features',
    `The features of one cohort were made in different ways. ${path}, beside ${other}: ${changes
      .map(({ name, found, expected }) => `${name} is ${found}, expected ${expected}`)
      .join('; ')}.`,
    `Extract all slides into one new folder with the same ${flags === '' ? 'settings' : flags} (histograd extract), or keep files of one kind in the folder.`,
  );
}

function withoutOwn(settings: FeatureSettings): FeatureSettings {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !OWN.has(key)));
}

function differences(
  found: FeatureSettings,
  expected: FeatureSettings,
  prefix: string,
): SettingChange[] {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])];
  return names.flatMap((key) => {
    const [one, other] = [found[key], expected[key]];
    const name = `${prefix}${key}`;
    if (isRecord(one) && isRecord(other)) return differences(one, other, `${name}.`);
    const [text, wanted] = [shown(one), shown(other)];
    // What is shown is cut short; what is compared is not.
    return JSON.stringify(one) === JSON.stringify(other)
      ? []
      : [{ name, found: text, expected: wanted }];
  });
}

/** A file's hash is as good by its beginning. */
function shown(value: unknown): string {
  if (value === undefined) return 'none';
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 12)}…` : value;
}

function parseRecord(text: string): FeatureSettings | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is FeatureSettings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
