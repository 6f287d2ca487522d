/** What dropped files are and can become, from their headers. */
import './no-eval.ts';
import { HistogradError } from '../../errors.ts';
import type { DroppedFile, FileVerdict, Intake } from '../protocol.ts';
import { toEngineError } from '../worker/errors.ts';
import { nameSlides, peekTable, slideId } from './cohort-names.ts';
import { checkFeatures } from './feature-set.ts';
import type { Kind, Sniffed } from './found.ts';
import { geneCount } from './gene-count.ts';
import { type Plan, planFiles, usedFiles } from './plan.ts';
import { filesOf } from './plan-sections.ts';
import { knownMpp } from './slide-mpp.ts';
import { slideRules } from './slide-rules.ts';
import { sniff } from './sniff.ts';
import { leftOut } from './spot-set.ts';

/** Files that are looked at side by side. */
const SIDE_BY_SIDE = 8;
/** More than a cohort has; each is opened to see what it is. */
const MAX_FILES = 20_000;

/** Throws `too-many-files`. */
export async function sniffAll(files: readonly DroppedFile[]): Promise<Sniffed[]> {
  if (files.length > MAX_FILES) {
    throw new HistogradError(
      'too-many-files',
      `${files.length} files, expected at most ${MAX_FILES}.`,
      'Drop the folder that holds the data alone.',
    );
  }
  const found: Sniffed[] = [];
  for (let at = 0; at < files.length; at += SIDE_BY_SIDE) {
    found.push(...(await Promise.all(files.slice(at, at + SIDE_BY_SIDE).map(sniff))));
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

export async function inspect(dropped: readonly DroppedFile[]): Promise<Intake> {
  let files: Sniffed[] = [];
  try {
    files = await sniffAll(dropped);
    const plan = await planFiles(files);
    const used = usedFiles(plan);
    const { notes, genes } = await lookCloser(plan);
    return {
      files: files.map((file) => verdict(file, plan, used, notes.get(file) ?? null)),
      opens: plan.opens,
      problem: null,
      needsMpp: plan.opens === 'slide-and-model' && !(await knownMpp(plan.slides)),
      geneCount: genes,
    };
  } catch (cause) {
    if (!(cause instanceof HistogradError)) throw cause;
    return {
      files: files.map((file) => verdict(file, null, null, null)),
      opens: null,
      problem: toEngineError(cause),
      needsMpp: false,
      geneCount: null,
    };
  }
}

/** What belongs together and what does not; notes by file. */
async function lookCloser(
  plan: Plan,
): Promise<{ notes: Map<Sniffed, string>; genes: number | null }> {
  const notes = new Map<Sniffed, string>();
  if (plan.opens === 'spots') {
    const [first] = plan.sections;
    if (first && plan.problems.length > 0) {
      notes.set(filesOf(first)[0]!, leftOut(plan.problems));
    }
    return { notes, genes: first ? await geneCount(first) : null };
  }
  if (plan.opens === 'slide-and-model') {
    slideRules(plan);
    return { notes, genes: null };
  }
  checkFeatures(plan.features, plan.model);
  const slides = await nameSlides(
    plan.features.map(({ path }) => slideId(path)),
    plan.patients,
  );
  if (!plan.expression) return { notes, genes: null };
  const { note, genes } = await peekTable(plan.expression, slides);
  if (note !== null) notes.set(plan.expression, note);
  return { notes, genes };
}

const ROLES: Readonly<Record<Kind, FileVerdict['role']>> = {
  features: 'features',
  expression: 'expression',
  patients: 'patients',
  positions: 'spots',
  scales: 'spots',
  'matrix-10x': 'counts',
  mtx: 'counts',
  barcodes: 'counts',
  'feature-list': 'counts',
  h5ad: 'spots',
  'legacy-counts': 'counts',
  'spot-file': 'spots',
  alignment: 'spots',
  'pack-sections': 'spots',
  'pack-genes': 'counts',
  'pack-spots': 'spots',
  'pack-counts': 'counts',
  picture: 'section image',
  model: 'model',
  weights: 'weights',
  ignored: 'ignored',
};

function verdict(
  file: Sniffed,
  plan: Plan | null,
  used: ReadonlySet<Sniffed> | null,
  note: string | null,
): FileVerdict {
  const { path: name } = file;
  if (file.is === 'ignored') return { name, role: 'ignored', note: file.note };
  if (used && !used.has(file)) {
    return { name, role: 'ignored', note: `${DESCRIPTIONS[file.is]}: not needed here` };
  }
  const slide = file.is === 'picture' && plan?.opens !== 'spots';
  const role = slide ? 'slide' : ROLES[file.is];
  return { name, role, note: note ?? describe(file) };
}

const DESCRIPTIONS: Readonly<Record<Exclude<Kind, 'ignored'>, string>> = {
  features: 'features of patches',
  expression: 'a table of expression',
  patients: 'a table of patients',
  positions: 'Visium spot positions',
  scales: 'Visium scale factors',
  'matrix-10x': 'a 10x count matrix',
  mtx: 'a 10x count matrix',
  barcodes: '10x barcodes',
  'feature-list': '10x genes',
  h5ad: 'an .h5ad section',
  'legacy-counts': 'counts of spots called like 10x13',
  'spot-file': 'spot positions',
  alignment: 'an alignment of spots',
  'pack-sections': 'the sections of a pack',
  'pack-genes': 'the genes of a pack',
  'pack-spots': 'the spots of a pack',
  'pack-counts': 'counts of a pack',
  picture: 'a slide or image',
  model: 'a trained model',
  weights: 'weights of a network',
};

/** What a header says, where that helps. */
function describe(file: Sniffed): string | null {
  if (file.is === 'features') return `${file.rows} patches of width ${file.width}`;
  if (file.is === 'weights') return `weights of ${file.extractor}`;
  return null;
}
