/**
 * Legacy Spatial Transcriptomics (before Visium): count tables whose spots are called `XxY`, and where the spots lie.
 *
 * Sources: almaan/her2st (ST-cnts, ST-spotfiles); jfnavarro/st_viewer and st_analysis (alignment files: nine numbers).
 */
import Papa from 'papaparse';
import { HistogradError } from '../errors.ts';
import {
  badCounts,
  badSpots,
  type CountOptions,
  checkCount,
  checkSpotIds,
  examples,
  joinSpots,
  makeUnique,
  type SparseRows,
  type Spot,
  type SpotSection,
  sparseBuilder,
  takeRows,
} from './spots.ts';

/** Distance of neighbouring spots and diameter of a spot on the legacy 1k array, in micrometres. */
const PITCH_UM = 200;
const DIAMETER_UM = 100;
/** A line holds one number per gene. */
const MAX_LINE = 1 << 24;
/** `10x13`, `16.92x9.015`, and `10x13_2` from joined sections. */
const SPOT_NAME = /^(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(?:_\d+)?$/;

/** A count table. */
export interface LegacyCounts {
  /** As in the table. */
  readonly ids: readonly string[];
  /** As in the table; names may repeat. */
  readonly genes: readonly string[];
  /** [ids, genes] */
  readonly counts: SparseRows;
}

/**
 * Reads a table as its bytes come: tabs or commas, spots as rows (her2st) or as columns, told by the names `XxY`. Give every
 * piece to `push`, then call `finish`. Only counts above 0 are kept in memory.
 *
 * @throws HistogradError `bad-counts`, `not-counts`, `duplicate-spot`
 */
export function legacyCountsReader(name: string, options: CountOptions = {}) {
  const decoder = new TextDecoder();
  let rest = '';
  let separator = '\t';
  let header: string[] | undefined;
  const rowNames: string[] = [];
  // The number of rows is known at the end; a builder only needs it then.
  const rows: { columns: Uint32Array; values: Float32Array }[] = [];

  const take = (line: string): void => {
    if (line.trim() === '') return;
    if (header === undefined) {
      separator = line.includes('\t') ? '\t' : ',';
      header = cellsOf(line.replace(/^\uFEFF/, ''));
      return;
    }
    const cells = cellsOf(line);
    if (rows.length === 0 && header.length === cells.length) header = header.slice(1);
    const [rowName = ''] = cells;
    if (cells.length !== header.length + 1) {
      throw badCounts(
        name,
        `row ${rowName.slice(0, 40)} has ${cells.length - 1} values, the header names ${header.length} columns`,
      );
    }
    const columns: number[] = [];
    const values: number[] = [];
    for (let c = 1; c < cells.length; c++) {
      const text = cells[c]!;
      if (text === '0') continue;
      const value = text === '' ? Number.NaN : Number(text);
      const column = header[c - 1];
      checkCount(
        value,
        name,
        () => `row ${rowName}, column ${column} ("${text.slice(0, 20)}")`,
        options,
      );
      if (value === 0) continue;
      columns.push(c - 1);
      values.push(value);
    }
    rowNames.push(rowName);
    rows.push({ columns: Uint32Array.from(columns), values: Float32Array.from(values) });
  };

  const cellsOf = (line: string) =>
    line
      .replace(/\r$/, '')
      .split(separator)
      .map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));

  const lines = (text: string): void => {
    rest += text;
    let from = 0;
    for (let to = rest.indexOf('\n'); to >= 0; to = rest.indexOf('\n', from)) {
      take(rest.slice(from, to));
      from = to + 1;
    }
    rest = rest.slice(from);
    if (rest.length > MAX_LINE) throw badCounts(name, `a line is longer than ${MAX_LINE} letters`);
  };

  return {
    push(chunk: Uint8Array): void {
      lines(decoder.decode(chunk, { stream: true }));
    },
    finish(): LegacyCounts {
      lines(decoder.decode());
      take(rest);
      if (header === undefined || rows.length === 0) {
        throw badCounts(name, 'it needs a header line and at least one row of counts');
      }
      const spotColumns = header.filter((cell) => SPOT_NAME.test(cell)).length;
      const spotRows = rowNames.filter((cell) => SPOT_NAME.test(cell)).length;
      if (spotColumns === 0 && spotRows === 0) {
        throw badCounts(
          name,
          `neither its rows (${examples(rowNames)}) nor its columns (${examples(header)}) are spots called like 10x13`,
        );
      }
      const swap = spotColumns > spotRows;
      const [ids, genes] = swap ? [header, rowNames] : [rowNames, header];
      checkSpotIds(ids, name);
      const builder = sparseBuilder(ids.length, genes.length);
      for (const [r, { columns, values }] of rows.entries()) {
        for (const [i, c] of columns.entries()) {
          if (swap) builder.add(c, r, values[i]!);
          else builder.add(r, c, values[i]!);
        }
      }
      return { ids, genes, counts: builder.finish(name) };
    },
  };
}

