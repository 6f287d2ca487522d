/**
 * Sections from .h5ad files (anndata 0.8 and later).
 *
 * Source: anndata, "On-disk format" (encoding-type and encoding-version attributes); squidpy and scanpy for
 * `obsm/spatial` (x, y in full-resolution pixels) and `uns/spatial/<library>`.
 */
import { HistogradError } from '../errors.ts';
import type { RgbImage } from '../slides/slide.ts';
import { readCompressed, readDenseCounts } from './h5-sparse.ts';
import type { H5Tables } from './h5-tables.ts';
import type { CountOptions, SparseRows } from './sparse-rows.ts';
import {
  badSpots,
  checkSpotIds,
  examples,
  keepSpots,
  makeUnique,
  type SpotSection,
} from './spots.ts';
import { pitchMpp, scaleSpots } from './visium.ts';
import { checkScaleFactors } from './visium-files.ts';

export interface H5adOptions extends CountOptions {
  /** Name of the section. */
  readonly name?: string | undefined;
  /** Where the counts are: `X`, `raw`, or a layer's name. By default the layer `counts`, else `raw`, else `X`. */
  readonly layer?: string | undefined;
  /** `fullres` (default), or the stored image whose pixels the coordinates shall be; it is read then. */
  readonly pixelSpace?: 'fullres' | 'hires' | 'lowres' | undefined;
  /** Which of `uns/spatial`; needed only where there are several. */
  readonly library?: string | undefined;
  /** Keep spots beside the tissue (`obs/in_tissue` 0) too; default false. */
  readonly allSpots?: boolean | undefined;
}

/** Stored images are reduced copies, at most a few thousand pixels wide. */
const MAX_IMAGE_VALUES = 3 * 2 ** 26;

/**
 * Reads one section.
 *
 * @throws HistogradError `old-h5ad` (before 0.8), `bad-hdf5-table`, `no-positions` (no `obsm/spatial`), `no-layer`,
 *   `ambiguous-library`, `bad-spots`, `bad-counts`, `not-counts` when the values are not whole (normalised data)
 */
export function readH5ad(tables: H5Tables, name: string, options: H5adOptions = {}): SpotSection {
  checkVersion(tables, name);
  const ids = frameIndex(tables, 'obs');
  checkSpotIds(ids, name);
  const where = findCounts(tables, options.layer, name);
  const variables = frameIndex(tables, where.variables);
  const { names: genes, renamed } = makeUnique(variables);
  const shape = { spots: ids.length, genes: genes.length };
  const counts = readMatrix(tables, where.path, shape, name, options);
  const [x, y] = readPositions(tables, ids.length, name);
  const row = optionalColumn(tables, 'obs/array_row', ids.length);
  const column = optionalColumn(tables, 'obs/array_col', ids.length);
  const inTissue = optionalColumn(tables, 'obs/in_tissue', ids.length);
  const geneIds = optionalStrings(tables, `${where.variables}/gene_ids`, genes.length);
  const fullres = ids.map((id, i) => ({
    id,
    x: x[i]!,
    y: y[i]!,
    row: row?.[i] ?? Number.NaN,
    column: column?.[i] ?? Number.NaN,
    inTissue: inTissue?.[i] !== 0,
  }));
  const place = readLibrary(tables, name, options);
  const mpp = row && column ? pitchMpp(fullres) : undefined;
  const notes = [`Counts are read from ${where.path}.`];
  if (renamed.length > 0) {
    notes.push(
      `${renamed.length} gene names occur more than once; the later ones got -1, -2, …: ${examples(renamed)}.`,
    );
  }
  if (!row || !column)
    notes.push('There are no array_row and array_col: grid neighbours are unknown.');
  const section: SpotSection = {
    name: options.name ?? place.library ?? name,
    spots: scaleSpots(fullres, place.scale),
    genes,
    ...(geneIds ? { geneIds } : {}),
    counts,
    pixelSpace: options.pixelSpace ?? 'fullres',
    ...(place.diameter === undefined ? {} : { spotDiameter: place.diameter * place.scale }),
    ...(mpp === undefined ? {} : { mpp: mpp / place.scale }),
    ...(place.image ? { image: place.image } : {}),
    notes,
  };
  if (options.allSpots || !inTissue) return section;
  const kept = keepSpots(section, (spot) => spot.inTissue);
  const beside = ids.length - kept.spots.length;
  return beside === 0
    ? section
    : { ...kept, notes: [...notes, `${beside} spots beside the tissue are left out.`] };
}

