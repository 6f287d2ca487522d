/**
 * Cross-validation splits by patient: all slides of a patient are in one part, so that no patient is learnt and tested.
 *
 * Everywhere here, `patients[i]` is the patient of slide i, and a split's numbers are slide indices in ascending order.
 */
import Papa from 'papaparse';
import { HistogradError } from '../errors.ts';
import { formatCount } from '../report/format.ts';
import { delimitedTextConfig } from './expression-table.ts';
import { shuffle } from './shuffle.ts';

/** One division of the slides; slides in no part are not used by it. */
export interface Split {
  readonly name: string;
  readonly train: number[];
  readonly validation: number[];
  readonly test: number[];
}

interface ValidationOptions {
  /** Same seed, same split, whatever order the slides come in. */
  readonly seed: number;
  /** The share of the training patients kept for validation, in [0, 1); at least one patient if above 0. Default 0. */
  readonly validationFraction?: number;
}

/**
 * Patient-level k-fold cross-validation: every slide is tested once. Folds have as equal numbers of slides as patients
 * allow: the largest patients are dealt first, in random order among equals, each to the fold with the fewest slides.
 *
 * @throws HistogradError `bad-folds` (not an integer from 2 to the number of patients), `bad-validation-fraction`
 */
export function kFoldSplits(
  patients: readonly string[],
  { folds, seed, validationFraction }: ValidationOptions & { readonly folds: number },
): Split[] {
  const unique = uniqueSorted(patients);
  if (!Number.isInteger(folds) || folds < 2 || folds > unique.length) {
    throw new HistogradError(
      'bad-folds',
      `${folds} folds do not suit ${formatCount(unique.length, 'patient')}: expected an integer from 2 to the number of patients.`,
      'Choose fewer folds, or leave one patient out at a time.',
    );
  }
  const foldOf = new Map<string, number>();
  const slides = new Map<string, number>();
  for (const patient of patients) slides.set(patient, (slides.get(patient) ?? 0) + 1);
  const dealt = shuffle(unique.length, seed)
    .map((index) => unique[index]!)
    .sort((a, b) => slides.get(b)! - slides.get(a)!);
  const sizes = new Array<number>(folds).fill(0);
  for (const patient of dealt) {
    const smallest = sizes.indexOf(Math.min(...sizes));
    foldOf.set(patient, smallest);
    sizes[smallest]! += slides.get(patient)!;
  }
  return Array.from({ length: folds }, (_, fold) =>
    holdOut(patients, `fold-${fold}`, (patient) => foldOf.get(patient) === fold, {
      seed,
      validationFraction,
      salt: fold,
    }),
  );
}

/**
 * One split per patient, named after it, with that patient's slides as the test part.
 *
 * @throws HistogradError `bad-folds` with fewer than two patients, `bad-validation-fraction`
 */
export function leaveOnePatientOut(
  patients: readonly string[],
  { seed, validationFraction }: ValidationOptions,
): Split[] {
  const unique = uniqueSorted(patients);
  if (unique.length < 2) {
    throw new HistogradError(
      'bad-folds',
      `Leaving one patient out needs at least two patients, found ${unique.length}.`,
      'Add slides of other patients, or check the patient table.',
    );
  }
  return unique.map((left, i) =>
    holdOut(patients, left, (patient) => patient === left, { seed, validationFraction, salt: i }),
  );
}

/**
 * Splits from a CSV (or TSV) with a header line, in one of two forms:
 *
 * - `slide,fold`: each fold, by name, is the test part once, the other folds train; `options` may keep training patients
 *   for validation;
 * - `slide,NAME,NAME,…`: each further column is one split of that name, its cells `train`, `validation` (or `val`),
 *   `test`, or empty for a slide that the split does not use.
 *
 * @throws HistogradError `bad-splits`: no such columns, an unknown word, a slide that is unknown, missing or given twice,
 *   a split without training or test slides; `patient-leak`: a patient in two parts of one split
 */
export function splitsFromCsv(
  text: string,
  slideIds: readonly string[],
  patients: readonly string[],
  options: ValidationOptions = { seed: 0 },
): Split[] {
  const { header, cells } = parseSplitTable(text, slideIds);
  const foldColumn = header.indexOf('fold');
  if (foldColumn >= 0 && header.length === 1) {
    const folds = slideIds.map((id) => cells.get(id)?.[0] ?? '');
    const names = uniqueSorted(folds);
    if (names.includes('')) throw bad('a slide has no fold');
    if (names.length < 2) throw bad('it has only one fold');
    const foldOf = new Map(patients.map((patient, i) => [patient, folds[i]]));
    const torn = patients.findIndex((patient, i) => foldOf.get(patient) !== folds[i]);
    if (torn >= 0) throw leak('The split table', patients[torn]!, 'two folds');
    return names.map((name, i) =>
      holdOut(patients, name, (patient) => foldOf.get(patient) === name, { ...options, salt: i }),
    );
  }
  return header.map((name, column) => {
    const parts = slideIds.map((id) => partOf(cells.get(id)?.[column] ?? '', name, id));
    const select = (part: string) => parts.flatMap((other, i) => (other === part ? [i] : []));
    const split: Split = {
      name,
      train: select('train'),
      validation: select('validation'),
      test: select('test'),
    };
    if (split.train.length === 0 || split.test.length === 0) {
      throw bad(
        `split ${name} has ${split.train.length} training and ${split.test.length} test slides`,
      );
    }
    checkPatients(split, patients);
    return split;
  });
}

