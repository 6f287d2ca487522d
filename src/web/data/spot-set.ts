/** Sections of spatial transcriptomics: a sample per spot, described by the crop around it. */
import { transformExpression } from '../../data/expression-transform.ts';
import { takeRows } from '../../data/sparse-rows.ts';
import { spotCrops } from '../../data/spot-crops.ts';
import {
  keepSpots,
  type SpotSection,
  selectSpotGenes,
  spotExpression,
  topGenes,
} from '../../data/spots.ts';
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { formatCount } from '../../report/format.ts';
import type { OpenOptions } from '../protocol.ts';
import type { Dataset, OnTask } from '../worker/dataset.ts';
import { assemble, type SlidePart } from './assemble.ts';
import { nameSlides, patientOfSection } from './cohort-names.ts';
import { networkDescriber, statisticsDescriber, type TileDescriber } from './describe-tiles.ts';
import { readModel } from './feature-set.ts';
import { filePicture } from './file-picture.ts';
import type { Plan } from './plan.ts';
import type { SectionPlan } from './plan-sections.ts';
import { type ReadSection, readSection } from './read-section.ts';
import { SlidePool } from './slide-pool.ts';
import { type SpotScale, spotPitch, spotScale } from './spot-scale.ts';
import { tileRules } from './tile-rules.ts';

type SpotPlan = Extract<Plan, { opens: 'spots' }>;

/** Enough for a map of what varies, and quick to train; what most papers on spots report. */
const DEFAULT_GENES = 250;
/** Genes of a section that stay in memory until those of all sections are compared. */
const LEAST_KEPT = 1000;
const PER_LIBRARY = 10_000;
/** Rows of spots that are cut together, in pixels: compressed images are read strip by strip. */
const STRIP = 256;

/**
 * @throws HistogradError `too-few-genes`, `no-shared-genes`, `spots-outside`, and those of `readSection`, `spotScale`, `nameSlides` and
 *   of the describer
 */
export async function openSpotSet(
  plan: SpotPlan,
  options: OpenOptions,
  device: Device,
  onTask: OnTask,
): Promise<Dataset> {
  checkGenes(options.genes);
  const notes: string[] = plan.problems.length > 0 ? [leftOut(plan.problems)] : [];
  const pool = new SlidePool();
  const describer = plan.weights
    ? await networkDescriber(device, plan.weights)
    : statisticsDescriber();
  try {
    const read = await readSections(plan.sections, options, notes, onTask);
    const sections = read.map(({ section }) => section);
    const genes = chooseGenes(read, options.genes, notes);
    const rules = plan.model && tileRules(plan.model.features, plan.model.path);
    const scale = spotScale(sections, describer.size, rules);
    const patients = await patientsOf(plan, notes);
    const targets = expressionOf(sections, genes);
    const slides: SlidePart[] = [];
    const total = sections.reduce((sum, { spots }) => sum + spots.length, 0);
    let done = 0;
    for (const [i, { section, image }] of read.entries()) {
      const features = await describeSection(pool, read[i]!, { scale, index: i }, describer, (of) =>
        onTask('Describing spots', done + of, total),
      );
      done += section.spots.length;
      const { picture, mpp } = await filePicture(pool, image);
      slides.push({
        ...spotPart(section, features, describer.width),
        patient: patients[i]!,
        picture,
        mpp: section.mpp ?? mpp,
      });
    }
    return assemble({
      title: titleOf(sections),
      kind: 'spots',
      simulated: false,
      slides,
      genes,
      targets,
      transform: 'log2',
      unit: 'log2(1 + counts per 10,000)',
      features: { name: describer.name, width: describer.width },
      settings: { ...describer.settings, tiling: scale.tiling },
      notes,
      ...(plan.model && { model: await readModel(plan.model) }),
    });
  } catch (cause) {
    await pool.close();
    throw cause;
  } finally {
    describer.close();
  }
}

interface SectionInMemory extends ReadSection {
  /** Of the files: the section has its most expressed ones alone. */
  readonly genes: readonly string[];
}

/** The others take most of the memory, and none of them would be chosen. */
function onlyMostExpressed(section: SpotSection, asked = DEFAULT_GENES): SpotSection {
  const count = Math.max(LEAST_KEPT, 2 * asked);
  return section.genes.length > count
    ? selectSpotGenes(section, topGenes([section], count))
    : section;
}

async function readSections(
  plans: readonly SectionPlan[],
  { mpp, genes }: OpenOptions,
  notes: string[],
  onTask: OnTask,
): Promise<SectionInMemory[]> {
  const sections: SectionInMemory[] = [];
  for (const [i, plan] of plans.entries()) {
    onTask('Reading counts', i, plans.length);
    const { section, image } = await readSection(plan);
    const counted = keepSpots(section, (_, total) => total > 0);
    const empty = section.spots.length - counted.spots.length;
    const about = plans.length > 1 ? `${section.name}: ` : '';
    notes.push(...section.notes.map((note) => `${about}${note}`));
    if (empty > 0) {
      notes.push(`${about}${formatCount(empty, 'spot')} without counts left out.`);
    }
    if (counted.spots.length === 0) throw noCounts(section);
    const named = { ...inStrips(counted), name: plan.name, ...(mpp !== undefined && { mpp }) };
    sections.push({ section: onlyMostExpressed(named, genes), image, genes: section.genes });
  }
  onTask('Reading counts', plans.length, plans.length);
  return sections;
}

