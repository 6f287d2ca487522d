/** A cohort on disk: a folder of feature files, an expression table, and who the patients are. */
import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { HistogradError } from '../../errors.ts';
import { formatCount } from '../../report/format.ts';
import { type ExpressionOptions, type ExpressionTable, selectGenes } from '../expression-table.ts';
import { type ExpressionTransform, transformExpression } from '../expression-transform.ts';
import { type FeatureSettings, sharedSettings } from '../feature-settings.ts';
import { type FeatureOptions, featureFormat } from '../features.ts';
import { badPatients, parsePatientTable } from '../patient-table.ts';
import { defaultPatient, matchSamples, sampleMatcher } from '../sample-match.ts';
import { readExpressionTable } from './read-expression.ts';
import { readFeatureShape } from './read-features.ts';
import { readError, readText } from './read-file.ts';

/** One slide of a cohort. */
export interface CohortSlide {
  /** The feature file's name without its ending. */
  readonly id: string;
  readonly patient: string;
  /** The feature file. */
  readonly path: string;
  /** Number of patches. */
  readonly rows: number;
  /** Feature width; the same for all slides. */
  readonly width: number;
  /** How its features were made, in files of `histograd extract`; the same for all slides that have them, but for what is a slide's own. */
  readonly settings?: FeatureSettings;
}

/** Slides and their targets; memory does not grow with the features. */
export interface Cohort {
  /** Sorted by id. */
  readonly slides: readonly CohortSlide[];
  readonly genes: readonly string[];
  /** [slides, genes], row-major, transformed. */
  readonly targets: Float32Array<ArrayBuffer>;
  /** What was left out, in words for the user. */
  readonly warnings: readonly string[];
}

/** What to load. */
export interface CohortOptions extends FeatureOptions {
  /** Folder of feature files; its subfolders are searched too. */
  readonly features: string;
  /** Expression table (see `readExpressionTable`). */
  readonly expression: string;
  /** CSV with the columns `slide` and `patient`. */
  readonly patients?: string | undefined;
  /** Regular expression on the slide's id; its first group, else the whole match, is the patient. */
  readonly patientPattern?: string | undefined;
  /** Default `none`. */
  readonly transform?: ExpressionTransform | undefined;
  /** Keep these genes only, in this order. */
  readonly genes?: readonly string[] | undefined;
  readonly orientation?: ExpressionOptions['orientation'];
  /** For slides without expression and expression without slides: fail (default), or leave them out and say so. */
  readonly onMissing?: 'error' | 'skip' | undefined;
}

/**
 * Loads a cohort: lists the feature files, reads their headers, and pairs every slide with its expression (by slide id,
 * else patient; see `sample-match.ts` for TCGA). The patient of a slide is, in this order: what `patients` says, what
 * `patientPattern` finds, the TCGA barcode in its id, its id.
 *
 * @throws HistogradError `no-features`; `duplicate-slide` (one id, two files); `width-mismatch`; `mixed-features` (of other
 *   extractors or settings); `missing-expression`, `missing-slides` and `no-slides` (see `onMissing`); `bad-patients`; `bad-pattern`; and those of `readFeatureShape`,
 *   `readExpressionTable`, `selectGenes`, `transformExpression`, `matchSamples`
 */
export async function loadCohort(options: CohortOptions): Promise<Cohort> {
  const files = await listFeatureFiles(options.features);
  const patientOf = await patientLookup(options);
  const named = files.map((file) => ({ ...file, patient: patientOf(file.id) }));

  const table = await readExpressionTable(options.expression, {
    orientation: options.orientation,
    knownSample: sampleMatcher(named),
  });
  const rows = matchSamples(named, table.samples, options.expression);
  const warnings = checkPairs(named, rows, table, options);
  const paired = named.flatMap((slide, i) => {
    const row = rows[i];
    return row === undefined ? [] : [{ ...slide, row }];
  });

  const slides: CohortSlide[] = [];
  for (const { id, patient, path } of paired) {
    slides.push({ id, patient, path, ...(await readFeatureShape(path, options)) });
  }
  checkWidths(slides);
  const { warning } = sharedSettings(slides);
  if (warning !== undefined) warnings.push(warning);

  const used = transformExpression(
    options.genes ? selectGenes(table, options.genes, options.expression) : table,
    options.transform ?? 'none',
    options.expression,
  );
  const { genes } = used;
  const targets = new Float32Array(slides.length * genes.length);
  for (const [i, { row }] of paired.entries()) {
    targets.set(
      used.values.subarray(row * genes.length, (row + 1) * genes.length),
      i * genes.length,
    );
  }
  return { slides, genes, targets, warnings };
}

