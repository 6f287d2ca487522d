/**
 * The files of a spatial transcriptomics pack, from their text and bytes: `sections.json`,
 * `genes.json`, `spots.csv` and raw counts. No file access here.
 */
import Papa from 'papaparse';
import { z } from 'zod';
import { HistogradError } from '../errors.ts';
import { parseJson } from './checked-json.ts';

/** One tissue section. */
export interface StSection {
  readonly id: string;
  /** The patient, or the animal. */
  readonly patient: string;
  /** Number of spots, and so of rows in its counts and crops. */
  readonly spots: number;
}

/** One spot, in the order of its section's counts. */
export interface StSpot {
  /** Row in the section's counts and crops, from 0. */
  readonly index: number;
  /** Column and row in the array of spots; neighbours may be 2 apart in staggered arrays. */
  readonly arrayX: number;
  readonly arrayY: number;
  /** Centre in pixels of the section's image. */
  readonly pxX: number;
  readonly pxY: number;
  /** Molecules of all genes, where the pack knows them. */
  readonly totalUmi?: number;
}

/** The genes of a pack after columns with the same symbol have been joined. */
export interface StGenes {
  readonly symbols: readonly string[];
  /** For every column of the counts, the position of its gene in `symbols`. */
  readonly geneOfColumn: readonly number[];
  /** Rank of the mean count per gene, 0 = highest, where the pack gives it. */
  readonly ranks?: readonly number[];
  /** Symbols that several columns carry; their counts are added. */
  readonly joined: readonly string[];
}

const SECTIONS = z.object({
  sections: z
    .array(
      z.object({
        // Sections name output files, so no separators.
        id: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, "_", "-" and "." only'),
        patient: z.union([z.string(), z.number()]).optional(),
        animal: z.union([z.string(), z.number()]).optional(),
        spots: z.number().int().positive(),
      }),
    )
    .min(1),
});

const GENES = z
  .array(z.object({ symbol: z.string().min(1), rank_by_mean: z.number().int().optional() }))
  .min(1);

/**
 * Reads `sections.json`: `{ sections: [{ id, patient | animal, spots, ... }] }`.
 *
 * @throws HistogradError `bad-pack` for other content, a section twice or one without a patient
 */
export function parseStSections(text: string, name: string): StSection[] {
  const { sections } = parseJson(text, SECTIONS, (what) => badPack(name, what));
  const seen = new Set<string>();
  return sections.map(({ id, patient, animal, spots }) => {
    if (seen.has(id)) throw badPack(name, `section ${id} is listed twice`);
    seen.add(id);
    const owner = patient ?? animal;
    if (owner === undefined) {
      throw badPack(name, `section ${id} has neither "patient" nor "animal"`);
    }
    return { id, patient: String(owner), spots };
  });
}

/**
 * Reads `genes.json`: `[{ symbol, rank_by_mean?, ... }]` in the order of the counts' columns. Columns
 * with one symbol become one gene, at the place of the first and with the better rank.
 *
 * @throws HistogradError `bad-pack` for other content
 */
export function parseStGenes(text: string, name: string): StGenes {
  const columns = parseJson(text, GENES, (what) => badPack(name, what));
  const positions = new Map<string, number>();
  const joined = new Set<string>();
  const ranks: number[] = [];
  const geneOfColumn = columns.map(({ symbol, rank_by_mean: rank = Number.NaN }) => {
    const known = positions.get(symbol);
    const gene = known ?? positions.size;
    if (known !== undefined) joined.add(symbol);
    positions.set(symbol, gene);
    ranks[gene] = known === undefined ? rank : Math.min(ranks[gene]!, rank);
    return gene;
  });
  return {
    symbols: [...positions.keys()],
    geneOfColumn,
    joined: [...joined],
    ...(ranks.some(Number.isNaN) ? {} : { ranks }),
  };
}

/** Columns that `spots.csv` must have besides `section`. */
const SPOT_COLUMNS = ['index', 'array_x', 'array_y', 'px_x', 'px_y'] as const;

/**
 * Reads `spots.csv`: one row per spot with the columns section, index, array_x, array_y, px_x, px_y
 * and, optionally, total_umi; other columns are ignored.
 *
 * @returns the spots of each section, in the order of their index
 * @throws HistogradError `bad-pack` for a missing column, a value that is no number, or indices of a
 *   section that are not 0, 1, 2, ...
 */
export function parseStSpots(text: string, name: string): Map<string, StSpot[]> {
  const { data, meta } = Papa.parse<Record<string, string>>(text, {
    header: true,
    delimiter: ',',
    skipEmptyLines: true,
  });
  const fields = meta.fields ?? [];
  for (const column of ['section', ...SPOT_COLUMNS]) {
    if (!fields.includes(column)) {
      throw badPack(name, `column "${column}" is missing; found ${fields.join(', ')}`);
    }
  }
  const spots = new Map<string, StSpot[]>();
  for (const [i, row] of data.entries()) {
    const number = (column: string) => {
      const text = row[column]?.trim() ?? '';
      const value = Number(text);
      if (text === '' || !Number.isFinite(value)) {
        throw badPack(name, `row ${i + 2}: "${column}" is "${text}", expected a number`);
      }
      return value;
    };
    const section = row.section ?? '';
    const ofSection = spots.get(section) ?? [];
    spots.set(section, ofSection);
    const index = number('index');
    if (index !== ofSection.length) {
      throw badPack(
        name,
        `row ${i + 2}: spot ${index} of section ${section} where spot ${ofSection.length} was expected`,
      );
    }
    ofSection.push({
      index,
      arrayX: number('array_x'),
      arrayY: number('array_y'),
      pxX: number('px_x'),
      pxY: number('px_y'),
      ...(fields.includes('total_umi') ? { totalUmi: number('total_umi') } : {}),
    });
  }
  return spots;
}

/**
 * Counts as uint16, little-endian, row-major `[spots][columns]`.
 *
 * @throws HistogradError `bad-pack` when the number of bytes does not fit
 */
export function parseStCounts(
  bytes: Uint8Array,
  spots: number,
  columns: number,
  name: string,
): Uint16Array {
  const expected = spots * columns * 2;
  if (bytes.length !== expected) {
    throw badPack(
      name,
      `expected ${expected} bytes after decompression (${spots} spots x ${columns} genes x 2), found ${bytes.length}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint16Array.from({ length: spots * columns }, (_, i) => view.getUint16(2 * i, true));
}

/** A pack's file does not hold what it should. */
export function badPack(name: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-pack',
    `${name}: ${problem}.`,
    'Check that the file belongs to this pack, is complete and has the layout that `histograd data st-bags --help` describes.',
  );
}
