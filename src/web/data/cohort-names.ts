/** Slides, patients and samples of a cohort of feature files: who they are, and what belongs together. */
import { lineSplitter } from '../../data/line-splitter.ts';
import { badPatients, parsePatientTable } from '../../data/patient-table.ts';
import { defaultPatient, matchSamples, sampleMatcher } from '../../data/sample-match.ts';
import { HistogradError } from '../../errors.ts';
import { formatCount } from '../../report/format.ts';
import { type NamedFile, readText, stem, unpackedBytes } from './file-bytes.ts';
import type { Sniffed } from './found.ts';

export interface NamedSlide {
  readonly id: string;
  readonly patient: string;
}

/** Of larger tables only the header is looked at before they are opened. */
const NAMES_BYTES = 128 * 2 ** 20;
const MAX_LINE = 2 ** 25;
const MAX_PATIENT_BYTES = 16 * 2 ** 20;

/**
 * Slides by the names of their feature files, with their patients: those of the table, else TCGA's, else each slide its own.
 *
 * @throws HistogradError `bad-patients`
 */
export async function nameSlides(
  names: readonly string[],
  patients: NamedFile | undefined,
): Promise<NamedSlide[]> {
  if (!patients) return names.map((id) => ({ id, patient: defaultPatient(id) }));
  const table = parsePatientTable(await readText(patients, MAX_PATIENT_BYTES), patients.path);
  return names.map((id) => {
    const patient = table.get(id);
    if (patient === undefined) throw badPatients(patients.path, `slide ${id} is missing`);
    return { id, patient };
  });
}

/** Whose section it is, where no table says so: a patient's sections are named alike but for a number. */
export function patientOfSection(name: string): string {
  const tcga = /^TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}/i.exec(name)?.[0].toUpperCase();
  const numbered = /^(.+?)[_ -]*(?:section|sec|slice|replicate|rep)[_ -]*\w+$/i.exec(name)?.[1];
  // her2st: A1 to A6 are sections of patient A.
  return tcga ?? numbered ?? /^([A-Za-z]+)\d{1,2}$/.exec(name)?.[1] ?? name;
}

/** Which slides have expression. */
export interface Pairing {
  /** Row in the table of each slide; undefined where it has none. */
  readonly rows: readonly (number | undefined)[];
  /** What is left out, for the user. */
  readonly notes: readonly string[];
}

/**
 * @param table its file's name, for messages
 * @throws HistogradError `no-slides` when no slide has expression, and those of `matchSamples`
 */
export function pairSlides(
  slides: readonly NamedSlide[],
  samples: readonly string[],
  table: string,
): Pairing {
  const rows = matchSamples(slides, samples, table);
  const used = new Set(rows);
  const lonely = slides.filter((_, i) => rows[i] === undefined).map(({ id }) => id);
  const spare = samples.filter((_, row) => !used.has(row));
  if (lonely.length === slides.length) throw noSlides(slides, samples, table);
  const notes: string[] = [];
  if (lonely.length > 0) {
    notes.push(
      `${slides.length - lonely.length} of ${formatCount(slides.length, 'slide')} have expression; left out: ${some(lonely)}.`,
    );
  }
  if (spare.length > 0) {
    notes.push(
      `${formatCount(spare.length, 'sample')} of ${table} without a slide: ${some(spare)}.`,
    );
  }
  return { rows, notes };
}

/** What the names in a table say before its values are read. */
export async function peekTable(
  expression: Sniffed<'expression'>,
  slides: readonly NamedSlide[],
): Promise<{ note: string | null; genes: number | null }> {
  const { header, firstNames } = expression.table;
  const known = sampleMatcher(slides);
  const small = expression.file.size <= NAMES_BYTES;
  const rows = small ? await rowNames(expression) : firstNames;
  const inRows = rows.filter(known).length;
  const inColumns = header.filter(known).length;
  if (inRows === 0 && inColumns === 0) {
    // The rows of a large table are not all known yet.
    if (small) throw noSlides(slides, rows.length < header.length ? rows : header, expression.path);
    return { note: null, genes: null };
  }
  const genesAreRows = inColumns > inRows;
  const samples = genesAreRows ? header : rows;
  const genes = genesAreRows ? (small ? rows.length : null) : header.length;
  if (!small && !genesAreRows) return { note: null, genes };
  const { notes } = pairSlides(slides, samples, expression.path);
  return {
    note: notes.join(' ') || `expression of all ${formatCount(slides.length, 'slide')}`,
    genes,
  };
}

/** The first cell of every line but the first. */
async function rowNames(table: NamedFile): Promise<string[]> {
  const names: string[] = [];
  let lines = 0;
  let separator = ',';
  const splitter = lineSplitter(
    (line) => {
      if (line.trim() === '') return;
      if (lines++ === 0) {
        separator = /\.tsv(\.gz)?$/i.test(table.path) ? '\t' : firstSeparator(line);
      } else names.push(firstCell(line, separator));
    },
    MAX_LINE,
    () =>
      new HistogradError(
        'bad-expression',
        `${table.path} has a line of more than ${MAX_LINE} letters: it is no table.`,
        'Expected CSV or TSV: a header line, names in the first column, and a number in every other cell.',
      ),
  );
  for await (const bytes of unpackedBytes(table)) splitter.push(bytes);
  splitter.finish();
  return names;
}

function firstSeparator(line: string): string {
  const found = [',', '\t', ';'].filter((letter) => line.includes(letter));
  const count = (letter: string) => line.split(letter).length;
  return found.sort((a, b) => count(b) - count(a))[0] ?? ',';
}

function firstCell(line: string, separator: string): string {
  const quoted = /^\s*"((?:[^"]|"")*)"/.exec(line)?.[1];
  if (quoted !== undefined) return quoted.replaceAll('""', '"').trim();
  const end = line.indexOf(separator);
  return (end < 0 ? line : line.slice(0, end)).trim();
}

function noSlides(
  slides: readonly NamedSlide[],
  samples: readonly string[],
  table: string,
): HistogradError {
  return new HistogradError(
    'no-slides',
    `None of ${formatCount(slides.length, 'slide')} has expression in ${table}: the feature files are called ${some(slides.map(({ id }) => id))}; the table has ${some(samples)}.`,
    'Name the samples as the feature files (without their endings) or the patients are named, or add a CSV with the columns slide,patient.',
  );
}

function some(names: readonly string[]): string {
  return `${names
    .slice(0, 4)
    .map((name) => name.slice(0, 40))
    .join(', ')}${names.length > 4 ? ', …' : ''}`;
}

/** The id of a feature file's slide: its name without the ending. */
export function slideId(path: string): string {
  return stem(path);
}