export async function listFeatureFiles(folder: string): Promise<{ id: string; path: string }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw readError(folder, cause);
  });
  const files = entries
    .filter(({ name }) => !name.startsWith('.') && featureFormat(name) !== undefined)
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map(({ name, parentPath }) => ({
      id: basename(name, extname(name)),
      path: join(parentPath, name),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  if (files.length === 0) {
    throw new HistogradError(
      'no-features',
      `${folder} holds no feature files (.h5, .hdf5, .npy, .safetensors, .pt).`,
      'Pass the folder that your feature extractor wrote.',
    );
  }
  const twice = files.findIndex((file, i) => file.id === files[i + 1]?.id);
  if (twice >= 0) {
    throw new HistogradError(
      'duplicate-slide',
      `Slide ${files[twice]?.id} has two feature files: ${files[twice]?.path} and ${files[twice + 1]?.path}.`,
      'Keep one of them, or pass a folder that holds one format only (CLAM: h5_files or pt_files).',
    );
  }
  return files;
}

async function patientLookup(options: CohortOptions): Promise<(id: string) => string> {
  const { patients: path, patientPattern } = options;
  if (path !== undefined) {
    const table = parsePatientTable(await readText(path), path);
    return (id) => {
      const patient = table.get(id);
      if (patient === undefined) throw badPatients(path, `slide ${id} is missing`);
      return patient;
    };
  }
  if (patientPattern === undefined) return defaultPatient;
  const pattern = compile(patientPattern);
  return (id) => {
    const match = pattern.exec(id);
    const patient = match?.[1] ?? match?.[0];
    if (patient) return patient;
    throw new HistogradError(
      'bad-pattern',
      `The patient pattern /${patientPattern}/ finds no patient in the slide id ${id}.`,
      'Correct the pattern, or pass a CSV with the columns slide,patient.',
    );
  };
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new HistogradError(
      'bad-pattern',
      `The patient pattern /${pattern}/ is not a regular expression: ${cause instanceof Error ? cause.message : cause}.`,
      'Correct it; for example ^([^_]+)_ takes what is before the first underscore.',
      { cause },
    );
  }
}

function checkPairs(
  slides: readonly { readonly id: string }[],
  rows: readonly (number | undefined)[],
  table: ExpressionTable,
  { expression, features, onMissing = 'error' }: CohortOptions,
): string[] {
  const used = new Set(rows);
  const lonelySlides = slides.filter((_, i) => rows[i] === undefined).map(({ id }) => id);
  const lonelySamples = table.samples.filter((_, row) => !used.has(row));
  const problems: string[] = [];
  if (lonelySlides.length > 0) {
    problems.push(
      `${formatCount(lonelySlides.length, 'slide')} in ${features} without expression in ${expression}: ${some(lonelySlides)}`,
    );
  }
  if (lonelySamples.length > 0) {
    problems.push(
      `${formatCount(lonelySamples.length, 'sample')} in ${expression} without a slide in ${features}: ${some(lonelySamples)}`,
    );
  }
  if (lonelySlides.length === slides.length) {
    throw new HistogradError(
      'no-slides',
      `No slide has expression: ${problems.join('; ')}.`,
      'Name the samples as the slides or patients are named, or pass a CSV with the columns slide,patient.',
    );
  }
  if (problems.length > 0 && onMissing === 'error') {
    throw new HistogradError(
      lonelySlides.length > 0 ? 'missing-expression' : 'missing-slides',
      `${problems.join('; ')}.`,
      'Add what is missing, or leave these out with --on-missing skip (option onMissing).',
    );
  }
  return problems.map((problem) => `${problem}; left out.`);
}

function checkWidths(slides: readonly CohortSlide[]): void {
  const [first] = slides;
  const other = slides.find(({ width }) => width !== first?.width);
  if (!first || !other) return;
  throw new HistogradError(
    'width-mismatch',
    `Feature widths differ: ${first.path} has ${first.width}, ${other.path} has ${other.width}.`,
    'All slides must come from the same feature extractor.',
  );
}

function some(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`;
}
