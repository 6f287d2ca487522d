/** What the models' own options may be. An option of one name means the same in every model that has it. */
import { HistogradError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';
import type { ModelSizes } from './model.ts';

export type ModelOptions = Record<string, number | string | boolean>;

type Range = readonly [fits: (value: number) => boolean, expected: string];

const COUNT: Range = [(n) => Number.isInteger(n) && n >= 1, 'a whole number from 1'];
const SHARE: Range = [(n) => n >= 0 && n < 1, 'a number from 0 up to, but not including, 1'];
const POSITIVE: Range = [(n) => n > 0 && Number.isFinite(n), 'a positive number'];
const FINITE: Range = [Number.isFinite, 'a finite number'];

const RANGES: Readonly<Record<string, Range>> = {
  hidden: COUNT,
  attention: COUNT,
  geneHidden: COUNT,
  k: COUNT,
  dropout: SHARE,
  geneDropout: SHARE,
  temperature: POSITIVE,
  retrievalTemperature: POSITIVE,
  from: FINITE,
  to: FINITE,
};

const WORDS: Readonly<Record<string, readonly string[]>> = {
  metric: ['euclidean', 'cosine'],
  weighting: ['softmax', 'uniform'],
};

/**
 * @param of whose options they are, for messages
 * @param others names that may stand among them, and are checked elsewhere
 * @throws HistogradError `bad-option` (an unknown option, or a value that it cannot take)
 */
export function checkOptions(
  of: string,
  defaults: Readonly<Record<string, unknown>>,
  options: Readonly<Record<string, unknown>>,
  others: readonly string[] = [],
): void {
  const names = [...Object.keys(defaults), ...others];
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) {
      const near = nearestNames(name, names);
      throw bad(
        `${of} has no option ${name}${near.length > 0 ? ` (did you mean ${near.join(' or ')}?)` : ''}.`,
        `Options of ${of}: ${names.join(', ')}.`,
      );
    }
    if (!(name in defaults)) continue;
    const expected = unmet(name, value, typeof defaults[name]);
    if (expected === null) continue;
    const found = typeof value === 'number' ? value : JSON.stringify(value);
    throw bad(
      `${of}.${name} is ${found}, expected ${expected}.`,
      `Correct the option; its default is ${defaults[name]}.`,
    );
  }
  const { from, to } = { ...defaults, ...options };
  if (typeof from !== 'number' || typeof to !== 'number' || from <= to) return;
  throw bad(`${of}.from is ${from}, above ${of}.to, which is ${to}.`, 'Exchange them.');
}

/** @throws HistogradError `bad-option` (a width or number of genes that is no whole number from 1) */
export function checkSizes(of: string, sizes: ModelSizes): void {
  for (const name of ['width', 'genes'] as const) {
    const [fits, expected] = COUNT;
    if (fits(sizes[name])) continue;
    throw bad(
      `${of}: ${name} is ${sizes[name]}, expected ${expected}.`,
      'The width is that of a patch feature, genes the number of genes.',
    );
  }
}

/** What the value should have been; null where it is that. */
function unmet(name: string, value: unknown, type: string): string | null {
  const [fits, range] = RANGES[name] ?? [];
  const words = WORDS[name];
  const good =
    typeof value === type &&
    (!words || words.includes(String(value))) &&
    (!fits || (typeof value === 'number' && fits(value)));
  return good ? null : (range ?? words?.join(' or ') ?? `a ${type}`);
}

function bad(problem: string, advice: string): HistogradError {
  return new HistogradError('bad-option', problem, advice);
}
