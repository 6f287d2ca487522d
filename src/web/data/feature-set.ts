/** Feature files with an expression table, or with a model. */
import type { ExpressionTable } from '../../data/expression-table.ts';
import { type ExpressionTransform, transformExpression } from '../../data/expression-transform.ts';
import { sharedSettings } from '../../data/feature-settings.ts';
import type { PatchFeatures } from '../../data/features.ts';
import { sampleMatcher } from '../../data/sample-match.ts';
import { HistogradError } from '../../errors.ts';
import { formatCount } from '../../report/format.ts';
import type { Places } from '../protocol.ts';
import type { Dataset, OnTask } from '../worker/dataset.ts';
import { assemble, type SlidePart } from './assemble.ts';
import { nameSlides, pairSlides, slideId } from './cohort-names.ts';
import { keepingReader, readFeatureFile } from './feature-files.ts';
import { baseName, readWhole } from './file-bytes.ts';
import { filePicture } from './file-picture.ts';
import type { Sniffed } from './found.ts';
import type { Plan } from './plan.ts';
import { readExpressionFile } from './read-expression.ts';
import { slideFiles } from './slide-mpp.ts';
import { SlidePool } from './slide-pool.ts';

type FeaturePlan = Extract<Plan, { opens: 'slides' | 'features-and-model' }>;

/** Larger values are counts or intensities, not logarithms. */
const LOG_BELOW = 64;
const MAX_MODEL_BYTES = 2 ** 30;

/**
 * @throws HistogradError those of `checkFeatures`, `nameSlides`, `pairSlides`, `readExpressionFile`, `readFeatureFile`
 */
export async function openFeatureSet(plan: FeaturePlan, onTask: OnTask): Promise<Dataset> {
  const notes: string[] = [];
  const { settings, warning } = checkFeatures(plan.features, plan.model);
  if (warning !== undefined) notes.push(`${warning}.`);
  const named = await nameSlides(
    plan.features.map(({ path }) => slideId(path)),
    plan.patients,
  );
  const labels = plan.expression ? await readLabels(plan.expression, named, onTask) : null;
  if (labels) notes.push(...labels.notes);

  const keep = keepingReader();
  const pool = new SlidePool();
  const slides: SlidePart[] = [];
  const used: number[] = [];
  for (const [i, file] of plan.features.entries()) {
    if (labels && labels.rows[i] === undefined) continue;
    const { id, patient } = named[i]!;
    const { rows } = file;
    const features = keep(() => readFeatureFile(file, file.format));
    const own = plan.pictures.find(({ name }) => name === id);
    const opened = own && (await filePicture(pool, slideFiles(own.files)));
    slides.push({
      id,
      patient,
      rows,
      features,
      places: async () => patchPlaces(await features()),
      picture: opened?.picture ?? null,
      mpp: opened?.mpp ?? null,
    });
    used.push(labels?.rows[i] ?? i);
  }
  await readAll(slides, onTask);
  const { width } = plan.features[0]!;
  const noPlace = await firstWithoutPlaces(slides);
  if (noPlace !== null) {
    notes.push(
      `${noPlace} does not say where its patches lie: maps show them in the order of the file.`,
    );
  }
  return assemble({
    title: titleOf(plan, slides.length),
    kind: labels ? 'slides' : 'unlabelled',
    // What `histograd demo` writes.
    simulated: (labels?.table.genes ?? []).some((gene) => gene.startsWith('SIM_')),
    slides,
    genes: labels?.table.genes ?? [],
    targets: labels && rowsOf(labels.table, used),
    transform: labels?.transform ?? 'none',
    unit: labels?.unit ?? 'predicted expression',
    features: { name: featureName(settings, plan.features[0]!), width },
    settings,
    notes,
    ...(plan.model && { model: await readModel(plan.model) }),
  });
}

/**
 * From the headers alone.
 *
 * @throws HistogradError `width-mismatch`, `mixed-features`
 */
export function checkFeatures(
  files: readonly Sniffed<'features'>[],
  model: Sniffed<'model'> | undefined,
) {
  const [first] = files;
  const other = files.find(({ width }) => width !== first?.width);
  if (first && other) {
    throw new HistogradError(
      'width-mismatch',
      `Feature widths differ: ${first.path} has ${first.width}, ${other.path} has ${other.width}.`,
      'All slides must come from the same feature extractor: take out the others.',
    );
  }
  if (first && model && model.width !== first.width) {
    throw new HistogradError(
      'width-mismatch',
      `${model.path} was trained on features of width ${model.width}; those of ${first.path} have ${first.width}.`,
      'Use features of the extractor that the model was trained with.',
    );
  }
  return sharedSettings(files);
}

