/** The ranges of the models' own options, checked before anything is written or trained. */
import { HistogradError } from '../errors.ts';
import { type ModelKind, type ModelOptions, modelDefaults } from '../models/registry.ts';

type Range = readonly [fits: (value: number) => boolean, expected: string];

const COUNT: Range = [(n) => Number.isInteger(n) && n >= 1, 'a whole number from 1'];
const SHARE: Range = [(n) => n >= 0 && n < 1, 'from 0 up to, but not including, 1'];
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

/** @throws HistogradError `bad-option` (a value out of its range, or none of the words allowed) */
export function checkModelOptions(kind: ModelKind, options: ModelOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const words = WORDS[name];
    const [fits, expected] = RANGES[name] ?? [];
    const good =
      (!words || words.includes(String(value))) &&
      (!fits || (typeof value === 'number' && fits(value)));
    if (good) continue;
    throw new HistogradError(
      'bad-option',
      `${kind}.${name} is ${JSON.stringify(value)}, expected ${expected ?? words?.join(' or ')}.`,
      `Correct the option; its default is ${modelDefaults(kind)[name]}.`,
    );
  }
  const { from, to } = options;
  if (typeof from !== 'number' || typeof to !== 'number' || from <= to) return;
  throw new HistogradError(
    'bad-option',
    `${kind}.from is ${from}, above ${kind}.to, which is ${to}.`,
    'Exchange them.',
  );
}
