/** Sections of a pack from its folder. */
import { join } from 'node:path';
import { packSection } from '../pack-section.ts';
import type { SpotSection } from '../spots.ts';
import { readText } from './read-file.ts';
import { readGzip } from './st-pack.ts';

/**
 * Reads one section of a pack; see `packSection` for what its coordinates are.
 *
 * @throws HistogradError `unknown-section`, `no-file`, `bad-pack`
 */
export async function readPackSection(folder: string, id: string): Promise<SpotSection> {
  const table = async (file: string) => {
    const name = join(folder, file);
    return { name, text: await readText(name) };
  };
  const pack = packSection(
    {
      sections: await table('sections.json'),
      genes: await table('genes.json'),
      spots: await table('spots.csv'),
    },
    id,
  );
  const counts = join(folder, 'counts', `${id}.u16.gz`);
  const section = pack.read(await readGzip(counts, pack.countsBytes), counts);
  return section.imagePath === undefined
    ? section
    : { ...section, imagePath: join(folder, section.imagePath) };
}
