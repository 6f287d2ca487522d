/** Legacy Spatial Transcriptomics from folders: the her2st layout, and single files. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HistogradError } from '../../errors.ts';
import { legacyCountsReader } from '../legacy-counts.ts';
import {
  type LegacyPlacement,
  legacySection,
  parseAlignment,
  parseSpotFile,
} from '../legacy-st.ts';
import type { CountOptions } from '../sparse-rows.ts';
import { examples, type SpotSection } from '../spots.ts';
import { MAX_TABLE_BYTES, readGzipText, streamGzip } from './gzip-text.ts';
import { readError } from './read-file.ts';

/** The files of one section. */
export interface LegacyFiles extends CountOptions {
  readonly name: string;
  /** Count table, .tsv or .csv, maybe .gz. */
  readonly counts: string;
  /** Spot file (x, y, pixel_x, pixel_y, …); or else: */
  readonly spots?: string | undefined;
  /** Alignment of the array with the image: nine numbers. */
  readonly alignment?: string | undefined;
  readonly image?: string | undefined;
  /** Distance of neighbouring spots in micrometres; 200 when left out. */
  readonly pitchUm?: number | undefined;
}

const COUNTS = /\.(tsv|csv|txt)(\.gz)?$/i;
const IMAGE = /\.(jpe?g|png|tiff?|svs)$/i;
const DEEPEST = 4;

/**
 * Reads a section from single files.
 *
 * @throws HistogradError `no-positions` when neither spots nor an alignment are given, and those of `legacy-st.ts`
 */
export async function readLegacySection(files: LegacyFiles): Promise<SpotSection> {
  const { placement, path } = await readPlacement(files);
  const reader = legacyCountsReader(files.counts, files);
  await streamGzip(files.counts, (bytes) => reader.push(bytes));
  const section = legacySection(
    files.name,
    reader.finish(),
    placement,
    { counts: files.counts, positions: path },
    files.pitchUm,
  );
  return files.image === undefined ? section : { ...section, imagePath: files.image };
}

/** Names of the sections in a folder of the her2st layout: the tables in `ST-cnts`. */
export async function listLegacySections(folder: string): Promise<string[]> {
  const names = await list(join(folder, 'ST-cnts'));
  return names.flatMap(({ name }) => (COUNTS.test(name) ? [name.replace(COUNTS, '')] : [])).sort();
}

/**
 * Reads a section of the her2st layout: `ST-cnts/<section>.tsv(.gz)`, `ST-spotfiles/<section>_selection.tsv`, and the image
 * below `ST-imgs` whose name starts with the section's, or that lies in a folder of that name.
 *
 * @throws HistogradError `unknown-section`, `ambiguous-file` (several images), and those of `readLegacySection`
 */
export async function readLegacySt(
  folder: string,
  section: string,
  options: CountOptions & { pitchUm?: number | undefined } = {},
): Promise<SpotSection> {
  const counts = await findSectionFile(join(folder, 'ST-cnts'), section, '');
  const spots = await findSectionFile(join(folder, 'ST-spotfiles'), section, '_selection');
  const image = await findImage(join(folder, 'ST-imgs'), section);
  return readLegacySection({ ...options, name: section, counts, spots, image });
}

async function readPlacement({
  name,
  spots,
  alignment,
}: LegacyFiles): Promise<{ placement: LegacyPlacement; path: string }> {
  if (spots !== undefined) {
    return {
      placement: { positions: parseSpotFile(await readGzipText(spots, MAX_TABLE_BYTES), spots) },
      path: spots,
    };
  }
  if (alignment !== undefined) {
    const matrix = parseAlignment(await readGzipText(alignment), alignment);
    return { placement: { alignment: matrix }, path: alignment };
  }
  throw new HistogradError(
    'no-positions',
    `Section ${name} has neither a spot file nor an alignment, so it is unknown where its spots lie.`,
    'Give the spot file (x, y, pixel_x, pixel_y) or the alignment (nine numbers) of the section.',
  );
}

async function findSectionFile(folder: string, section: string, suffix: string): Promise<string> {
  const names = (await list(folder)).map(({ name }) => name);
  const found = names.find(
    (name) => COUNTS.test(name) && name.replace(COUNTS, '') === section + suffix,
  );
  if (found !== undefined) return join(folder, found);
  throw new HistogradError(
    'unknown-section',
    `${folder} has no table ${section}${suffix}.tsv; found ${examples(names, 6) || 'nothing'}.`,
    'Choose a section that the folder has.',
  );
}

async function findImage(root: string, section: string): Promise<string | undefined> {
  const found: string[] = [];
  // Links are neither files nor folders here, so that no loop can be entered.
  const visit = async (folder: string, inSection: boolean, depth: number): Promise<void> => {
    for (const entry of await list(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && depth < DEEPEST) {
        await visit(path, inSection || entry.name === section, depth + 1);
      } else if (entry.isFile() && IMAGE.test(entry.name)) {
        const rest = entry.name.startsWith(section) ? entry.name.slice(section.length) : 'other';
        // A1 is not the section of A10.jpg.
        if (inSection || !/^[A-Za-z0-9]/.test(rest)) found.push(path);
      }
    }
  };
  try {
    await visit(root, false, 0);
  } catch (cause) {
    if (cause instanceof HistogradError && cause.code === 'no-file') return undefined;
    throw cause;
  }
  if (found.length < 2) return found[0];
  throw new HistogradError(
    'ambiguous-file',
    `${root} has several images of section ${section}: ${examples(found, 5)}.`,
    'Keep one, or read the section with readLegacySection and name its image.',
  );
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw readError(folder, cause);
  });
}
