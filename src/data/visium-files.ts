/**
 * 10x Visium: what the files of a Space Ranger folder hold. `node/visium-folder.ts` finds them.
 *
 * Sources: 10x Genomics, "Feature-Barcode Matrices" (HDF5 and MEX) and "Spatial Outputs".
 */
import Papa from 'papaparse';
import { z } from 'zod';
import { HistogradError } from '../errors.ts';
import { readCompressed } from './h5-sparse.ts';
import type { H5Tables } from './h5-tables.ts';
import type { CountOptions, SparseRows } from './sparse-rows.ts';
import { badSpots, checkSpotIds, examples, type Spot } from './spots.ts';

/** The type of features that are genes. */
export const GENE_EXPRESSION = 'Gene Expression';
/** More than the squares of a Visium HD slide. */
const MAX_ROWS = 2 ** 24;

/** What a table of features says: ids, symbols and kinds. */
export interface VisiumFeatures {
  readonly ids: readonly string[];
  readonly names: readonly string[];
  readonly types: readonly string[];
}

/** A feature-barcode matrix. */
export interface VisiumMatrix {
  readonly barcodes: readonly string[];
  readonly features: VisiumFeatures;
  /** [barcodes, features] */
  readonly counts: SparseRows;
}

/** `scalefactors_json.json`. */
export interface VisiumScales {
  /** Pixels of the reduced image per pixel of the full-resolution one. */
  readonly hires: number;
  readonly lowres: number;
  /** Diameter of a spot in full-resolution pixels. */
  readonly spotDiameter: number;
  /** Given by Visium HD only. */
  readonly micronsPerPixel?: number;
}

/**
 * Reads a `filtered_feature_bc_matrix.h5` or `raw_feature_bc_matrix.h5` (Cell Ranger 3 and later).
 *
 * @throws HistogradError `bad-hdf5-table`, `bad-counts`, `not-counts`, `duplicate-spot`; `old-10x` for Cell Ranger 2
 */
export function read10xMatrix(
  tables: H5Tables,
  name: string,
  options: CountOptions = {},
): VisiumMatrix {
  if (tables.keys('matrix') === undefined) {
    const [genome] = tables.keys('') ?? [];
    if (genome !== undefined && tables.keys(genome)?.includes('gene_names')) {
      throw new HistogradError(
        'old-10x',
        `${name} was written by Cell Ranger 2 (group ${genome}, no group "matrix").`,
        'Use the folder of matrix.mtx, barcodes.tsv and genes.tsv of the same run, or convert the file.',
      );
    }
    throw tables.error(`it has no group "matrix"; found ${examples(tables.keys('') ?? [], 6)}`);
  }
  const barcodes = tables.strings('matrix/barcodes');
  const ids = tables.strings('matrix/features/id');
  const names = tables.strings('matrix/features/name');
  const types =
    tables.shape('matrix/features/feature_type') === undefined
      ? ids.map(() => GENE_EXPRESSION)
      : tables.strings('matrix/features/feature_type');
  if (names.length !== ids.length || types.length !== ids.length) {
    throw tables.error(
      `matrix/features has ${ids.length} ids, ${names.length} names and ${types.length} types`,
    );
  }
  const shape = [...tables.numbers('matrix/shape')];
  if (shape.length !== 2 || shape[0] !== ids.length || shape[1] !== barcodes.length) {
    throw tables.error(
      `matrix/shape is [${examples(shape.map(String), 4)}], expected [${ids.length}, ${barcodes.length}]: features, barcodes`,
    );
  }
  checkSpotIds(barcodes, name);
  const counts = readCompressed(
    tables,
    'matrix',
    { spots: barcodes.length, genes: ids.length },
    'spots',
    name,
    options,
  );
  return { barcodes, features: { ids, names, types }, counts };
}

/** Reads `barcodes.tsv`. Throws `duplicate-spot`, `bad-spots`. */
export function parseBarcodes(text: string, name: string): string[] {
  const barcodes = parseTsv(text, name).map(([barcode = '']) => barcode);
  if (barcodes.length === 0) throw badSpots(name, 'it has no barcodes');
  checkSpotIds(barcodes, name);
  return barcodes;
}

