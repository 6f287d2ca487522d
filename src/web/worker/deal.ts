/** Which samples a run learns from, chooses its epoch by, and is tested on. */
import { shuffle } from '../../data/shuffle.ts';
import type { Split as SampleSplit } from '../../data/splits.ts';
import { HistogradError } from '../../errors.ts';
import type { SlideSummary, Split, TrainSettings } from '../protocol.ts';
import type { Dataset } from './dataset.ts';

/** Sample indices by part, and how that came about. */
export interface Deal {
  readonly samples: SampleSplit;
  readonly split: Split;
}

type Shares = Pick<TrainSettings, 'testFraction' | 'validationFraction' | 'seed'>;

/**
 * Deals whole patients. Where there is one patient only, whole slides or sections; where there is one section only, stripes
 * of its tissue, with a margin between them that belongs to no part. A pure function of the data set and the settings.
 *
 * @throws HistogradError `bad-option` (shares that leave nothing to learn from), `too-few` (one slide in all)
 */
export async function deal(dataset: Dataset, shares: Shares): Promise<Deal> {
  checkShares(shares);
  const { source, slideOfSample, summary } = dataset;
  const patientOf = source.slides.map(({ id, patient }) => patient ?? id);
  const slideOf = Array.from(slideOfSample, (slide) => summary.slides[slide]!.id);
  if (distinct(patientOf).length > 1) return dealUnits(patientOf, 'patients', shares, null);
  if (distinct(slideOf).length > 1) {
    return dealUnits(
      slideOf,
      'slides',
      shares,
      'There is one patient only, so whole slides were dealt: the scores say nothing about other patients.',
    );
  }
  if (summary.kind === 'spots') return dealStripes(dataset, shares);
  throw new HistogradError(
    'too-few',
    'There is one slide only: nothing would be left to learn from or to test on.',
    'Add slides with their expression.',
  );
}

/** The part of every slide of the data set; `unassigned` where its samples are in several, or in none. */
export function partsOfSlides(dataset: Dataset, samples: SampleSplit): SlideSummary['part'][] {
  const found = dataset.summary.slides.map(() => new Set<SlideSummary['part']>());
  for (const part of ['train', 'validation', 'test'] as const) {
    for (const sample of samples[part]) found[dataset.slideOfSample[sample]!]?.add(part);
  }
  return found.map((parts) => {
    const [only] = parts;
    return parts.size === 1 && only ? only : 'unassigned';
  });
}

function dealUnits(
  unitOf: readonly string[],
  unit: Split['unit'],
  shares: Shares,
  note: string | null,
): Deal {
  const units = distinct(unitOf);
  const counts = countParts(units.length, shares);
  const order = shuffle(units.length, shares.seed);
  const partOf = new Map(
    order.map((index, place) => [
      units[index]!,
      place < counts.test
        ? 'test'
        : place < counts.test + counts.validation
          ? 'validation'
          : 'train',
    ]),
  );
  const select = (part: string) =>
    unitOf.flatMap((name, sample) => (partOf.get(name) === part ? [sample] : []));
  const samples = {
    name: unit,
    train: select('train'),
    validation: select('validation'),
    test: select('test'),
  };
  const few =
    counts.validation === 0 && shares.validationFraction > 0
      ? `Two ${unit} are too few for a validation part.`
      : null;
  const notes = [note, few].filter((text) => text !== null);
  return { samples, split: { unit, ...counts, note: notes.join(' ') || null } };
}

/** Neighbouring spots look and express alike: far ends of the tissue are the least dishonest test that one section has. */
async function dealStripes(dataset: Dataset, shares: Shares): Promise<Deal> {
  const { x, y, size } = await dataset.places(0);
  const along = extent(x) >= extent(y) ? x : y;
  const margin = Math.max(2 * size, 0.02 * extent(along));
  const sign = shares.seed % 2 === 0 ? 1 : -1;
  const at = (spot: number) => sign * along[spot]!;
  const order = Array.from(along.keys()).sort((a, b) => at(a) - at(b) || a - b);
  const counts = countParts(order.length, shares);
  let rest = order;
  const take = (count: number): number[] => {
    const taken = rest.slice(0, count);
    const last = taken.at(-1);
    if (last !== undefined) rest = rest.slice(count).filter((spot) => at(spot) - at(last) > margin);
    return taken.sort((a, b) => a - b);
  };
  const test = take(counts.test);
  const validation = take(counts.validation);
  const train = take(rest.length);
  if (train.length === 0) {
    throw new HistogradError(
      'too-few',
      `The ${order.length} spots of this section are too few to keep its parts apart.`,
      'Use smaller test and validation parts, or add sections.',
    );
  }
  return {
    samples: { name: 'stripes', train, validation, test },
    split: {
      unit: 'spots',
      train: train.length,
      validation: validation.length,
      test: test.length,
      note: 'There is one section only, so stripes of its tissue were dealt, with a margin between them. That is optimistic: the scores say nothing about other sections or patients.',
    },
  };
}

/** Each part that is wanted gets at least one unit, but for validation where there are only two. */
function countParts(units: number, { testFraction, validationFraction }: Shares) {
  const wanted = (share: number) => (share === 0 ? 0 : Math.max(1, Math.round(share * units)));
  const test = Math.min(wanted(testFraction), units - 1);
  const validation = Math.min(wanted(validationFraction), units - test - 1);
  return { train: units - test - validation, validation, test };
}

function checkShares({ testFraction, validationFraction }: Shares): void {
  const fits = (share: number) => share >= 0 && share < 1;
  if (fits(testFraction) && fits(validationFraction) && testFraction + validationFraction < 1)
    return;
  throw new HistogradError(
    'bad-option',
    `The shares for test (${testFraction}) and validation (${validationFraction}) leave nothing to learn from.`,
    'Choose shares from 0 that sum to less than 1, for example 0.2 and 0.15.',
  );
}

function extent(values: Float32Array): number {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return most - least;
}

/** Sorted, so that the order of the samples does not matter. */
function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
