/** Splits from a file, in any of three layouts. */
import Papa from 'papaparse';
import { delimitedTextConfig } from '../expression-table.ts';
import { type Split, splitsFromCsv } from '../splits.ts';
import { readText } from './read-file.ts';

/**
 * Reads splits: the layouts of `splitsFromCsv`, and `fold,slide,part` with a line per slide and fold (as `st-bags`
 * writes them), in which a slide that a fold does not name takes no part in it.
 *
 * @throws HistogradError `no-file`, `not-readable`, and those of `splitsFromCsv`
 */
export async function readSplits(
  path: string,
  slideIds: readonly string[],
  patients: readonly string[],
  options: { seed: number; validationFraction: number },
): Promise<Split[]> {
  const text = await readText(path);
  return splitsFromCsv(widened(text, path, slideIds) ?? text, slideIds, patients, options);
}

/** The long layout as the wide one: a row per slide, a column per fold; undefined for other layouts. */
function widened(text: string, path: string, slideIds: readonly string[]): string | undefined {
  const { data } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ''), delimitedTextConfig(path));
  const [header, ...rows] = data.map((row) => row.map((cell) => cell.trim()));
  const columns = ['fold', 'slide', 'part'].map((name) => header?.indexOf(name) ?? -1);
  const [fold, slide, part] = columns;
  if (fold === undefined || slide === undefined || part === undefined) return undefined;
  if (Math.min(...columns) < 0) return undefined;
  const folds = [...new Set(rows.map((row) => row[fold] ?? ''))];
  const cells = new Map<string, string[]>(slideIds.map((id) => [id, folds.map(() => '')]));
  for (const row of rows) {
    const id = row[slide] ?? '';
    // A slide outside the cohort stays in the table, so that it is reported.
    const parts = cells.get(id) ?? folds.map(() => '');
    parts[folds.indexOf(row[fold] ?? '')] = row[part] ?? '';
    cells.set(id, parts);
  }
  const table = [['slide', ...folds], ...[...cells].map(([id, parts]) => [id, ...parts])];
  return Papa.unparse(table, { newline: '\n' });
}
