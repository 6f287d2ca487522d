/**
 * A section's features with the spots they belong to: CLAM's layout (`features`, `coords`) and the spots' ids, so that they can be
 * paired with counts again. Every reader of feature files reads them; only this one reads the ids.
 */
import { HistogradError } from '../errors.ts';
import { attempt } from './h5-rows.ts';
import { useH5Bytes } from './h5-tables.ts';
import { parseSafetensors, serializeSafetensors } from './safetensors.ts';
import { badSpots, checkSpotIds } from './spots.ts';

/** One row per spot. */
export interface SpotFeatures {
  /** [rows, width] */
  readonly features: Float32Array;
  readonly width: number;
  /** [rows, 2]: x, y of the crops' upper left corners in level-0 pixels, as CLAM has it. */
  readonly coords: Int32Array;
  /** The spots' ids, in the order of the rows. */
  readonly ids: readonly string[];
  /** How they came about (extractor, preprocessing, image): attributes of `features`, or metadata. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

const IDS = 'spot_ids';

/**
 * The bytes of a feature file: HDF5 (`features` f32, `coords` i32, `spot_ids` strings) or safetensors (ids and attributes as
 * JSON in the metadata). Write them with `writeFileAtomic`.
 *
 * @throws HistogradError `bad-spots` when the arrays do not fit each other, `duplicate-spot`
 */
export async function serializeSpotFeatures(
  content: SpotFeatures,
  format: 'h5' | 'safetensors',
): Promise<Uint8Array> {
  const { features, width, coords, ids, attributes } = content;
  const rows = ids.length;
  if (features.length !== rows * width || coords.length !== rows * 2) {
    throw badSpots(
      'Spot features',
      `${features.length} values and ${coords.length} coordinates, expected ${rows} x ${width} and ${rows} x 2 for ${rows} spots`,
    );
  }
  checkSpotIds(ids, 'Spot features');
  if (format === 'safetensors') {
    return serializeSafetensors(
      {
        features: { shape: [rows, width], data: features },
        coords: { shape: [rows, 2], data: coords },
      },
      { [IDS]: JSON.stringify(ids), attributes: JSON.stringify(attributes) },
    );
  }
  const { File, ready } = await import('h5wasm');
  const { FS } = await ready;
  const path = `/histograd-${crypto.randomUUID()}.h5`;
  const file = new File(path, 'w');
  try {
    attempt('Spot features', () => {
      const dataset = file.create_dataset({
        name: 'features',
        data: features,
        shape: [rows, width],
        maxshape: [null, width],
        chunks: [Math.min(32, Math.max(1, rows)), width],
      });
      for (const [key, value] of Object.entries(attributes)) {
        dataset.create_attribute(key, value, null, typeof value === 'number' ? '<d' : null);
      }
      file.create_dataset({
        name: 'coords',
        data: coords,
        shape: [rows, 2],
        maxshape: [null, 2],
        chunks: [Math.min(32, Math.max(1, rows)), 2],
      });
      file.create_dataset({ name: IDS, data: [...ids], shape: [rows], dtype: 'S' });
    });
    file.close();
    return FS.readFile(path);
  } finally {
    FS.unlink(path);
  }
}

/**
 * The ids of a feature file's rows. The features themselves: `parseFeatures` or `readFeatures`.
 *
 * @param rows the features' number of rows
 * @throws HistogradError `no-spot-ids` for files without ids (whole-slide tiles), `bad-spots`, `duplicate-spot`
 */
export async function parseSpotIds(
  bytes: Uint8Array,
  rows: number,
  name: string,
): Promise<string[]> {
  const ids = /\.safetensors$/i.test(name)
    ? idsFromJson(parseSafetensors(bytes, name).metadata[IDS], name)
    : await useH5Bytes(bytes, name, (tables) =>
        tables.shape(IDS) ? tables.strings(IDS) : undefined,
      );
  if (ids === undefined) {
    throw new HistogradError(
      'no-spot-ids',
      `${name} does not say which spots its rows belong to.`,
      'Extract the features of spots (histograd extract --spots).',
    );
  }
  if (ids.length !== rows) throw badSpots(name, `it has ${ids.length} ids for ${rows} rows`);
  checkSpotIds(ids, name);
  return ids;
}

function idsFromJson(text: string | undefined, name: string): string[] | undefined {
  if (text === undefined) return undefined;
  let ids: unknown;
  try {
    ids = JSON.parse(text);
  } catch {
    throw badSpots(name, `its metadata ${IDS} is not JSON`);
  }
  if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return ids;
  throw badSpots(name, `its metadata ${IDS} is no list of names`);
}
