/** Where results are kept, and the page that shows all of them. */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderReport } from './report.ts';
import type { Stored } from './stored.ts';

/** `npm run` starts there. */
export const ROOT = process.cwd();
export const FOLDER = join(ROOT, 'kernels-bench');

/**
 * Writes a result into `results/<kind>/`, and the page anew.
 *
 * @param kind '' for the kernels; quick results are kept apart, and not shown on the page
 * @param name what distinguishes results of one kind
 */
export function saveResult(
  kind: '' | 'quick' | 'extraction' | 'ladders' | 'patches' | 'dispatches',
  run: Stored,
  name = '',
): void {
  const { adapter = 'adapter', date = '' } = run.environment;
  const words = `${name} ${adapter}`.replaceAll(/[^\w.]+/g, '-').replaceAll(/^-|-$/g, '');
  const folder = join(FOLDER, 'results', kind);
  mkdirSync(folder, { recursive: true });
  const file = join(
    folder,
    resultName(words, date, (taken) => existsSync(join(folder, taken))),
  );
  writeWhole(file, `${JSON.stringify(run, null, 2)}\n`);
  console.log(file);
  writeReport();
}

/** `<words>-<day>.json`; with the time of day (UTC) if that name is taken, so that no run replaces another. */
export function resultName(words: string, date: string, taken: (name: string) => boolean): string {
  const daily = `${words}-${date.slice(0, 10)}.json`;
  if (!taken(daily)) return daily;
  return `${words}-${date.slice(0, 19).replaceAll(':', '')}.json`;
}

/** `report.html` of all results, its figures, and the tables in the essays. */
export function writeReport(): void {
  for (const [name, text] of renderReport(FOLDER)) {
    writeWhole(join(FOLDER, name), text);
    console.log(join(FOLDER, name));
  }
}

/** Writes under another name first: nobody finds half a file. */
function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text);
  renameSync(`${file}.tmp`, file);
}
