/** What a run was trained on, in a few bytes: so that a resumed run cannot mix two versions of the data. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Cohort } from '../data/node/cohort.ts';
import { readError } from '../data/node/read-file.ts';
import type { Split } from '../data/splits.ts';

/** Kept in the run folder as `data.json`. */
export interface DataFingerprint {
  /** Hash of the names of the genes, in order. */
  readonly genes: string;
  /** Hash of the targets, transformed. */
  readonly expression: string;
  /** Hash of which slides each fold trains on, validates on and tests. */
  readonly splits: string;
  /** By slide: patches, bytes of the feature file, and a hash of both its ends. */
  readonly slides: Readonly<Record<string, string>>;
}

const END_BYTES = 65_536;

/**
 * Feature files are not read whole: a change that keeps a file's size and its first and last 64 KiB goes unnoticed.
 *
 * @throws HistogradError those of reading
 */
export async function fingerprintData(
  { slides, genes, targets }: Cohort,
  splits: readonly Split[],
): Promise<DataFingerprint> {
  const files: Record<string, string> = {};
  for (const { id, path, rows } of slides) files[id] = `${rows} ${await fileEnds(path)}`;
  const ids = slides.map(({ id }) => id);
  const named = splits.map(({ name, train, validation, test }) => [
    name,
    ...[train, validation, test].map((part) => part.map((slide) => ids[slide])),
  ]);
  return {
    genes: sha256(JSON.stringify(genes)),
    expression: sha256(new Uint8Array(targets.buffer, targets.byteOffset, targets.byteLength)),
    splits: sha256(JSON.stringify(named)),
    slides: files,
  };
}

/** What differs between two states of the data, in words; null if nothing does. */
export function dataChange(saved: DataFingerprint, now: DataFingerprint): string | null {
  const [before, after] = [Object.keys(saved.slides), Object.keys(now.slides)];
  const gone = before.find((id) => !(id in now.slides));
  if (gone !== undefined) return `slide ${gone} is gone`;
  const added = after.find((id) => !(id in saved.slides));
  if (added !== undefined) return `slide ${added} is new`;
  const changed = before.filter((id) => saved.slides[id] !== now.slides[id]);
  if (changed.length > 0) {
    const others = changed.length > 1 ? ` and of ${changed.length - 1} more` : '';
    return `the features of slide ${changed[0]}${others} changed`;
  }
  if (saved.genes !== now.genes) return 'the list of genes changed';
  if (saved.expression !== now.expression) return 'the expression table changed';
  return saved.splits === now.splits ? null : 'the splits changed';
}

async function fileEnds(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const ends = Buffer.alloc(Math.min(size, 2 * END_BYTES));
      const first = Math.min(ends.length, END_BYTES);
      await file.read(ends, 0, first, 0);
      await file.read(ends, first, ends.length - first, size - (ends.length - first));
      return `${size} ${sha256(ends)}`;
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw readError(path, cause);
  }
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 32);
}
