/** What an open model says of the open data: scores, scatter plots, maps, attention. Predictions are kept, within bounds. */
import { HistogradError } from '../../errors.ts';
import type { Device } from '../../gpu/device.ts';
import { evaluatePredictions } from '../../metrics/evaluate.ts';
import { predictBag, predictPatches, predictSlides } from '../../training/predict.ts';
import type { TrainedModel } from '../../training/trained-model.ts';
import type { GeneMap, GeneScatter, GeneScore, Scores } from '../protocol.ts';
import { ByteCache } from './byte-cache.ts';
import type { Dataset, OnTask } from './dataset.ts';
import type { OpenModel } from './open-model.ts';
import { pickColumns, rowsPerBatch } from './settings.ts';

/** Predictions of places that are kept. */
const CACHE_BYTES = 96 * 2 ** 20;
/** Larger ones are not kept whole: only the genes asked for. */
const WHOLE_VALUES = 8 * 2 ** 20;

/** Predicted and, where they are known, observed values of some samples; both [samples, genes]. */
export interface ScoredSamples {
  readonly part: Scores['part'];
  readonly samples: readonly number[];
  readonly names: readonly string[];
  /** Of the model. */
  readonly genes: readonly string[];
  readonly predicted: Float32Array;
  /** Columns of `genes` whose truth is known, and that truth [samples, known]. */
  readonly known: readonly number[];
  readonly observed: Float32Array;
}

export interface ScoredPart {
  readonly part: Scores['part'];
  readonly samples: readonly number[];
}

export class Results {
  readonly #model: OpenModel;
  readonly #dataset: Dataset;
  readonly #part: ScoredPart;
  readonly #onTask: OnTask;
  #scored: Promise<ScoredSamples> | null = null;
  readonly #bags = new Map<
    number,
    Promise<{ expression: Float32Array; attention: Float32Array | null }>
  >();
  readonly #maps = new ByteCache(CACHE_BYTES);

  constructor(model: OpenModel, dataset: Dataset, part: ScoredPart, onTask: OnTask) {
    this.#model = model;
    this.#dataset = dataset;
    this.#part = part;
    this.#onTask = onTask;
  }

