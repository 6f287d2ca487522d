/** What a set of files can become, and what is missing to it. */
import { HistogradError } from '../../errors.ts';
import { formatCount } from '../../report/format.ts';
import { stem } from './file-bytes.ts';
import { type Kind, ofKind, type Sniffed } from './found.ts';
import { filesOf, planSections, requireSections, type SectionPlan } from './plan-sections.ts';
import { planSlides, type SlidePlan } from './plan-slides.ts';

interface Aside {
  readonly model: Sniffed<'model'> | undefined;
  readonly weights: Sniffed<'weights'> | undefined;
  readonly patients: Sniffed<'patients'> | undefined;
}

export type Plan = Aside &
  (
    | {
        readonly opens: 'slides' | 'features-and-model';
        readonly features: readonly Sniffed<'features'>[];
        readonly expression: Sniffed<'expression'> | undefined;
        /** Pictures of the slides that the features are of. */
        readonly pictures: readonly SlidePlan[];
      }
    | {
        readonly opens: 'spots';
        readonly sections: readonly SectionPlan[];
        /** Of sections that are left out. */
        readonly problems: readonly string[];
      }
    | {
        readonly opens: 'slide-and-model';
        readonly slides: readonly SlidePlan[];
        readonly model: Sniffed<'model'>;
      }
  );

/** Any of these means sections with spots. */
const SPOTS: readonly Kind[] = [
  'positions',
  'scales',
  'matrix-10x',
  'mtx',
  'h5ad',
  'legacy-counts',
  'spot-file',
  'pack-sections',
];

/**
 * @throws HistogradError what is missing: `no-files`, `incomplete-section`, `no-expression`, `no-features`, `no-model`, `several-files`,
 *   `duplicate-slide`
 */
export async function planFiles(files: readonly Sniffed[]): Promise<Plan> {
  const features = ofKind(files, 'features');
  const pictures = ofKind(files, 'picture');
  const aside: Aside = {
    model: atMostOne(ofKind(files, 'model'), 'models'),
    weights: atMostOne(ofKind(files, 'weights'), 'weights files'),
    patients: atMostOne(ofKind(files, 'patients'), 'patient tables'),
  };
  if (files.some(({ is }) => SPOTS.includes(is))) {
    const plan = await planSections(files);
    requireSections(plan);
    return { ...aside, opens: 'spots', sections: plan.sections, problems: plan.problems };
  }
  const expression = atMostOne(ofKind(files, 'expression'), 'expression tables');
  if (features.length > 0) {
    checkNames(features);
    if (!expression && !aside.model) throw noExpression(features.length);
    const opens = expression ? 'slides' : 'features-and-model';
    const own = await planSlides(pictures);
    return { ...aside, opens, features, expression, pictures: own };
  }
  if (pictures.length > 0 && aside.model) {
    const slides = await planSlides(pictures);
    return { ...aside, opens: 'slide-and-model', slides, model: aside.model };
  }
  throw nothing(files, pictures.length, aside, expression);
}

/** The files that the plan reads. */
export function usedFiles(plan: Plan): ReadonlySet<Sniffed> {
  const aside = [plan.model, plan.weights, plan.patients].filter((file) => file !== undefined);
  switch (plan.opens) {
    case 'spots':
      return new Set([...plan.sections.flatMap(filesOf), ...aside]);
    case 'slide-and-model':
      return new Set([...plan.slides.flatMap(({ files }) => files), ...aside]);
    default: {
      const names = new Set(plan.features.map(({ path }) => stem(path)));
      const pictures = plan.pictures.filter(({ name }) => names.has(name));
      const table = plan.expression ? [plan.expression] : [];
      return new Set([
        ...plan.features,
        ...table,
        ...pictures.flatMap((slide) => slide.files),
        ...aside,
      ]);
    }
  }
}

function atMostOne<T extends Sniffed>(found: readonly T[], what: string): T | undefined {
  if (found.length < 2) return found[0];
  const names = found.map(({ path }) => path);
  throw new HistogradError(
    'several-files',
    `There are ${found.length} ${what}, expected one: ${names.slice(0, 4).join(', ')}${names.length > 4 ? ', …' : ''}.`,
    'Take out all but the one that belongs to the other files.',
  );
}

function checkNames(features: readonly Sniffed<'features'>[]): void {
  const seen = new Map<string, string>();
  for (const { path } of features) {
    const other = seen.get(stem(path));
    if (other !== undefined) {
      throw new HistogradError(
        'duplicate-slide',
        `Slide ${stem(path)} has two feature files: ${other} and ${path}.`,
        'Keep one of them, or drop a folder that holds one format only (CLAM: h5_files or pt_files).',
      );
    }
    seen.set(stem(path), path);
  }
}

function noExpression(count: number): HistogradError {
  return new HistogradError(
    'no-expression',
    `${formatCount(count, 'feature file')}, but no expression table and no model.`,
    'To train, add a CSV or TSV table of expression (a row per sample or per gene). To predict, add a trained model (best.safetensors).',
  );
}

function nothing(
  files: readonly Sniffed[],
  pictures: number,
  { model, weights }: Aside,
  expression: Sniffed | undefined,
): HistogradError {
  if (pictures > 0) {
    return new HistogradError(
      'no-model',
      `${formatCount(pictures, 'picture')}, but nothing to train on and no model.`,
      'To predict, add a trained model (best.safetensors). To train, add spots and counts of the section.',
    );
  }
  if (expression) {
    return new HistogradError(
      'no-features',
      `${expression.path} is an expression table, but there are no feature files for it.`,
      'Add the feature files of the slides (.h5 of CLAM, .safetensors, .npy, .pt), or the folder that holds them.',
    );
  }
  if (model) {
    return new HistogradError(
      'nothing-to-predict',
      `${model.path} is a trained model, but there is nothing to predict.`,
      'Add a slide, or the feature files of slides.',
    );
  }
  if (weights) {
    return new HistogradError(
      'nothing-to-describe',
      `${weights.path} holds the weights of a network, but there are no images for it.`,
      'Add a section with its spots and counts, or a slide and a trained model.',
    );
  }
  const first = files.find(({ is }) => is === 'ignored');
  const why = first?.is === 'ignored' && first.note ? ` ${first.path}: ${first.note}.` : '';
  return new HistogradError(
    'no-files',
    `${files.length === 0 ? 'There are no files.' : `None of ${formatCount(files.length, 'file')} can be used.`}${why}`,
    'Drop feature files with an expression table, a section with spots and counts, or a slide with a trained model.',
  );
}
