/** Where results are kept, and the page that shows all of them. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderReport } from './report.ts';

/** `npm run` starts there. */
export const ROOT = process.cwd();
export const FOLDER = join(ROOT, 'kernels-bench');

/**
 * Writes a result as `results/<kind>/<name>-<adapter>-<day>.json`, and the page anew.
 *
 * @param kind '' for the kernels; quick results are kept apart, and not shown on the page
 * @param name what distinguishes results of one day on one adapter
 */
export function saveResult(
  kind: '' | 'quick' | 'extraction' | 'ladders' | 'patches',
  run: { readonly environment: Readonly<Record<string, string>> },
  name = '',
): void {
  const { adapter = 'adapter', date = '' } = run.environment;
  const words = `${name} ${adapter}`.replaceAll(/[^\w.]+/g, '-').replaceAll(/^-|-$/g, '');
  const folder = join(FOLDER, 'results', kind);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${words}-${date.slice(0, 10)}.json`);
  writeWhole(file, `${JSON.stringify(run, null, 2)}\n`);
  console.log(file);
  writeReport();
}

/** `report.html` of all results, and its figures. */
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