/** Where spots are, by their name in the count table. */
export interface LegacyPositions {
  /** By `x` and `y` of the array. */
  readonly byArray: ReadonlyMap<string, Spot>;
  /** By `new_x` and `new_y`, the adjusted positions that some tables are named by; empty when the file has none. */
  readonly byAdjusted: ReadonlyMap<string, Spot>;
}

/**
 * Reads a spot file: tab or comma separated, the columns x, y, pixel_x, pixel_y and, optionally, new_x, new_y, selected
 * (0: not in the tissue).
 *
 * @throws HistogradError `bad-spots`, `duplicate-spot`
 */
export function parseSpotFile(text: string, name: string): LegacyPositions {
  const { data, meta } = Papa.parse<Record<string, string>>(text.replace(/^\uFEFF/, ''), {
    header: true,
    delimiter: '',
    delimitersToGuess: ['\t', ','],
    skipEmptyLines: true,
  });
  const fields = meta.fields ?? [];
  for (const column of ['x', 'y', 'pixel_x', 'pixel_y']) {
    if (fields.includes(column)) continue;
    throw badSpots(name, `column ${column} is missing; found ${examples(fields, 8) || 'nothing'}`);
  }
  if (data.length === 0) throw badSpots(name, 'it has no spots');
  const adjusted = fields.includes('new_x') && fields.includes('new_y');
  const byArray = new Map<string, Spot>();
  const byAdjusted = new Map<string, Spot>();
  for (const [i, row] of data.entries()) {
    const number = (column: string) => {
      const text = row[column]?.trim() ?? '';
      const value = Number(text);
      if (text !== '' && Number.isFinite(value)) return value;
      throw badSpots(name, `line ${i + 2}: ${column} is "${text.slice(0, 40)}", expected a number`);
    };
    const [x, y] = [number('x'), number('y')];
    const spot = {
      id: `${x}x${y}`,
      x: number('pixel_x'),
      y: number('pixel_y'),
      row: Math.round(y),
      column: Math.round(x),
      inTissue: fields.includes('selected') ? number('selected') !== 0 : true,
    };
    put(byArray, spot.id, spot, name);
    if (adjusted) put(byAdjusted, `${number('new_x')}x${number('new_y')}`, spot, name);
  }
  return { byArray, byAdjusted };
}

function put(map: Map<string, Spot>, key: string, spot: Spot, name: string): void {
  if (map.has(key)) {
    throw new HistogradError(
      'duplicate-spot',
      `${name} has the spot ${key} twice.`,
      'Keep one line per spot.',
    );
  }
  map.set(key, spot);
}

/** An affine map from array to pixel positions: x' = a x + b y + c, y' = d x + e y + f. */
export type Alignment = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/**
 * Reads an alignment file: nine numbers, a 3 x 3 matrix. The ST viewer writes it for row vectors (the last column is 0, 0, 1
 * and the shift comes last); a matrix for column vectors (the last row is 0, 0, 1) is told apart by that. One that is
 * both has no shift and is taken for row vectors.
 *
 * @throws HistogradError `bad-alignment`
 */
export function parseAlignment(text: string, name: string): Alignment {
  const words = text.trim().split(/[\s,]+/);
  const m = words.map(Number);
  const problem = (what: string) =>
    new HistogradError(
      'bad-alignment',
      `${name} is no alignment: ${what}.`,
      'Expected nine numbers, for example "290.5 0 0 0 290.5 0 -290 -300 1".',
    );
  if (m.length !== 9 || !m.every(Number.isFinite)) {
    throw problem(`expected 9 numbers, found ${examples(words, 10)}`);
  }
  const [m11 = 0, m12 = 0, m13 = 0, m21 = 0, m22 = 0, m23 = 0, m31 = 0, m32 = 0, m33] = m;
  if (m33 !== 1) throw problem(`its last number is ${m33}, expected 1`);
  let map: Alignment;
  if (m13 === 0 && m23 === 0) map = [m11, m21, m31, m12, m22, m32];
  else if (m31 === 0 && m32 === 0) map = [m11, m12, m13, m21, m22, m23];
  else throw problem('neither its last column nor its last row is 0, 0, 1');
  if (map[0] * map[4] - map[1] * map[3] === 0) throw problem('it maps all spots onto one line');
  return map;
}