function checkVersion(tables: H5Tables, name: string): void {
  const keys = tables.keys('') ?? [];
  const kind = tables.attribute('', 'encoding-type');
  if (kind === 'anndata' && tables.keys('obs') && tables.keys('var')) return;
  if (keys.includes('obs') && keys.includes('var')) {
    throw new HistogradError(
      'old-h5ad',
      `${name} was written by anndata before 0.8 (its encoding-type is ${JSON.stringify(kind ?? null)}).`,
      `Rewrite it once: python3 -c "import anndata; anndata.read_h5ad('in.h5ad').write_h5ad('out.h5ad')".`,
    );
  }
  throw tables.error(
    `it is no .h5ad file: expected the groups obs and var, found ${examples(keys, 8)}`,
  );
}

/** The row names of a data frame. */
function frameIndex(tables: H5Tables, frame: string): string[] {
  const key = tables.attribute(frame, '_index');
  if (typeof key !== 'string' || key.includes('/')) {
    throw tables.error(`${frame} does not name its index (attribute _index)`);
  }
  return stringColumn(tables, `${frame}/${key}`);
}

/** Strings, plain or categorical. */
function stringColumn(tables: H5Tables, path: string): string[] {
  if (!tables.keys(path)) return tables.strings(path);
  const categories = tables.strings(`${path}/categories`);
  return Array.from(tables.numbers(`${path}/codes`), (code, i) => {
    const text = categories[code];
    // anndata writes -1 for a missing value.
    if (text === undefined && code !== -1) {
      throw tables.error(
        `${path}/codes: entry ${i} is ${code}, expected -1 … ${categories.length - 1}`,
      );
    }
    return text ?? '';
  });
}

function findCounts(
  tables: H5Tables,
  layer: string | undefined,
  name: string,
): { path: string; variables: string } {
  const layers = tables.keys('layers') ?? [];
  const raw = tables.keys('raw')?.includes('X') ?? false;
  const wanted = layer ?? (layers.includes('counts') ? 'counts' : raw ? 'raw' : 'X');
  if (wanted === 'raw' && raw) return { path: 'raw/X', variables: 'raw/var' };
  if (wanted === 'X' && tables.keys('')?.includes('X')) return { path: 'X', variables: 'var' };
  if (layers.includes(wanted)) return { path: `layers/${wanted}`, variables: 'var' };
  const known = [
    ...(tables.keys('')?.includes('X') ? ['X'] : []),
    ...(raw ? ['raw'] : []),
    ...layers,
  ];
  throw new HistogradError(
    'no-layer',
    `${name} has no counts called ${wanted}; found ${examples(known, 10) || 'none'}.`,
    'Name one of these as layer.',
  );
}

function readMatrix(
  tables: H5Tables,
  path: string,
  shape: { spots: number; genes: number },
  name: string,
  options: H5adOptions,
): SparseRows {
  if (tables.shape(path)) return readDenseCounts(tables, path, shape, name, options);
  const kind = tables.attribute(path, 'encoding-type');
  if (kind !== 'csr_matrix' && kind !== 'csc_matrix') {
    throw tables.error(
      `${path} is of the encoding ${JSON.stringify(kind ?? null)}, expected csr_matrix, csc_matrix or a dense array`,
    );
  }
  const stored = tables.attribute(path, 'shape');
  if (!Array.isArray(stored) || stored[0] !== shape.spots || stored[1] !== shape.genes) {
    throw tables.error(
      `${path} is ${JSON.stringify(stored ?? null)}, expected [${shape.spots}, ${shape.genes}] as obs and var say`,
    );
  }
  const major = kind === 'csr_matrix' ? 'spots' : 'genes';
  return readCompressed(tables, path, shape, major, name, options);
}

function readPositions(
  tables: H5Tables,
  spots: number,
  name: string,
): [Float64Array, Float64Array] {
  const shape = tables.shape('obsm/spatial');
  if (!shape) {
    throw new HistogradError(
      'no-positions',
      `${name} has no obsm/spatial; obsm holds ${examples(tables.keys('obsm') ?? [], 6) || 'nothing'}.`,
      'Use a spatial data set: obsm["spatial"] gives x and y of every spot in pixels.',
    );
  }
  if (shape.length !== 2 || shape[0] !== spots || shape[1] !== 2) {
    throw badSpots(name, `obsm/spatial is [${shape.join(', ')}], expected [${spots}, 2]`);
  }
  const values = tables.numbers('obsm/spatial');
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw badSpots(
      name,
      `obsm/spatial: spot ${Math.floor(wrong / 2)} (from 0) is at ${values[wrong]}`,
    );
  }
  const axis = (k: number) => Float64Array.from({ length: spots }, (_, i) => values[2 * i + k]!);
  return [axis(0), axis(1)];
}