  /** Predictions of the samples that are scored; none where there is no truth. */
  scored(): Promise<ScoredSamples> {
    this.#scored ??= this.#predictScored();
    this.#scored.catch(() => {
      this.#scored = null;
    });
    return this.#scored;
  }

  async scores(): Promise<Scores> {
    const { part, samples, names, genes, predicted, known, observed } = await this.scored();
    const rows: GeneScore[] = genes.map((gene) => ({ gene, pearson: NaN, q: NaN, mse: NaN }));
    if (samples.length === 0 || known.length === 0) {
      return { part, samples: 0, genes: rows, meanPearson: NaN, reachable: null };
    }
    const own = pickColumns(predicted, genes.length, known);
    const { meanPearson, pooled } = evaluatePredictions({
      genes: known.map((g) => genes[g]!),
      folds: [{ name: part, slides: names, observed, predicted: own }],
    });
    for (const [column, g] of known.entries()) {
      const [pearson, q] = [pooled.pearson[column]!, pooled.q[column]!];
      const mse = squaredError(observed, own, column, known.length);
      rows[g] = { gene: genes[g]!, pearson, q, mse };
    }
    const reachable = this.#dataset.reachable(samples);
    return { part, samples: samples.length, genes: rows, meanPearson, reachable };
  }

  async scatter(gene: string): Promise<GeneScatter> {
    const { samples, names, genes, predicted, known, observed } = await this.scored();
    const column = genes.indexOf(gene);
    const truth = known.indexOf(column);
    if (truth < 0) throw unknownGene(gene, 'is not both predicted and measured');
    return {
      gene,
      samples: names,
      ...this.#whereSamplesLie(samples),
      observed: pickColumns(observed, known.length, [truth]).slice(),
      predicted: pickColumns(predicted, genes.length, [column]).slice(),
    };
  }

  async map(id: string, gene: string): Promise<GeneMap> {
    const { summary, targets } = this.#dataset;
    const slide = slideIndex(this.#dataset, id);
    const truth = summary.genes.indexOf(gene);
    const genes = await this.#model.use(async (_, trained) => trained.genes);
    const column = genes.indexOf(gene);
    if (column < 0 && truth < 0) throw unknownGene(gene, 'is neither predicted nor measured');
    const spots = summary.kind === 'spots';
    const sample = this.#dataset.slideOfSample.indexOf(slide);
    const measured = truth >= 0 && targets !== null && !spots && sample >= 0;
    return {
      slide: id,
      gene,
      predicted: column < 0 ? null : await this.#atPlaces(slide, column, genes.length),
      observed: truth < 0 ? null : this.#dataset.observed(slide, truth),
      slidePredicted: column < 0 || spots ? null : (await this.#bag(slide)).expression[column]!,
      slideObserved: measured ? targets[sample * summary.genes.length + truth]! : null,
    };
  }

  async attention(id: string): Promise<Float32Array | null> {
    const slide = slideIndex(this.#dataset, id);
    // A spot is a bag of one patch: all of the attention is on it.
    return this.#dataset.summary.kind === 'spots' ? null : (await this.#bag(slide)).attention;
  }

  async #predictScored(): Promise<ScoredSamples> {
    const { source, summary, targets } = this.#dataset;
    const { part } = this.#part;
    const samples = targets ? this.#part.samples : [];
    const label = part === 'test' ? 'Predicting the test part' : 'Predicting all samples';
    return this.#model.use(async (device, trained) => {
      const { genes } = trained;
      const predicted = new Float32Array(samples.length * genes.length);
      const rows = rowsPerBatch(this.#dataset, genes.length);
      let done = 0;
      for await (const { expression } of predictSlides(device, trained, source, samples, rows)) {
        predicted.set(expression, done++ * genes.length);
        this.#onTask(label, done, samples.length);
      }
      const columnOf = new Map(summary.genes.map((name, column) => [name, column]));
      const known = genes.flatMap((name, g) => (columnOf.has(name) ? [g] : []));
      const observed = new Float32Array(samples.length * known.length);
      for (const [i, sample] of samples.entries()) {
        for (const [j, g] of known.entries()) {
          const column = columnOf.get(genes[g]!)!;
          observed[i * known.length + j] = targets![sample * summary.genes.length + column]!;
        }
      }
      const names = samples.map((sample) => source.slides[sample]!.id);
      return { part, samples, names, genes, predicted, known, observed };
    });
  }

  #whereSamplesLie(samples: readonly number[]): Pick<GeneScatter, 'slides' | 'places'> {
    const { slideOfSample, summary } = this.#dataset;
    const slides = Uint32Array.from(samples, (sample) => slideOfSample[sample]!);
    if (summary.kind !== 'spots') return { slides, places: null };
    // A slide's samples come in the order of its places.
    const count = new Map<number, number>();
    const place = slideOfSample.map((slide) => {
      const next = count.get(slide) ?? 0;
      count.set(slide, next + 1);
      return next;
    });
    return { slides, places: Uint32Array.from(samples, (sample) => place[sample]!) };
  }

  /** A slide as a whole. */
  #bag(slide: number): Promise<{ expression: Float32Array; attention: Float32Array | null }> {
    const kept = this.#bags.get(slide);
    if (kept) return kept;
    const bag = this.#model.use(async (device, trained) => {
      const places = await this.#dataset.placeFeatures(slide);
      const { id } = this.#dataset.summary.slides[slide]!;
      const { expression, attention, patches } = await predictBag(device, trained, places, id);
      if (!attention || !patches) return { expression, attention: attention ?? null };
      const all = new Float32Array(places.rows);
      for (const [i, row] of patches.entries()) all[row] = attention[i]!;
      return { expression, attention: all };
    });
    this.#bags.set(slide, bag);
    bag.catch(() => this.#bags.delete(slide));
    return bag;
  }

  /** One gene at the slide's places; null for models that only predict whole slides. */
  async #atPlaces(slide: number, gene: number, genes: number): Promise<Float32Array | null> {
    const { places } = this.#dataset.summary.slides[slide]!;
    const whole = places * genes <= WHOLE_VALUES;
    const key = whole ? `${slide}` : `${slide} ${gene}`;
    let values = this.#maps.get(key);
    if (!values) {
      const columns = whole ? Array.from({ length: genes }, (_, g) => g) : [gene];
      values = await this.#predictPlaces(slide, columns);
      if (!values) return null;
      this.#maps.set(key, values);
    }
    return whole ? pickColumns(values, genes, [gene]) : values.slice();
  }

  async #predictPlaces(slide: number, columns: readonly number[]): Promise<Float32Array | null> {
    const { summary } = this.#dataset;
    return this.#model.use(async (device, trained) => {
      try {
        const places = await this.#dataset.placeFeatures(slide);
        return await predictPatches(device, trained, places, columns);
      } catch (error) {
        const none = error instanceof HistogradError && error.code === 'no-patch-prediction';
        if (!none) throw error;
        return summary.kind === 'spots'
          ? this.#predictSpots(device, trained, slide, columns)
          : null;
      }
    });
  }

  /** For models that only predict bags: spots are bags. */
  async #predictSpots(
    device: Device,
    trained: TrainedModel,
    slide: number,
    columns: readonly number[],
  ): Promise<Float32Array> {
    const { source, slideOfSample } = this.#dataset;
    const samples = Array.from(slideOfSample.keys()).filter((i) => slideOfSample[i] === slide);
    const out = new Float32Array(samples.length * columns.length);
    const rows = rowsPerBatch(this.#dataset, trained.genes.length);
    let at = 0;
    for await (const { expression } of predictSlides(device, trained, source, samples, rows)) {
      for (const column of columns) out[at++] = expression[column]!;
    }
    return out;
  }
}

/** @throws HistogradError `unknown-slide` */
export function slideIndex({ summary }: Dataset, id: string): number {
  const slide = summary.slides.findIndex((candidate) => candidate.id === id);
  if (slide >= 0) return slide;
  throw new HistogradError(
    'unknown-slide',
    `The open data have no slide ${id}.`,
    'Choose one of the list.',
  );
}

function unknownGene(gene: string, why: string): HistogradError {
  return new HistogradError('unknown-gene', `${gene} ${why} here.`, 'Choose a gene of the list.');
}

function squaredError(
  observed: Float32Array,
  predicted: Float32Array,
  column: number,
  width: number,
): number {
  let total = 0;
  for (let i = column; i < observed.length; i += width)
    total += (observed[i]! - predicted[i]!) ** 2;
  return (total * width) / observed.length;
}
