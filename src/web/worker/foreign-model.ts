/** A model that was not trained here: what of the open data may score it, and how it is shown. */
import type { Split as SampleSplit } from '../../data/splits.ts';
import { modelTitle } from '../../models/registry.ts';
import { formatCount } from '../../report/format.ts';
import type { TrainedModel } from '../../training/trained-model.ts';
import type { RunState, TrainSettings } from '../protocol.ts';
import type { Dataset } from './dataset.ts';
import type { ScoredPart } from './results.ts';
import { defaultSettings } from './settings.ts';

/** With fewer samples, every correlation is -1 or 1. */
const FEWEST = 3;

interface Scorable extends ScoredPart {
  /** What the model learnt from, where that is known, and what it is tested on. */
  readonly split: SampleSplit;
  /** To tell the user. */
  readonly notes: readonly string[];
}

/** The samples whose patients the model has not seen, where it says what it has seen; else all. */
export function scorablePart(
  { source, summary }: Dataset,
  { provenance }: Pick<TrainedModel, 'provenance'>,
): Scorable {
  const slides = new Set(provenance?.slides);
  const patients = new Set(provenance?.patients);
  const seen: number[] = [];
  const unseen: number[] = [];
  for (const [i, { id, patient }] of source.slides.entries()) {
    const known = slides.has(id) || (patient !== undefined && patients.has(patient));
    (known ? seen : unseen).push(i);
  }
  const unit = summary.kind === 'spots' ? 'spot' : 'slide';
  const all = source.slides.map((_, i) => i);
  const split = { name: 'seen', train: seen, validation: [], test: unseen };
  if (seen.length === 0) {
    return { part: 'all', samples: all, split: { ...split, test: [] }, notes: [] };
  }
  const what = `The model has seen ${formatCount(seen.length, unit)} of these data, or their patients, in training`;
  if (unseen.length >= FEWEST) {
    const notes = [`${what}: only the other ${unseen.length} are scored.`];
    return { part: 'test', samples: unseen, split, notes };
  }
  return {
    part: 'all',
    samples: all,
    split,
    notes: [`${what}: the scores are too good to be true.`],
  };
}

/** What a model file does not say of its training. */
export type Told = Partial<Omit<RunState, 'settings'>> & {
  readonly settings?: Partial<TrainSettings>;
};

/** The state of a run that was finished elsewhere. */
export function foreignRun(
  name: string,
  dataset: Dataset,
  { kind, options, genes }: Pick<TrainedModel, 'kind' | 'options' | 'genes'>,
  { settings: set, ...told }: Told,
): RunState {
  const settings = { ...defaultSettings(kind, dataset), ...set, modelOptions: options, genes };
  return {
    id: '',
    title: `${modelTitle(kind)}: ${name}`,
    settings,
    split: null,
    phase: 'finished',
    ...{ epoch: 0, epochs: 0, step: 0, totalSteps: 0 },
    ...{ stepsPerSecond: null, secondsLeft: null, seconds: 0 },
    ...{ liveBytes: 0, peakBytes: 0, points: [], loss: null, error: null, notes: [] },
    ...told,
  };
}
