/** A spatial transcriptomics pack spot by spot: every spot's crop and its expression. */
import { HistogradError } from '../../errors.ts';
import { spotExpression, topGenes } from '../spots.ts';
import { readPackSection } from './pack-section.ts';
import { openStPack, readStCrops } from './st-pack.ts';

export interface StSpotSection {
  readonly id: string;
  /** The patient, or the animal. */
  readonly patient: string;
  /** Number of spots. */
  readonly spots: number;
  /** RGB [spots, side, side, 3]. */
  readonly crops: Uint8Array;
  /** ln(1 + counts per 10,000 molecules of the spot) [spots, genes]. */
  readonly expression: Float32Array;
}

export interface StSpots {
  readonly genes: readonly string[];
  /** Side of the crops in pixels. */
  readonly side: number;
  readonly sections: readonly StSpotSection[];
}

/**
 * Reads the sections of a pack that have crops, all of it into memory.
 *
 * @param genes how many genes: those with the highest mean count, by the pack's `rank_by_mean` where it has it,
 *   else over the sections that are read
 * @param wanted ids of sections; when left out all that have crops
 * @throws HistogradError `too-few-genes`, and those of `openStPack`, `readPackSection` and `spotExpression`
 */
export async function readStSpots(
  folder: string,
  genes: number,
  wanted?: readonly string[],
): Promise<StSpots> {
  const pack = await openStPack(folder, undefined, wanted);
  const sections = await Promise.all(pack.sections.map(({ id }) => readPackSection(folder, id)));
  const { ranks, symbols } = pack.genes;
  if (symbols.length < genes) {
    throw new HistogradError(
      'too-few-genes',
      `${folder} has ${symbols.length} genes, ${genes} were asked for.`,
      'Ask for fewer genes.',
    );
  }
  const chosen = ranks
    ? symbols
        .map((symbol, i) => ({ symbol, rank: ranks[i]! }))
        .sort((a, b) => a.rank - b.rank)
        .slice(0, genes)
        .map(({ symbol }) => symbol)
    : topGenes(sections, genes);
  return {
    genes: chosen,
    side: pack.side,
    sections: await Promise.all(
      pack.sections.map(async (section, i) => ({
        id: section.id,
        patient: section.patient,
        spots: section.spots,
        crops: await readStCrops(pack, section),
        expression: spotExpression(sections[i]!, chosen, 1e4).values.map(Math.log1p),
      })),
    ),
  };
}