/** Spots in the order in which their pixels lie in the image. */
function inStrips(section: SpotSection): SpotSection {
  const { spots, counts, totals } = section;
  const strip = (i: number) => Math.floor(spots[i]!.y / STRIP);
  const order = [...spots.keys()].sort((a, b) => strip(a) - strip(b) || spots[a]!.x - spots[b]!.x);
  return {
    ...section,
    spots: order.map((i) => spots[i]!),
    counts: takeRows(counts, order),
    ...(totals && { totals: Float32Array.from(order, (i) => totals[i]!) }),
  };
}

function chooseGenes(
  read: readonly SectionInMemory[],
  asked: number | undefined,
  notes: string[],
): string[] {
  const sections = read.map(({ section }) => section);
  const shared = sharedNames(read.map(({ genes }) => genes));
  const kept = sharedNames(sections.map(({ genes }) => genes));
  if (kept.length === 0) throw noSharedGenes(sections);
  const count = Math.min(asked ?? DEFAULT_GENES, kept.length);
  if (count < shared.length) {
    notes.push(`The ${count} most expressed of ${formatCount(shared.length, 'gene')}.`);
  }
  return topGenes(sections, count);
}

function sharedNames([first = [], ...others]: readonly (readonly string[])[]): string[] {
  const sets = others.map((names) => new Set(names));
  return first.filter((name) => sets.every((set) => set.has(name)));
}

/** Throws `bad-option`. */
function checkGenes(asked: number | undefined): void {
  if (asked === undefined || (Number.isInteger(asked) && asked >= 1)) return;
  throw new HistogradError(
    'bad-option',
    `The number of genes is ${asked}, expected a whole number from 1 up.`,
    `Choose another number, for example ${DEFAULT_GENES}.`,
  );
}

/** log2(1 + counts per 10,000 of the spot's library), section after section. */
function expressionOf(sections: readonly SpotSection[], genes: readonly string[]): Float32Array {
  const tables = sections.map((section) =>
    transformExpression(spotExpression(section, genes, PER_LIBRARY), 'log2', section.name),
  );
  const all = new Float32Array(tables.reduce((sum, { values }) => sum + values.length, 0));
  let at = 0;
  for (const { values } of tables) {
    all.set(values, at);
    at += values.length;
  }
  return all;
}

async function patientsOf(
  { sections, patients }: SpotPlan,
  notes: string[],
): Promise<readonly string[]> {
  if (patients) {
    const named = await nameSlides(
      sections.map(({ name }) => name),
      patients,
    );
    return named.map(({ patient }) => patient);
  }
  const found = sections.map((section) =>
    section.from === 'pack' ? section.patient : patientOfSection(section.name),
  );
  const guessed = sections.find(
    (section, i) => section.from !== 'pack' && found[i] !== section.name,
  );
  if (guessed) {
    notes.push(
      `Patients are guessed from the names of the sections (${guessed.name} is of ${patientOfSection(guessed.name)}); a CSV with the columns slide,patient says it better.`,
    );
  }
  return found;
}

async function describeSection(
  pool: SlidePool,
  { section, image }: ReadSection,
  { scale, index }: { scale: SpotScale; index: number },
  describer: TileDescriber,
  onSpots: (done: number) => void,
): Promise<Float32Array<ArrayBuffer>> {
  return pool.use(image, async (slide) => {
    const zoom = scale.zooms[index]!;
    // A zoom of pixels, whatever they measure.
    const crops = spotCrops(slide, section, { size: scale.size, mpp: zoom, mppOverride: 1 });
    const next = async () => {
      const { value } = await crops.next();
      if (value) return value.image;
      throw new Error('there are fewer crops than spots');
    };
    try {
      return await describer.describe(section.spots.length, next, onSpots);
    } finally {
      await crops.return(undefined);
    }
  });
}

function spotPart(section: SpotSection, features: Float32Array<ArrayBuffer>, width: number) {
  const { spots, name } = section;
  const rows = spots.length;
  return {
    id: name,
    rows,
    features: async () => ({ features, rows, width }),
    places: async () => ({
      shape: 'circle' as const,
      x: Float32Array.from(spots, ({ x }) => x),
      y: Float32Array.from(spots, ({ y }) => y),
      size: section.spotDiameter ?? spotPitch(section) * 0.7,
      names: spots.map(({ id }) => id),
    }),
  };
}

/** A pack may have dozens of sections without an image. */
export function leftOut(problems: readonly string[]): string {
  const more = problems.length > 3 ? `, and ${problems.length - 3} more` : '';
  return `Left out: ${problems.slice(0, 3).join('; ')}${more}.`;
}

function titleOf(sections: readonly SpotSection[]): string {
  const names = sections.map(({ name }) => name);
  return names.length <= 3 ? names.join(', ') : `${formatCount(names.length, 'section')}`;
}

function noCounts({ name, spots }: SpotSection): HistogradError {
  return new HistogradError(
    'empty-spot',
    `None of the ${spots.length} spots of section ${name} has counts.`,
    'Check that its matrix is the one of this section.',
  );
}

function noSharedGenes(sections: readonly SpotSection[]): HistogradError {
  const names = sections.map(({ name, genes }) => `${name} (${genes.slice(0, 3).join(', ')}, …)`);
  return new HistogradError(
    'no-shared-genes',
    `The sections have no gene in common: ${names.slice(0, 3).join('; ')}.`,
    'Open sections of one species whose genes are named in the same way.',
  );
}