/** @throws HistogradError `patient-leak` if a patient has slides in two parts of the split */
function checkPatients(split: Split, patients: readonly string[]): void {
  const partOfPatient = new Map<string, string>();
  for (const part of ['train', 'validation', 'test'] as const) {
    for (const slide of split[part]) {
      const patient = patients[slide]!;
      const other = partOfPatient.get(patient) ?? part;
      if (other !== part) throw leak(`Split ${split.name}`, patient, `both ${other} and ${part}`);
      partOfPatient.set(patient, part);
    }
  }
}

function holdOut(
  patients: readonly string[],
  name: string,
  isTest: (patient: string) => boolean,
  { seed, validationFraction = 0, salt }: ValidationOptions & { readonly salt: number },
): Split {
  if (!(validationFraction >= 0 && validationFraction < 1)) {
    throw new HistogradError(
      'bad-validation-fraction',
      `The validation fraction is ${validationFraction}; expected 0 <= fraction < 1.`,
      'Use 0 for no validation part, or for example 0.1.',
    );
  }
  const rest = uniqueSorted(patients.filter((patient) => !isTest(patient)));
  const wanted =
    validationFraction === 0 ? 0 : Math.max(1, Math.round(validationFraction * rest.length));
  if (wanted >= rest.length) {
    throw new HistogradError(
      'bad-validation-fraction',
      `Split ${name}: a validation fraction of ${validationFraction} leaves none of its ${formatCount(rest.length, 'patient')} to train on.`,
      'Use a smaller fraction, or 0 for no validation part.',
    );
  }
  // Salted, so that the folds do not all validate on the patients whose names come first; +1 keeps clear of epoch 0.
  const validation = new Set(
    shuffle(rest.length, seed, salt + 1)
      .slice(0, wanted)
      .map((index) => rest[index]!),
  );
  const split: Split = { name, train: [], validation: [], test: [] };
  for (const [slide, patient] of patients.entries()) {
    const part = isTest(patient) ? 'test' : validation.has(patient) ? 'validation' : 'train';
    split[part].push(slide);
  }
  return split;
}

function parseSplitTable(text: string, slideIds: readonly string[]) {
  const { data } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ''), delimitedTextConfig('splits'));
  const [header, ...rows] = data.map((row) => row.map((cell) => cell.trim()));
  if (header?.[0] !== 'slide' || header.length < 2) {
    throw bad(`its header is '${header?.join(',') ?? ''}'`);
  }
  const known = new Set(slideIds);
  const cells = new Map<string, string[]>();
  for (const [id = '', ...row] of rows) {
    if (!known.has(id)) throw bad(`slide '${id}' is not in the cohort`);
    if (cells.has(id)) throw bad(`slide '${id}' is given twice`);
    if (row.length !== header.length - 1)
      throw bad(`the line of slide '${id}' has ${row.length + 1} cells`);
    cells.set(id, row);
  }
  const missing = slideIds.filter((id) => !cells.has(id));
  if (missing.length > 0) {
    throw bad(
      `${formatCount(missing.length, 'slide')} of the cohort missing: ${missing.slice(0, 5).join(', ')}`,
    );
  }
  return { header: header.slice(1), cells };
}

function partOf(cell: string, split: string, id: string): keyof Omit<Split, 'name'> | '' {
  const word = cell.toLowerCase();
  if (word === 'train' || word === 'test' || word === 'validation' || word === '') return word;
  if (word === 'val') return 'validation';
  throw bad(`split ${split} says '${cell}' for slide '${id}'`);
}

/** Sorted, so that the result does not depend on the order of the slides. */
function uniqueSorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function bad(problem: string): HistogradError {
  return new HistogradError(
    'bad-splits',
    `The split table cannot be used: ${problem}.`,
    "Expected CSV with a header 'slide,fold', or 'slide' and one column per split holding train, validation, test or nothing, with every slide of the cohort once; or 'fold,slide,part' with a line per slide and fold.",
  );
}

function leak(where: string, patient: string, parts: string): HistogradError {
  return new HistogradError(
    'patient-leak',
    `${where} has slides of patient ${patient} in ${parts}.`,
    'Keep all slides of a patient in one part, or the test scores are too good to be true.',
  );
}
