/** Sections of a pack (`sections.json`, `genes.json`, `spots.csv`, `counts/`; see `st-bags`) in the common form. */
import { z } from 'zod';
import { HistogradError } from '../errors.ts';
import { sparseBuilder } from './sparse-rows.ts';
import type { SpotSection } from './spots.ts';
import {
  badPack,
  parseStCounts,
  parseStGenes,
  parseStSections,
  parseStSpots,
} from './st-sections.ts';

const IMAGES = z.object({
  sections: z.array(
    z.object({
      id: z.string(),
      image: z
        .string()
        .regex(/^(?!.*\.\.)[\w./-]+$/, 'expected a path inside the pack')
        .optional(),
      native_width: z.number().positive().optional(),
      width2000: z.number().positive().optional(),
      um_per_px_native: z.number().positive().optional(),
      um_per_px_2000: z.number().positive().optional(),
    }),
  ),
});

interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** A pack's tables. */
export interface PackTables {
  readonly sections: NamedText;
  readonly genes: NamedText;
  readonly spots: NamedText;
}

export interface PackSection {
  /** Of `counts/<section>.u16.gz`, unpacked. */
  readonly countsBytes: number;
  /** `imagePath` is the path inside the pack. Throws `bad-pack` when the counts are others than `countsBytes`. */
  read(counts: Uint8Array, name: string): SpotSection;
}

/**
 * One section of a pack. Coordinates are pixels of the section's image in the pack, which may be a reduced copy of
 * the microscope's (`width2000` beside `native_width`), or of the latter where the pack has no image.
 *
 * @throws HistogradError `unknown-section`, `bad-pack`
 */
export function packSection(tables: PackTables, id: string): PackSection {
  const section = parseStSections(tables.sections.text, tables.sections.name).find(
    (known) => known.id === id,
  );
  const images = IMAGES.safeParse(JSON.parse(tables.sections.text));
  if (!images.success) {
    throw badPack(tables.sections.name, images.error.issues[0]?.message ?? 'odd content');
  }
  if (!section) {
    const known = images.data.sections.map((other) => other.id).join(', ');
    throw new HistogradError(
      'unknown-section',
      `${tables.sections.name} has no section ${id}.`,
      `Choose one of ${known}.`,
    );
  }
  const { symbols, geneOfColumn } = parseStGenes(tables.genes.text, tables.genes.name);
  const spots = parseStSpots(tables.spots.text, tables.spots.name).get(id) ?? [];
  if (spots.length !== section.spots) {
    throw badPack(
      tables.spots.name,
      `section ${id} has ${spots.length} rows, ${section.spots} are announced`,
    );
  }
  const columns = geneOfColumn.length;
  const image = images.data.sections.find((other) => other.id === id);
  const reduced =
    image?.image !== undefined && image.width2000 !== undefined && image.native_width !== undefined;
  const scale = reduced ? image.width2000! / image.native_width! : 1;
  const mpp = reduced ? image.um_per_px_2000 : image?.um_per_px_native;
  const totals = spots.map(({ totalUmi }) => totalUmi ?? Number.NaN);
  return {
    countsBytes: spots.length * columns * 2,
    read(counts, name) {
      const dense = parseStCounts(counts, spots.length, columns, name);
      const builder = sparseBuilder(spots.length, symbols.length);
      for (let r = 0; r < spots.length; r++) {
        // Columns of one symbol are added up.
        const row = new Map<number, number>();
        for (let c = 0; c < columns; c++) {
          const count = dense[r * columns + c]!;
          if (count > 0) row.set(geneOfColumn[c]!, (row.get(geneOfColumn[c]!) ?? 0) + count);
        }
        for (const [gene, count] of row) builder.add(r, gene, count);
      }
      return {
        name: id,
        spots: spots.map(({ index, arrayX, arrayY, pxX, pxY }) => ({
          id: `${id}-${index}`,
          x: pxX * scale,
          y: pxY * scale,
          row: arrayY,
          column: arrayX,
          inTissue: true,
        })),
        genes: symbols,
        counts: builder.finish(name),
        ...(totals.some(Number.isNaN) ? {} : { totals: Float32Array.from(totals) }),
        pixelSpace: image?.image === undefined ? 'fullres' : 'image',
        ...(image?.image === undefined ? {} : { imagePath: image.image }),
        ...(mpp === undefined ? {} : { mpp }),
        notes: [],
      };
    },
  };
}
