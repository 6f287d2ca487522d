/**
 * Legacy Spatial Transcriptomics (before Visium): where the spots lie, and sections.
 *
 * Sources: almaan/her2st (ST-cnts, ST-spotfiles); jfnavarro/st_viewer and st_analysis (alignment files: nine numbers).
 */
import Papa from 'papaparse';
import { HistogradError } from '../errors.ts';
import { type LegacyCounts, SPOT_NAME } from './legacy-counts.ts';
import { takeRows } from './sparse-rows.ts';
import {
  badSpots,
  checkSpotIds,
  columnPitch,
  examples,
  joinSpots,
  makeUnique,
  type Spot,
  type SpotSection,
} from './spots.ts';

/** Distance of neighbouring spots and diameter of a spot on the legacy 1k array, in micrometres. */
const PITCH_UM = 200;
const DIAMETER_UM = 100;
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
  const pitch = columnPitch(spots, 1);
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