function optionalColumn(tables: H5Tables, path: string, rows: number): Float64Array | undefined {
  const shape = tables.shape(path);
  if (shape) {
    if (shape.length === 1 && shape[0] === rows) return tables.numbers(path);
    throw tables.error(`${path} is [${shape.join(', ')}], expected [${rows}]`);
  }
  if (!tables.keys(path)?.includes('codes')) return undefined;
  const values = Float64Array.from(stringColumn(tables, path), Number);
  if (values.length === rows && values.every(Number.isFinite)) return values;
  throw tables.error(`${path} does not hold ${rows} numbers`);
}

function optionalStrings(tables: H5Tables, path: string, rows: number): string[] | undefined {
  if (!tables.shape(path) && !tables.keys(path)) return undefined;
  const values = stringColumn(tables, path);
  if (values.length === rows) return values;
  throw tables.error(`${path} has ${values.length} entries, expected ${rows}`);
}

interface Library {
  library?: string;
  scale: number;
  diameter?: number;
  image?: RgbImage;
}

/** `uns/spatial/<library>`: scale factors and, when asked for, an image. */
function readLibrary(tables: H5Tables, name: string, options: H5adOptions): Library {
  const space = options.pixelSpace ?? 'fullres';
  const libraries = (tables.keys('uns/spatial') ?? []).filter((key) =>
    tables.keys(`uns/spatial/${key}`)?.includes('scalefactors'),
  );
  const wanted = options.library ?? libraries[0];
  const unknown = options.library !== undefined && !libraries.includes(options.library);
  if (unknown || (options.library === undefined && libraries.length > 1)) {
    throw new HistogradError(
      'ambiguous-library',
      `${name} has the libraries ${examples(libraries, 8) || '(none)'} in uns/spatial${unknown ? `, not ${options.library}` : ''}.`,
      'Say which with the library option; several sections in one file must be split first.',
    );
  }
  if (wanted === undefined) {
    if (space === 'fullres') return { scale: 1 };
    throw new HistogradError(
      'no-image',
      `${name} has no uns/spatial, so it has no ${space} image.`,
      'Use the full-resolution image with pixelSpace "fullres".',
    );
  }
  const at = `uns/spatial/${wanted}`;
  const factors = Object.fromEntries(
    (tables.keys(`${at}/scalefactors`) ?? []).flatMap((key) => {
      if (tables.shape(`${at}/scalefactors/${key}`)?.length !== 0) return [];
      return [[key, tables.numbers(`${at}/scalefactors/${key}`)[0]]];
    }),
  );
  const scales = checkScaleFactors(factors, `${name}, ${at}/scalefactors`);
  const known = { library: wanted, diameter: scales.spotDiameter };
  if (space === 'fullres') return { ...known, scale: 1 };
  return { ...known, scale: scales[space], image: readImage(tables, `${at}/images/${space}`) };
}

/** [height, width, 3 or 4]: uint8, or floats from 0 to 1. */
function readImage(tables: H5Tables, path: string): RgbImage {
  const [height = 0, width = 0, channels = 0, ...more] = tables.shape(path) ?? [];
  const values = height * width * channels;
  if (
    more.length > 0 ||
    (channels !== 3 && channels !== 4) ||
    values < 3 ||
    values > MAX_IMAGE_VALUES
  ) {
    throw tables.error(
      `${path} is [${tables.shape(path)?.join(', ') ?? 'missing'}], expected [height, width, 3]`,
    );
  }
  const data = new Uint8Array(width * height * 3);
  let bytes: boolean | undefined;
  tables.blocks(path, (block, first) => {
    bytes ??= block instanceof Uint8Array;
    for (let i = 0; i < block.length; i++) {
      const at = first + i;
      const channel = at % channels;
      if (channel === 3) continue;
      const value = bytes ? block[i]! : Math.round(block[i]! * 255);
      if (!(value >= 0 && value <= 255)) {
        throw tables.error(`${path} holds ${block[i]}, expected bytes or values from 0 to 1`);
      }
      data[Math.floor(at / channels) * 3 + channel] = value;
    }
  });
  return { width, height, data };
}
