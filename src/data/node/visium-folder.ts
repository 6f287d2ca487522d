/** Visium sections from Space Ranger's output folders. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { HistogradError } from '../../errors.ts';
import { matrixMarketReader } from '../matrix-market.ts';
import type { CountOptions } from '../sparse-rows.ts';
import type { SpotSection } from '../spots.ts';
import { visiumSection } from '../visium.ts';
import {
  parseBarcodes,
  parseFeatureList,
  parseScaleFactors,
  parseTissuePositions,
  read10xMatrix,
  type VisiumMatrix,
} from '../visium-files.ts';
import { MAX_TABLE_BYTES, readGzipText, streamGzip } from './gzip-text.ts';
import { useH5File } from './h5-file.ts';
import { readError, readText } from './read-file.ts';

export interface VisiumOptions extends CountOptions {
  /** `filtered` (default) or `raw` matrix. */
  readonly matrix?: 'filtered' | 'raw' | undefined;
  /** Name of the section; the folder's when left out. */
  readonly name?: string | undefined;
  /**
   * The image that coordinates are pixels of: `hires` or `lowres` are those in `spatial/`; anything else is the path of the
   * full-resolution image. By default the folder's only .tif, .tiff, .btf, .svs or .ndpi; without one, the coordinates
   * still are full-resolution pixels and `imagePath` is absent.
   */
  readonly image?: string | undefined;
  /** Keep spots beside the tissue too (raw matrices); default false. */
  readonly allSpots?: boolean | undefined;
}

const FULLRES = /\.(tiff?|btf|svs|ndpi)$/i;

/**
 * Reads a Visium folder: `*filtered_feature_bc_matrix.h5` or the folder `filtered_feature_bc_matrix/` (MatrixMarket,
 * gzipped or not), `spatial/tissue_positions*.csv`, `spatial/scalefactors_json.json`.
 *
 * @throws HistogradError `not-visium` when a file is missing, `parquet` for positions in Parquet, `ambiguous-file`, and those
 *   of the parsers in `visium.ts` and of `matrixMarketReader`
 */
export async function readVisium(
  folder: string,
  options: VisiumOptions = {},
): Promise<SpotSection> {
  const names = await list(folder);
  const spatial = join(folder, 'spatial');
  const inSpatial = await list(spatial);
  const positionsPath = findPositions(spatial, inSpatial);
  const scalesPath = join(
    spatial,
    requireOne(spatial, inSpatial, /^(.*_)?scalefactors_json\.json$/),
  );
  const positions = parseTissuePositions(
    await readGzipText(positionsPath, MAX_TABLE_BYTES),
    positionsPath,
  );
  const scales = parseScaleFactors(await readText(scalesPath), scalesPath);
  const image = findImage(folder, names, spatial, inSpatial, options.image);
  const { path, matrix } = await readMatrix(folder, names, options);
  const section = visiumSection(
    options.name ?? basename(resolve(folder)),
    { matrix, positions, scales, pixelSpace: image.space, allSpots: options.allSpots },
    { matrix: path, positions: positionsPath },
  );
  return image.path === undefined ? section : { ...section, imagePath: image.path };
}

async function readMatrix(
  folder: string,
  names: readonly string[],
  options: VisiumOptions,
): Promise<{ path: string; matrix: VisiumMatrix }> {
  const kind = `${options.matrix ?? 'filtered'}_feature_bc_matrix`;
  const h5 = one(folder, names, new RegExp(`(^|_)${kind}\\.h5$`));
  if (h5 !== undefined) {
    const path = join(folder, h5);
    return {
      path,
      matrix: await useH5File(path, (tables) => read10xMatrix(tables, path, options)),
    };
  }
  if (!names.includes(kind)) {
    throw missing(folder, `${kind}.h5 or a folder ${kind}`, names);
  }
  return readMatrixFolder(join(folder, kind), options);
}

