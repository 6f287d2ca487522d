/** Whole slides with a trained model: cut into tiles as the model's slides were, and described in the same way. */

import type { FeatureSettings } from '../../data/feature-settings.ts';
import { HistogradError } from '../../errors.ts';
import { noTissue } from '../../extraction/extract-features.ts';
import { readStained } from '../../extraction/tile-task.ts';
import type { Device } from '../../gpu/device.ts';
import { formatCount } from '../../report/format.ts';
import { type SelectOptions, selectedTiles, selectTiles } from '../../slides/select-tiles.ts';
import type { Slide } from '../../slides/slide.ts';
import { planTiles, type TilingOptions } from '../../slides/tiling.ts';
import type { OpenOptions } from '../protocol.ts';
import type { Dataset, OnTask } from '../worker/dataset.ts';
import { assemble, type SlidePart } from './assemble.ts';
import { nameSlides } from './cohort-names.ts';
import { networkDescriber, statisticsDescriber, type TileDescriber } from './describe-tiles.ts';
import { readModel } from './feature-set.ts';
import { filePicture } from './file-picture.ts';
import type { Sniffed } from './found.ts';
import type { Plan } from './plan.ts';
import { slideFiles } from './slide-mpp.ts';
import { SlidePool } from './slide-pool.ts';
import { slideRules } from './slide-rules.ts';
import type { TileRules } from './tile-rules.ts';

type ModelPlan = Extract<Plan, { opens: 'slide-and-model' }>;

/** As `histograd extract` without options. */
const DEFAULT_MPP = 0.5;

/**
 * @throws HistogradError `weights-needed`, `other-extractor`, `width-mismatch`, `unknown-scale`, `slide-mpp`, `no-tissue`, `odd-features`,
 *   and those of the readers
 */
export async function openSlideSet(
  plan: ModelPlan,
  options: OpenOptions,
  device: Device,
  onTask: OnTask,
): Promise<Dataset> {
  const { model } = plan;
  const { rules, weights } = slideRules(plan);
  const notes: string[] = [];
  const describer = await describerFor(plan, weights, device);
  const pool = new SlidePool();
  try {
    const tiling = tilingOf(rules, describer, notes);
    const named = await nameSlides(
      plan.slides.map(({ name }) => name),
      plan.patients,
    );
    const slides: SlidePart[] = [];
    for (const [i, { files }] of plan.slides.entries()) {
      const source = slideFiles(files);
      const about =
        plan.slides.length > 1 ? `${named[i]!.id}: describing tiles` : 'Describing tiles';
      const part = await pool.use(source, (slide) =>
        describeSlide(slide, { tiling, rules, options, notes }, describer, (done, total) =>
          onTask(about, done, total),
        ),
      );
      const { picture } = await filePicture(pool, source);
      slides.push({ ...part, ...named[i]!, picture });
    }
    return assemble({
      title: named
        .map(({ id }) => id)
        .slice(0, 3)
        .join(', '),
      kind: 'unlabelled',
      simulated: false,
      slides,
      genes: [],
      targets: null,
      transform: 'none',
      unit: 'predicted expression',
      features: { name: describer.name, width: describer.width },
      settings: settingsOf(model.features, describer, tiling),
      notes,
      model: await readModel(model),
    });
  } catch (cause) {
    await pool.close();
    throw cause;
  } finally {
    describer.close();
  }
}

/** Throws `width-mismatch`, and those of `networkDescriber`. */
async function describerFor(
  { model }: ModelPlan,
  weights: Sniffed<'weights'> | null,
  device: Device,
): Promise<TileDescriber> {
  if (!weights) return statisticsDescriber();
  const describer = await networkDescriber(device, weights);
  if (describer.width === model.width) return describer;
  describer.close();
  throw new HistogradError(
    'width-mismatch',
    `${model.path} was trained on features of width ${model.width}; ${weights.path} (${describer.name}) gives ${describer.width}.`,
    'Drop the weights of the network that the model was trained with.',
  );
}

function tilingOf(
  rules: TileRules | undefined,
  { size, name }: TileDescriber,
  notes: string[],
): TilingOptions {
  const known = rules?.tiling;
  if (!known) {
    notes.push(
      `The model does not say how its tiles were cut: ${size} pixels at ${DEFAULT_MPP} µm per pixel are assumed, described by ${name}.`,
    );
    return { size, mpp: DEFAULT_MPP };
  }
  const { mpp = DEFAULT_MPP, overlap, edge } = known;
  return {
    size: known.size,
    mpp,
    ...(overlap !== undefined && { overlap }),
    ...(edge && { edge }),
  };
}

async function describeSlide(
  slide: Slide,
  context: {
    tiling: TilingOptions;
    rules: TileRules | undefined;
    options: OpenOptions;
    notes: string[];
  },
  describer: TileDescriber,
  onTiles: (done: number, total: number) => void,
): Promise<Pick<SlidePart, 'rows' | 'features' | 'places' | 'mpp'>> {
  const { tiling, rules, options, notes } = context;
  const mppOverride = slide.mpp ?? options.mpp;
  const plan = planTiles(slide, { ...tiling, ...(mppOverride !== undefined && { mppOverride }) });
  if (plan.upsampled) {
    notes.push(
      `${slide.name} has ${plan.slideMpp} µm per pixel, coarser than the ${plan.mpp} of the model’s tiles: they are enlarged.`,
    );
  }
  onTiles(0, plan.tiles.length);
  const selection = await selectTiles(slide, plan, selectOptions(rules));
  const tiles = selectedTiles(plan, selection);
  if (tiles.length === 0) throw noTissue(slide, plan);
  notes.push(
    `${slide.name}: ${tiles.length} of ${formatCount(plan.tiles.length, 'tile')} have tissue.`,
  );
  const normalise = rules?.stain === 'macenko';
  const read = (i: number) => readStained(slide, { plan, tile: tiles[i]!, normalise });
  const features = await describer.describe(tiles.length, read, (done) =>
    onTiles(done, tiles.length),
  );
  const rows = tiles.length;
  const half = plan.side / 2;
  return {
    rows,
    mpp: plan.slideMpp,
    features: async () => ({ features, rows, width: describer.width }),
    places: async () => ({
      shape: 'square',
      size: plan.side,
      x: Float32Array.from(tiles, ({ x }) => x + half),
      y: Float32Array.from(tiles, ({ y }) => y + half),
      names: tiles.map(({ column, row }) => `tile ${column + 1}, ${row + 1}`),
    }),
  };
}

function selectOptions(rules: TileRules | undefined): SelectOptions {
  const { tissue, minTissue, selector, keep } = rules?.select ?? {};
  return {
    ...(tissue && { tissue }),
    ...(minTissue !== undefined && { minTissue }),
    ...(selector && { selector }),
    ...(keep && { keep }),
  };
}

/** What the model's features say, since they are made again: but for the network's own part, which is compared. */
function settingsOf(
  wanted: FeatureSettings | undefined,
  describer: TileDescriber,
  tiling: TilingOptions,
): FeatureSettings {
  return wanted ? { ...wanted, ...describer.settings } : { ...describer.settings, tiling };
}
