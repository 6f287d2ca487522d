/** 10x Visium: a section from what the files of a Space Ranger folder hold (`visium-files.ts`). */
import { HistogradError } from '../errors.ts';
import { sparseBuilder, takeRows } from './sparse-rows.ts';
import {
  columnPitch,
  examples,
  joinSpots,
  makeUnique,
  type Spot,
  type SpotSection,
} from './spots.ts';
import { GENE_EXPRESSION, type VisiumMatrix, type VisiumScales } from './visium-files.ts';

/** Centres of neighbouring spots are this far apart on every Visium v1/v2 slide, in micrometres. */
const PITCH_UM = 100;

/** What a Visium section is put together from. */
export interface VisiumParts {
  readonly matrix: VisiumMatrix;
  readonly positions: ReadonlyMap<string, Spot>;
  readonly scales: VisiumScales;
  /** Which image's pixels the coordinates shall be. */
  readonly pixelSpace: 'fullres' | 'hires' | 'lowres';
  /** Keep spots beside the tissue too; default false. */
  readonly allSpots?: boolean | undefined;
}

/**
 * A section from its parts: genes only (no antibodies), symbols made unique, spots in the matrix's order.
 * Micrometres per pixel follow from the spots' pitch of 100 um.
 *
 * @throws HistogradError `spots-mismatch`, `no-genes`, `no-spots`
 */
export function visiumSection(
  name: string,
  parts: VisiumParts,
  files: { matrix: string; positions: string },
): SpotSection {
  const { matrix, positions, scales, pixelSpace, allSpots = false } = parts;
  const joined = joinSpots(matrix.barcodes, positions, files.matrix, files.positions);
  const kept = joined.spots.flatMap(({ inTissue }, i) => (allSpots || inTissue ? [i] : []));
  if (kept.length === 0) {
    throw new HistogradError(
      'no-spots',
      `${files.positions}: none of the ${joined.spots.length} spots with counts is in the tissue.`,
      'Check the tissue detection, or keep all spots with allSpots.',
    );
  }
  const notes = [...joined.notes];
  const beside = joined.spots.length - kept.length;
  if (beside > 0) notes.push(`${beside} spots beside the tissue are left out.`);
  const counts = takeRows(
    matrix.counts,
    kept.map((i) => joined.rows[i]!),
  );
  const genes = onlyGenes({ ...matrix, counts }, notes, name);
  const fullres = kept.map((i) => joined.spots[i]!);
  const scale = pixelSpace === 'fullres' ? 1 : scales[pixelSpace];
  const mpp = scales.micronsPerPixel ?? pitchMpp(fullres);
  return {
    name,
    spots: scaleSpots(fullres, scale),
    ...genes,
    pixelSpace,
    spotDiameter: scales.spotDiameter * scale,
    ...(mpp === undefined ? {} : { mpp: mpp / scale }),
    notes,
  };
}

/** Coordinates in the pixels of an image that is `scale` times as large. */
export function scaleSpots(spots: readonly Spot[], scale: number): Spot[] {
  return spots.map((spot) => ({ ...spot, x: spot.x * scale, y: spot.y * scale }));
}

function onlyGenes(
  { features, counts }: VisiumMatrix,
  notes: string[],
  name: string,
): Pick<SpotSection, 'genes' | 'geneIds' | 'counts'> {
  const kept = features.types.flatMap((type, i) => (type === GENE_EXPRESSION ? [i] : []));
  if (kept.length === 0) {
    throw new HistogradError(
      'no-genes',
      `${name}: none of its ${features.types.length} features is of the type "${GENE_EXPRESSION}"; found ${examples([...new Set(features.types)])}.`,
      'Use a gene expression run.',
    );
  }
  const others = features.types.length - kept.length;
  if (others > 0)
    notes.push(`${others} features that are not genes (antibodies, guides) are left out.`);
  const { names, renamed } = makeUnique(kept.map((i) => features.names[i]!));
  if (renamed.length > 0) {
    notes.push(
      `${renamed.length} gene names occur more than once; the later ones got -1, -2, …: ${examples(renamed)}.`,
    );
  }
  const geneIds = kept.map((i) => features.ids[i]!);
  if (others === 0) return { genes: names, geneIds, counts };
  const position = new Int32Array(features.types.length).fill(-1);
  for (const [to, from] of kept.entries()) position[from] = to;
  const builder = sparseBuilder(counts.rows, kept.length);
  for (let r = 0; r < counts.rows; r++) {
    for (let p = counts.starts[r]!; p < counts.starts[r + 1]!; p++) {
      const column = position[counts.columnIndex[p]!]!;
      if (column >= 0) builder.add(r, column, counts.values[p]!);
    }
  }
  return { genes: names, geneIds, counts: builder.finish(name) };
}

/** Micrometres per pixel from spots that are neighbours in a row: columns 2 apart, 100 um. */
export function pitchMpp(spots: readonly Spot[]): number | undefined {
  const pitch = columnPitch(spots, 2);
  return pitch === undefined ? undefined : PITCH_UM / pitch;
}