/** Reads `features.tsv` (id, name, type) or `genes.tsv` (id, name). Throws `bad-features`. */
export function parseFeatureList(text: string, name: string): VisiumFeatures {
  const rows = parseTsv(text, name);
  const wrong = rows.findIndex(([id, symbol]) => !id || !symbol);
  if (rows.length === 0 || wrong >= 0) {
    throw new HistogradError(
      'bad-features',
      `${name}: ${rows.length === 0 ? 'it is empty' : `line ${wrong + 1} is ${JSON.stringify(rows[wrong]?.join('\t').slice(0, 60))}`}, expected id, name and type, with tabs between.`,
      'Use the features.tsv that belongs to the matrix.',
    );
  }
  return {
    ids: rows.map(([id = '']) => id),
    names: rows.map(([, symbol = '']) => symbol),
    types: rows.map(([, , type]) => type ?? GENE_EXPRESSION),
  };
}

/** The first three cells of every line. */
function parseTsv(text: string, name: string): string[][] {
  const rows: string[][] = [];
  // Gene names may hold quotes (5'-…): they are plain letters here.
  for (const [line] of text.replace(/^\uFEFF/, '').matchAll(/[^\r\n]+/g)) {
    if (rows.length === MAX_ROWS) throw badSpots(name, `it has more than ${MAX_ROWS} lines`);
    rows.push(line.split('\t', 3));
  }
  return rows;
}

const POSITION_COLUMNS = [
  'barcode',
  'in_tissue',
  'array_row',
  'array_col',
  'pxl_row_in_fullres',
  'pxl_col_in_fullres',
];

/**
 * Reads `tissue_positions.csv` (Space Ranger 2, with a header) or `tissue_positions_list.csv` (without).
 *
 * @returns spots by barcode, in full-resolution pixels: x is the column, y the row
 * @throws HistogradError `bad-spots`, `duplicate-spot`
 */
export function parseTissuePositions(text: string, name: string): Map<string, Spot> {
  const { data } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ''), {
    delimiter: ',',
    skipEmptyLines: true,
  });
  let columns = POSITION_COLUMNS.map((_, i) => i);
  const [first] = data;
  const header = first?.includes('barcode') ?? false;
  if (first && header) {
    columns = POSITION_COLUMNS.map((column) => first.indexOf(column));
    const missing = columns.indexOf(-1);
    if (missing >= 0) {
      throw badSpots(
        name,
        `column ${POSITION_COLUMNS[missing]} is missing; found ${first.slice(0, 8).join(', ')}`,
      );
    }
  }
  const rows = header ? data.slice(1) : data;
  if (rows.length === 0) throw badSpots(name, 'it has no spots');
  const spots = rows.map((row, i): Spot => {
    const number = (which: number): number => {
      const text = row[columns[which]!]?.trim() ?? '';
      const value = Number(text);
      if (text !== '' && Number.isFinite(value)) return value;
      throw badSpots(
        name,
        `line ${i + (header ? 2 : 1)}: ${POSITION_COLUMNS[which]} is "${text.slice(0, 40)}", expected a number`,
      );
    };
    return {
      id: row[columns[0]!]?.trim() ?? '',
      inTissue: number(1) === 1,
      row: number(2),
      column: number(3),
      y: number(4),
      x: number(5),
    };
  });
  checkSpotIds(
    spots.map(({ id }) => id),
    name,
  );
  return new Map(spots.map((spot) => [spot.id, spot]));
}

const positive = z.number().positive();
const SCALES = z.object({
  tissue_hires_scalef: positive,
  tissue_lowres_scalef: positive,
  spot_diameter_fullres: positive,
  microns_per_pixel: positive.optional(),
});

/** Reads `scalefactors_json.json`. Throws `bad-scales`. */
export function parseScaleFactors(text: string, name: string): VisiumScales {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw badScales(name, 'it is not JSON');
  }
  return checkScaleFactors(json, name);
}

/** As `parseScaleFactors`, for values that are read already. */
export function checkScaleFactors(values: unknown, name: string): VisiumScales {
  const { data, error } = SCALES.safeParse(values);
  if (!data) {
    const issue = error.issues[0];
    throw badScales(name, `${issue?.path.join('.') || 'it'}: ${issue?.message}`);
  }
  const um = data.microns_per_pixel;
  return {
    hires: data.tissue_hires_scalef,
    lowres: data.tissue_lowres_scalef,
    spotDiameter: data.spot_diameter_fullres,
    ...(um === undefined ? {} : { micronsPerPixel: um }),
  };
}

function badScales(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-scales',
    `${name} is not a usable scalefactors_json.json: ${problem}.`,
    'Expected tissue_hires_scalef, tissue_lowres_scalef and spot_diameter_fullres, all positive numbers.',
  );
}