/** A folder of `matrix.mtx`, `barcodes.tsv` and `features.tsv` (or `genes.tsv`), gzipped or not. */
async function readMatrixFolder(folder: string, options: CountOptions) {
  const names = await list(folder);
  const find = (pattern: RegExp) => join(folder, requireOne(folder, names, pattern));
  const path = find(/^matrix\.mtx(\.gz)?$/);
  const barcodesPath = find(/^barcodes\.tsv(\.gz)?$/);
  const featuresPath = find(/^(features|genes)\.tsv(\.gz)?$/);
  const barcodes = parseBarcodes(await readGzipText(barcodesPath), barcodesPath);
  const features = parseFeatureList(await readGzipText(featuresPath), featuresPath);
  const shape = { genes: features.ids.length, spots: barcodes.length };
  const reader = matrixMarketReader(path, shape, options);
  await streamGzip(path, (bytes) => reader.push(bytes));
  return { path, matrix: { barcodes, features, counts: reader.finish() } };
}

function findPositions(spatial: string, names: readonly string[]): string {
  // Space Ranger 2 writes the one with a header; where both are, they say the same.
  for (const pattern of [
    /^(.*_)?tissue_positions\.csv(\.gz)?$/,
    /^(.*_)?tissue_positions_list\.csv(\.gz)?$/,
  ]) {
    const found = one(spatial, names, pattern);
    if (found !== undefined) return join(spatial, found);
  }
  const parquet = names.find((name) => name.endsWith('tissue_positions.parquet'));
  if (parquet === undefined) {
    throw missing(spatial, 'tissue_positions.csv or tissue_positions_list.csv', names);
  }
  throw new HistogradError(
    'parquet',
    `${join(spatial, parquet)}: positions in Parquet (Visium HD) cannot be read.`,
    `Convert it once: python3 -c "import pandas; pandas.read_parquet('tissue_positions.parquet').to_csv('tissue_positions.csv', index=False)".`,
  );
}

function findImage(
  folder: string,
  names: readonly string[],
  spatial: string,
  inSpatial: readonly string[],
  wanted: string | undefined,
): { space: 'fullres' | 'hires' | 'lowres'; path: string | undefined } {
  if (wanted === 'hires' || wanted === 'lowres') {
    const pattern = new RegExp(`^(.*_)?tissue_${wanted}_image\\.(png|jpe?g)$`);
    return { space: wanted, path: join(spatial, requireOne(spatial, inSpatial, pattern)) };
  }
  if (wanted !== undefined) {
    if (existsSync(wanted)) return { space: 'fullres', path: wanted };
    throw new HistogradError('no-file', `The image ${wanted} does not exist.`, 'Correct the path.');
  }
  const found = one(folder, names, FULLRES);
  return { space: 'fullres', path: found === undefined ? undefined : join(folder, found) };
}

async function list(folder: string): Promise<string[]> {
  return (
    await readdir(folder).catch((cause: unknown) => {
      throw readError(folder, cause);
    })
  ).sort();
}

function one(folder: string, names: readonly string[], pattern: RegExp): string | undefined {
  // "._name" are macOS's shadows of files copied to other disks.
  const found = names.filter((name) => pattern.test(name) && !name.startsWith('.'));
  if (found.length < 2) return found[0];
  throw new HistogradError(
    'ambiguous-file',
    `${folder} has several files of one kind: ${found.slice(0, 5).join(', ')}.`,
    'Keep one section per folder; name the image with the image option.',
  );
}

function requireOne(folder: string, names: readonly string[], pattern: RegExp): string {
  const found = one(folder, names, pattern);
  if (found !== undefined) return found;
  const readable = pattern.source.replace(/^\^(\(\.\*_\)\?)?|\$$|\\/g, '');
  throw missing(folder, readable, names);
}

function missing(folder: string, wanted: string, names: readonly string[]): HistogradError {
  return new HistogradError(
    'not-visium',
    `${folder} has no ${wanted}; found ${names.slice(0, 8).join(', ') || 'nothing'}.`,
    'Pass the "outs" folder of Space Ranger: a feature-barcode matrix and the folder "spatial".',
  );
}