/** What places the spots: a spot file, or an alignment of the array. */
export type LegacyPlacement =
  | { readonly positions: LegacyPositions }
  | { readonly alignment: Alignment };

/**
 * A section from its counts and positions. Spots that are not selected are left out.
 *
 * @param pitchUm distance of neighbouring spots in micrometres (200 on the 1k array), for `mpp`
 * @throws HistogradError `spots-mismatch`, `no-spots`, `duplicate-spot`
 */
export function legacySection(
  name: string,
  table: LegacyCounts,
  placement: LegacyPlacement,
  files: { counts: string; positions: string },
  pitchUm = PITCH_UM,
): SpotSection {
  const keys = table.ids.map((id) => {
    const [, x, y] = SPOT_NAME.exec(id) ?? [];
    return x === undefined || y === undefined ? id : `${Number(x)}x${Number(y)}`;
  });
  checkSpotIds(keys, files.counts);
  const joined = joinSpots(keys, spotsOf(placement, keys), files.counts, files.positions);
  const selected = joined.spots.flatMap(({ inTissue }, i) => (inTissue ? [i] : []));
  if (selected.length === 0) {
    throw new HistogradError(
      'no-spots',
      `${files.positions}: none of the ${joined.spots.length} spots with counts is selected.`,
      'Use a spot file whose column "selected" is 1 for spots in the tissue.',
    );
  }
  const notes = [...joined.notes];
  const beside = joined.spots.length - selected.length;
  if (beside > 0) notes.push(`${beside} spots are not selected and are left out.`);
  const { names: genes, renamed } = makeUnique(table.genes);
  if (renamed.length > 0) {
    notes.push(
      `${renamed.length} gene names occur more than once; the later ones got -1, -2, …: ${examples(renamed)}.`,
    );
  }
  const rows = selected.map((i) => joined.rows[i]!);
  const spots = selected.map((i) => ({ ...joined.spots[i]!, id: table.ids[joined.rows[i]!]! }));
  const pitch = pitchPixels(spots);
  return {
    name,
    spots,
    genes,
    counts: takeRows(table.counts, rows),
    pixelSpace: 'image',
    ...(pitch === undefined
      ? {}
      : { mpp: pitchUm / pitch, spotDiameter: (pitch / pitchUm) * DIAMETER_UM }),
    notes,
  };
}

function spotsOf(placement: LegacyPlacement, keys: readonly string[]): ReadonlyMap<string, Spot> {
  if ('positions' in placement) {
    const { byArray, byAdjusted } = placement.positions;
    const matches = (map: ReadonlyMap<string, Spot>) => keys.filter((key) => map.has(key)).length;
    return matches(byAdjusted) > matches(byArray) ? byAdjusted : byArray;
  }
  const [a, b, c, d, e, f] = placement.alignment;
  return new Map(
    keys.flatMap((key): [string, Spot][] => {
      const [x, y] = key.split('x').map(Number);
      if (x === undefined || y === undefined || !Number.isFinite(x + y)) return [];
      const spot = {
        id: key,
        x: a * x + b * y + c,
        y: d * x + e * y + f,
        row: Math.round(y),
        column: Math.round(x),
        inTissue: true,
      };
      return [[key, spot]];
    }),
  );
}

/** Median distance of spots that are neighbours in a row of the array. */
function pitchPixels(spots: readonly Spot[]): number | undefined {
  const at = new Map(spots.map((spot) => [`${spot.row},${spot.column}`, spot]));
  const distances = spots.flatMap((spot) => {
    const next = at.get(`${spot.row},${spot.column + 1}`);
    return next ? [Math.hypot(next.x - spot.x, next.y - spot.y)] : [];
  });
  distances.sort((a, b) => a - b);
  const median = distances[Math.floor(distances.length / 2)];
  return median !== undefined && median > 0 ? median : undefined;
}
