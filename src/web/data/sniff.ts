/** What a dropped file is: from its first bytes and headers, never from its name alone. Values are not read. */

import { pickFeatureArray } from '../../data/feature-array.ts';
import { parseFeatureSettings, SETTINGS_KEY } from '../../data/feature-settings.ts';
import { type FeatureFormat, featureShape, settingsIn } from '../../data/features.ts';
import { attempt } from '../../data/h5-rows.ts';
import { findH5Features, h5Text } from '../../data/hdf5.ts';
import { NPY_HEADER_BYTES, parseNpyHeader } from '../../data/npy.ts';
import { parseSafetensorsHeader, safetensorsDataStart } from '../../data/safetensors-header.ts';
import { isOldTorch, isZip } from '../../data/torch-file.ts';
import { parseTorchShapes } from '../../data/torch-tensor.ts';
import { HistogradError } from '../../errors.ts';
import { inferExtractor } from '../../models/extractors/registry.ts';
import type { DroppedFile } from '../protocol.ts';
import { baseName, isGzip, readHead, readRange, readWhole } from './file-bytes.ts';
import type { Found, Sniffed } from './found.ts';
import { useH5File } from './h5-blob.ts';
import { sniffText } from './sniff-text.ts';

/** Pickles of large networks take a few hundred kilobytes. */
const TORCH_START_BYTES = 2 ** 20;
/** Files whose pickle does not come first are read whole, up to this. */
const WHOLE_TORCH_BYTES = 512 * 2 ** 20;
/** A header line of 60,000 genes has about a megabyte. */
const TEXT_STARTS = [2 ** 16, 2 ** 22, 2 ** 25];
/** What systems and people leave beside data. */
const JUNK =
  /^(\.|~|thumbs\.db$|desktop\.ini$|readme|licen[cs]e|manifest\.json$)|(^|\/)__MACOSX\//i;

/** Never throws: what cannot be read is ignored with the reason. */
export async function sniff(file: DroppedFile): Promise<Sniffed> {
  return { ...file, ...(await look(file)) };
}

async function look(file: DroppedFile): Promise<Found> {
  if (JUNK.test(baseName(file.path)) || JUNK.test(file.path)) return ignored(null);
  try {
    return await byContent(file);
  } catch (cause) {
    if (cause instanceof HistogradError) {
      return ignored(withoutName(problemOf(cause), file.path));
    }
    throw cause;
  }
}

async function byContent(source: DroppedFile): Promise<Found> {
  const { path, file } = source;
  if (file.size === 0) return ignored('it is empty');
  const head = await readRange(source, 0, 132);
  const starts = (text: string, at = 0) =>
    [...text].every((c, i) => head[at + i] === c.charCodeAt(0));
  if (starts('\x89HDF\r\n\x1a\n')) return sniffH5(source);
  if (starts('\x93NUMPY')) return sniffNpy(source);
  if (isZip(head) || isOldTorch(head)) return sniffTorch(source);
  if (head[8] === 0x7b && head.subarray(4, 8).every((byte) => byte === 0)) {
    return sniffSafetensors(source);
  }
  if (starts('DICM', 128)) return { is: 'picture', format: 'dicom' };
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((magic) => starts(magic))) {
    return { is: 'picture', format: 'tiff' };
  }
  if (starts('\xff\xd8\xff')) return { is: 'picture', format: 'jpeg' };
  if (starts('\x89PNG\r\n\x1a\n')) return { is: 'picture', format: 'png' };
  const odd = OTHERS.find(([magic]) => starts(magic));
  if (odd) return ignored(odd[1]);
  // Counts of packs have no header; their names are all that tells.
  if (/(^|\/)counts\/[^/]+\.u16\.gz$/.test(path)) return { is: 'pack-counts' };
  if (/(^|\/)crops\d+\/[^/]+$/.test(path)) {
    return ignored('spot crops are cut from the section image here');
  }
  const found = await sniffAsText(source);
  const promised = PROMISES.find(([ending]) => ending.test(path));
  return promised && found.is === 'ignored'
    ? ignored(`its name promises ${promised[1]}, but ${found.note}`)
    : found;
}

/** What is recognised by its first bytes. */
const PROMISES: readonly (readonly [RegExp, string])[] = [
  [/\.(h5|hdf5|h5ad)$/i, 'HDF5'],
  [/\.(tiff?|svs|ndpi|scn|bif)$/i, 'a TIFF image'],
  [/\.jpe?g$/i, 'a JPEG image'],
  [/\.png$/i, 'a PNG image'],
  [/\.npy$/i, 'a NumPy array'],
  [/\.safetensors$/i, 'safetensors'],
  [/\.(pt|pth)$/i, 'a PyTorch file'],
];

const OTHERS: readonly (readonly [string, string])[] = [
  ['PAR1', 'it is Parquet: convert it to CSV once, with pandas.read_parquet(…).to_csv(…)'],
  ['%PDF', 'it is a PDF'],
  ['7z\xbc\xaf', 'it is an archive: unpack it first'],
  ['Rar!', 'it is an archive: unpack it first'],
  ['\xd0\xcf\x11\xe0', 'it is an old Excel or Word file: save it as CSV'],
  ['MIRAX', 'MIRAX slides are not read: convert the slide to OME-TIFF'],
  ['ZISRAWFILE', 'Zeiss CZI is not read: convert the slide to OME-TIFF'],
];

