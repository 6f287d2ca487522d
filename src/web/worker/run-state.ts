/** The state of a run as the page sees it, before it begins and as it was stored. */
import type { RunState, TrainSettings } from '../protocol.ts';
import type { Deal } from './deal.ts';
import type { RunRecord } from './run-store.ts';

/** What a run is, before anything is computed. */
export interface RunPlan extends Deal {
  readonly id: string;
  readonly title: string;
  readonly settings: TrainSettings;
  readonly totalSteps: number;
}

/** Of a run that has not begun. */
export function newState({
  id,
  title,
  settings,
  split,
  totalSteps,
}: Omit<RunPlan, 'samples'>): RunState {
  return {
    ...{ id, title, settings, split, totalSteps },
    phase: 'preparing',
    epochs: settings.epochs,
    ...{ epoch: 0, step: 0, seconds: 0, stepsPerSecond: null, secondsLeft: null },
    ...{ liveBytes: 0, peakBytes: 0, points: [], loss: null, error: null, notes: [] },
  };
}

/** The state of a run as it was stored. */
export function storedState(record: RunRecord): RunState {
  const { id, title, settings, split, totalSteps, phase, ...rest } = record;
  const { epoch, step, seconds, peakBytes, points, notes } = rest;
  return {
    ...newState({ id, title, settings, split, totalSteps }),
    phase: phase === 'finished' ? 'finished' : 'paused',
    ...{ epoch, step, seconds, peakBytes, points, notes },
    loss: points.at(-1)?.trainLoss ?? null,
  };
}
