/** How many genes a section's counts have, from the headers of its files. */
import { parseStGenes } from '../../data/st-sections.ts';
import { readHead, readText } from './file-bytes.ts';
import { useH5FileTables } from './h5-blob.ts';
import type { SectionPlan } from './plan-sections.ts';

/** A header line with all genes. */
const HEADER_BYTES = 2 ** 22;

/** Null where only the values would tell. Errors of reading. */
export async function geneCount(section: SectionPlan): Promise<number | null> {
  switch (section.from) {
    case 'visium': {
      const { matrix } = section;
      if ('h5' in matrix) {
        return useH5FileTables(
          matrix.h5,
          (tables) => tables.shape('matrix/features/id')?.[0] ?? null,
        );
      }
      const text = await readText(matrix.features);
      return text.split('\n').filter((line) => line.trim() !== '').length;
    }
    case 'h5ad':
      return useH5FileTables(section.file, (tables) => {
        const index = tables.attribute('var', '_index');
        return typeof index === 'string' ? (tables.shape(`var/${index}`)?.[0] ?? null) : null;
      });
    case 'legacy': {
      const { bytes } = await readHead(section.counts, HEADER_BYTES);
      const [header = ''] = new TextDecoder().decode(bytes).split('\n', 1);
      const cells = header.trim().split(/[\t,]/);
      // Spots as columns: the genes are the lines.
      return cells.some((cell) => /^"?\d+(\.\d+)?x\d/.test(cell)) ? null : cells.length;
    }
    case 'pack':
      return parseStGenes(await readText(section.genes), section.genes.path).symbols.length;
  }
}