async function sniffH5(source: DroppedFile): Promise<Found> {
  return useH5File(source, (_, file): Found => {
    const { path } = source;
    try {
      const keys = attempt(path, () => file.keys());
      if (keys.includes('matrix') && !keys.includes('features')) return { is: 'matrix-10x' };
      if (keys.includes('obs') && keys.includes('var')) return { is: 'h5ad' };
      const { features } = findH5Features(file, source.file.size, undefined, path);
      const [rows, width] = featureShape(features.shape, path, {});
      const settings = settingsIn(h5Text(file, SETTINGS_KEY, path), path);
      return { is: 'features', format: 'h5', rows, width, ...settings };
    } finally {
      attempt(path, () => file.close());
    }
  });
}

async function sniffNpy(source: DroppedFile): Promise<Found> {
  const head = await readRange(source, 0, NPY_HEADER_BYTES);
  const { shape } = parseNpyHeader(head, source.file.size, source.path);
  return features('npy', shape, source.path);
}

async function sniffTorch(source: DroppedFile): Promise<Found> {
  const { path, file } = source;
  const head = await readRange(source, 0, TORCH_START_BYTES);
  const [kind] = ZIPS.filter(([entry]) => contains(head, entry));
  if (isZip(head) && kind && !contains(head, 'data.pkl')) return ignored(kind[1]);
  const shapes =
    parseTorchShapes(head, file.size, path) ??
    parseTorchShapes(await readWhole(source, WHOLE_TORCH_BYTES), file.size, path);
  const arrays = [...(shapes ?? [])].map(([name, shape]) => ({ name, shape }));
  return featuresOrWeights('pt', arrays, path);
}

/** Zip archives of other programs, by a name inside. */
const ZIPS: readonly (readonly [string, string])[] = [
  ['xl/', 'it is an Excel file: save the sheet as CSV'],
  ['.npy', 'it is a NumPy archive: save the features alone, as .npy'],
  ['PK', 'it is a zip archive: unpack it first'],
];

async function sniffSafetensors(source: DroppedFile): Promise<Found> {
  const { path, file } = source;
  const length = await readRange(source, 0, 8);
  const dataStart = safetensorsDataStart(length, file.size, path);
  const header = await readRange(source, 0, dataStart);
  const { entries, metadata } = parseSafetensorsHeader(header, file.size, path);
  if (metadata.format === 'histograd-model') {
    const width = Number(metadata.width);
    if (!Number.isInteger(width) || width < 1) {
      return ignored(`it is a damaged model: its width is ${metadata.width}`);
    }
    return {
      is: 'model',
      width,
      ...featuresOf(metadata.provenance, path),
    };
  }
  if (metadata.format?.startsWith('histograd-')) {
    return ignored('it only serves to resume a training: drop the model, best.safetensors');
  }
  const arrays = [...entries].map(([name, { shape }]) => ({ name, shape }));
  const found = featuresOrWeights('safetensors', arrays, path);
  return found.is === 'features'
    ? { ...found, ...settingsIn(metadata[SETTINGS_KEY], path) }
    : found;
}

/** How the features of a model were made; its provenance holds them as JSON in JSON. */
function featuresOf(provenance: string | undefined, path: string) {
  if (provenance === undefined) return {};
  try {
    const value: unknown = JSON.parse(provenance);
    if (typeof value !== 'object' || value === null || !('features' in value)) return {};
    return value.features === undefined
      ? {}
      : { features: parseFeatureSettings(JSON.stringify(value.features), path) };
  } catch (cause) {
    if (cause instanceof HistogradError) throw cause;
    return {};
  }
}

function featuresOrWeights(
  format: FeatureFormat,
  arrays: readonly { readonly name: string; readonly shape: readonly number[] }[],
  path: string,
): Found {
  // One matrix is features whatever it is called; many tensors are a network.
  if (arrays.length <= 4)
    return features(format, pickFeatureArray(arrays, undefined, path).shape, path);
  try {
    const shapes = new Map(arrays.map(({ name, shape }) => [name, { shape }]));
    return { is: 'weights', extractor: inferExtractor(shapes) };
  } catch (cause) {
    if (arrays.some(({ name }) => name === 'features' || name.endsWith('_features'))) {
      return features(format, pickFeatureArray(arrays, undefined, path).shape, path);
    }
    throw cause;
  }
}

function features(format: FeatureFormat, shape: readonly number[], path: string): Found {
  const [rows, width] = featureShape(shape, path, {});
  return { is: 'features', format, rows, width };
}

async function sniffAsText(source: DroppedFile): Promise<Found> {
  for (const bytes of TEXT_STARTS) {
    const head = await readHead(source, bytes);
    if (head.bytes.subarray(0, 2 ** 16).includes(0)) {
      const packed = (await isGzip(source)) ? ', gzipped' : '';
      return ignored(`it is of a kind that is not read here (binary${packed})`);
    }
    const text = new TextDecoder().decode(head.bytes);
    const found = sniffText(text, source.path, head.whole);
    if (found) return found;
  }
  return ignored('its first line has more than 32 MiB: it is no table');
}

function contains(bytes: Uint8Array, text: string): boolean {
  const [first, ...rest] = [...text].map((c) => c.charCodeAt(0));
  for (let at = bytes.indexOf(first!); at >= 0; at = bytes.indexOf(first!, at + 1)) {
    if (rest.every((byte, i) => bytes[at + 1 + i] === byte)) return true;
  }
  return false;
}

function problemOf({ message }: HistogradError): string {
  return message.split('\n', 1)[0] ?? message;
}

/** The note stands beside the file's name already. */
function withoutName(problem: string, path: string): string {
  return problem.startsWith(path) ? problem.slice(path.length).replace(/^[:,]?\s*/, '') : problem;
}

function ignored(note: string | null): Found {
  return { is: 'ignored', note };
}