interface Labels {
  readonly table: ExpressionTable;
  readonly rows: readonly (number | undefined)[];
  readonly transform: ExpressionTransform;
  readonly unit: string;
  readonly notes: readonly string[];
}

async function readLabels(
  file: Sniffed<'expression'>,
  slides: readonly { readonly id: string; readonly patient: string }[],
  onTask: OnTask,
): Promise<Labels> {
  const raw = await readExpressionFile(file, { knownSample: sampleMatcher(slides) }, onTask);
  const { rows, notes } = pairSlides(slides, raw.samples, file.path);
  const largest = raw.values.reduce((most, value) => Math.max(most, value), 0);
  const least = raw.values.reduce((low, value) => Math.min(low, value), 0);
  const logged = least < 0 || largest < LOG_BELOW;
  if (logged) {
    return { table: raw, rows, transform: 'none', unit: 'expression as in the table', notes };
  }
  return {
    table: transformExpression(raw, 'log2', file.path),
    rows,
    transform: 'log2',
    unit: 'log2(1 + expression)',
    notes: [
      ...notes,
      `The table has values up to ${Math.round(largest)}, so it is not logarithmic: log2(1 + x) is taken.`,
    ],
  };
}

function rowsOf({ values, genes }: ExpressionTable, rows: readonly number[]): Float32Array {
  const width = genes.length;
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    out.set(values.subarray(row * width, (row + 1) * width), i * width);
  }
  return out;
}

/** All are read once, and so checked: a training would come upon a bad test slide at its end. Those that fit stay in memory. */
async function readAll(slides: readonly SlidePart[], onTask: OnTask): Promise<void> {
  for (const [i, { features }] of slides.entries()) {
    onTask('Reading features', i, slides.length);
    await features();
  }
  onTask('Reading features', slides.length, slides.length);
}

/** Squares where the coordinates are; without coordinates a grid in the order of the rows. */
function patchPlaces({ rows, coords }: PatchFeatures): Omit<Places, 'slide'> {
  const names = Array.from({ length: rows }, (_, i) => `patch ${i + 1}`);
  if (!coords) {
    const columns = Math.ceil(Math.sqrt(rows));
    const at = (of: (i: number) => number) => Float32Array.from({ length: rows }, (_, i) => of(i));
    const x = at((i) => (i % columns) + 0.5);
    const y = at((i) => Math.floor(i / columns) + 0.5);
    return { shape: 'square', x, y, size: 1, names };
  }
  const size = patchSize(coords);
  const centres = (axis: number) =>
    Float32Array.from({ length: rows }, (_, i) => coords[2 * i + axis]! + size / 2);
  return { shape: 'square', x: centres(0), y: centres(1), size, names };
}

/** The usual distance of neighbours: the commonest gap between coordinates of one row, or of one column. */
function patchSize(coords: Float32Array): number {
  const gaps = new Map<number, number>();
  for (const axis of [0, 1]) {
    const lines = new Map<number, number[]>();
    for (let i = 0; i < coords.length; i += 2) {
      const line = coords[i + 1 - axis]!;
      const known = lines.get(line);
      if (known) known.push(coords[i + axis]!);
      else lines.set(line, [coords[i + axis]!]);
    }
    for (const values of lines.values()) {
      values.sort((a, b) => a - b);
      for (let i = 1; i < values.length; i++) {
        const gap = values[i]! - values[i - 1]!;
        if (gap > 0) gaps.set(gap, (gaps.get(gap) ?? 0) + 1);
      }
    }
  }
  // Of equally common ones the smallest: a gap may be several patches wide.
  const [best] = [...gaps].sort(([a, m], [b, n]) => n - m || a - b);
  return best?.[0] ?? 1;
}

/** A cohort comes from one extractor: its first slide tells. */
async function firstWithoutPlaces([first]: readonly SlidePart[]): Promise<string | null> {
  return first && !(await first.features()).coords ? first.id : null;
}

/** Errors: `too-large`, `not-readable`. */
export async function readModel(file: Sniffed<'model'>): Promise<NonNullable<Dataset['model']>> {
  return { name: baseName(file.path), bytes: await readWhole(file, MAX_MODEL_BYTES) };
}

function titleOf({ expression }: FeaturePlan, slides: number): string {
  const count = formatCount(slides, 'slide');
  return expression ? `${baseName(expression.path)}, ${count}` : count;
}

function featureName(
  settings: Readonly<Record<string, unknown>> | undefined,
  { path, format }: Sniffed<'features'>,
): string {
  const extractor = settings?.extractor;
  if (typeof extractor === 'string') return extractor;
  // CLAM and TRIDENT name the folder after the extractor.
  const folder = path.split('/').at(-2);
  return folder && !/^(h5|pt)_files$|^features$/i.test(folder) ? folder : `.${format} files`;
}
