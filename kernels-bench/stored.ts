/** The results in `results/`, by adapter. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DispatchRun, parseDispatchRun } from './dispatch.ts';
import { type ExtractionRun, parseExtractionRun } from './extraction-run.ts';
import { type LadderRun, parseLadderRun } from './ladders/climb.ts';
import { type PatchRun, parsePatchRun } from './patches.ts';
import { parseRun, type Run } from './run.ts';

export interface Stored {
  readonly environment: Readonly<Record<string, string>>;
}

/** All that is known of one adapter, the oldest first. */
export interface AdapterResults {
  readonly name: string;
  readonly runs: readonly Run[];
  readonly extractions: readonly ExtractionRun[];
  readonly ladders: readonly LadderRun[];
  readonly patches: readonly PatchRun[];
  readonly dispatches: readonly DispatchRun[];
}

/** @param results the folder; quick results are left out */
export function readResults(results: string): AdapterResults[] {
  const runs = resultsIn(results, parseRun);
  const extractions = resultsIn(join(results, 'extraction'), parseExtractionRun);
  const ladders = resultsIn(join(results, 'ladders'), parseLadderRun);
  const patches = resultsIn(join(results, 'patches'), parsePatchRun);
  const dispatches = resultsIn(join(results, 'dispatches'), parseDispatchRun);
  const all: Stored[] = [runs, extractions, ladders, patches, dispatches].flat();
  return [...new Set(all.map(adapterOf))].map((name) => {
    const here = (run: Stored) => adapterOf(run) === name;
    return {
      name,
      runs: runs.filter(here),
      extractions: extractions.filter(here),
      ladders: ladders.filter(here),
      patches: patches.filter(here),
      dispatches: dispatches.filter(here),
    };
  });
}

/** The results in a folder, the oldest first; none where there is no folder. */
function resultsIn<T extends Stored>(
  folder: string,
  parse: (text: string, file: string) => T,
): T[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => parse(readFileSync(join(folder, name), 'utf8'), join(folder, name)))
    .sort(byDate);
}

const adapterOf = ({ environment }: Stored) => environment.adapter ?? 'adapter';

export const byDate = (a: Stored, b: Stored) => dateOf(a).localeCompare(dateOf(b));

const dateOf = ({ environment }: Stored) => environment.date ?? '';

/** '2026-11-21 15:41 UTC'. */
export function moment(run: Stored): string {
  const date = dateOf(run);
  return date ? `${date.slice(0, 10)} ${date.slice(11, 16)} UTC` : 'no date';
}

/** 'a5db73348, with changes'. */
export function commitOf({ environment: { commit } }: Stored): string {
  const [id, ...rest] = (commit ?? '').split(' ');
  return id ? [id.slice(0, 9), ...rest].join(' ') : 'not recorded';
}

/** '3 to 7'; '7' where all are the same. */
export function rangeOf(counts: readonly number[]): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
