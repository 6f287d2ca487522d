/** Which genes to train on, from what the user chose. */
import { formatCount, formatInteger } from '../../report/format.ts';

export type GeneMode = 'all' | 'variable' | 'pick' | 'paste';

export interface GeneChoice {
  /** Null: all. */
  readonly names: readonly string[] | null;
  /** Why one cannot train with this choice; null when one can. */
  readonly wrong: string | null;
  /** Pasted names that are not in the data. */
  readonly unknown: readonly string[];
}

interface Choice {
  readonly mode: GeneMode;
  readonly known: readonly string[];
  readonly ranked: readonly string[] | null;
  readonly count: number;
  readonly picked: readonly string[];
  readonly pasted: string;
}

export function chooseGenes({ mode, known, ranked, count, picked, pasted }: Choice): GeneChoice {
  switch (mode) {
    case 'all':
      return { names: null, wrong: null, unknown: [] };
    case 'variable': {
      const fits = Number.isInteger(count) && count >= 1 && count <= known.length;
      if (!fits) return refuse(`Enter a whole number from 1 to ${formatInteger(known.length)}.`);
      if (!ranked) return refuse('Ranking the genes…');
      return { names: ranked.slice(0, count), wrong: null, unknown: [] };
    }
    case 'pick':
      return picked.length === 0
        ? refuse('Pick at least one gene.')
        : { names: picked, wrong: null, unknown: [] };
    case 'paste': {
      const { found, unknown } = matchNames(pasted, known);
      if (found.length > 0) return { names: found, wrong: null, unknown };
      return refuse(
        unknown.length === 0
          ? 'Paste gene names, one per line or separated by commas.'
          : `None of the ${formatCount(unknown.length, 'name')} is in these data, whose genes are called like ${known.slice(0, 3).join(', ')}.`,
        unknown,
      );
    }
  }
}

function refuse(wrong: string, unknown: readonly string[] = []): GeneChoice {
  return { names: [], wrong, unknown };
}

/** Names in any case, apart by spaces, commas, semicolons or lines; each once, in the order of the data. */
export function matchNames(
  text: string,
  known: readonly string[],
): { found: readonly string[]; unknown: readonly string[] } {
  const byLower = new Map(known.map((name) => [name.toLowerCase(), name]));
  const found = new Set<string>();
  const unknown = new Set<string>();
  for (const word of text.split(/[\s,;]+/)) {
    const name = word.replace(/^["']|["']$/g, '');
    if (name === '') continue;
    const match = byLower.get(name.toLowerCase());
    if (match === undefined) unknown.add(name);
    else found.add(match);
  }
  return { found: known.filter((name) => found.has(name)), unknown: [...unknown] };
}

/**
 * What has a gene whose name contains the text, those whose name begins with it first; several words or commas give several
 * genes, no words all.
 */
export function searchGenes<T>(
  items: readonly T[],
  text: string,
  nameOf: (item: T) => string,
): readonly T[] {
  const words = text
    .toLowerCase()
    .split(/[\s,;]+/)
    .filter(Boolean);
  if (words.length === 0) return items;
  const begins: T[] = [];
  const contains: T[] = [];
  for (const item of items) {
    const name = nameOf(item).toLowerCase();
    if (words.some((word) => name.startsWith(word))) begins.push(item);
    else if (words.some((word) => name.includes(word))) contains.push(item);
  }
  return [...begins, ...contains];
}
