/**
 * Learning rates over time, as factors on the base rate: pure functions of the step, so that a resumed run needs
 * no state. `step` counts whatever the schedule's numbers count: optimiser steps, or epochs.
 */
import { HistogradError } from '../errors.ts';

/** Common to all: the schedule proper begins after the warm-up. */
interface WarmUp {
  /** Steps over which the factor rises linearly: 1/n, 2/n, … 1. Default 0. */
  warmupSteps?: number;
}

/** No change, or half a cosine that ends at `totalSteps` and stays there (CosineAnnealingLR with T_max = totalSteps − warmupSteps). */
interface PlainSchedule extends WarmUp {
  kind: 'constant' | 'cosine';
  totalSteps: number;
  /** Fraction of the base rate at the end of the cosine. */
  floor: number;
}

/** Times `gamma` every `stepSize` steps (StepLR). */
interface StepSchedule extends WarmUp {
  kind: 'step';
  stepSize: number;
  gamma: number;
}

/** Times `gamma` at each milestone (MultiStepLR). */
interface MultiStepSchedule extends WarmUp {
  kind: 'multi-step';
  milestones: readonly number[];
  gamma: number;
}

/** Times `gamma` at every step (ExponentialLR). */
interface ExponentialSchedule extends WarmUp {
  kind: 'exponential';
  gamma: number;
}

/** Half cosines of t0, t0 · tMult, t0 · tMult², … steps (SGDR, Loshchilov & Hutter 2017; CosineAnnealingWarmRestarts). */
interface CosineRestartsSchedule extends WarmUp {
  kind: 'cosine-restarts';
  t0: number;
  /** A whole number of at least 1. */
  tMult: number;
  /** Fraction of the base rate at the end of each cosine (eta_min / lr). */
  floor: number;
}

/**
 * Cycles of a linear warm-up from `floor` and half a cosine back, each with its peak times `gamma` (the
 * CosineAnnealingWarmupRestarts of katsura-jp/pytorch-cosine-annealing-with-warmup, which EGN trains with). The base rate
 * is its max_lr. Its warm-up is part of each cycle; its very first step is at `floor`, also without warm-up.
 */
interface CosineWarmupRestartsSchedule {
  kind: 'cosine-warmup-restarts';
  firstCycleSteps: number;
  /** Factor on the length of the cosine from cycle to cycle. */
  cycleMult: number;
  /** Less than `firstCycleSteps`. */
  warmupSteps: number;
  gamma: number;
  /** min_lr / max_lr. */
  floor: number;
}

export type Schedule =
  | PlainSchedule
  | StepSchedule
  | MultiStepSchedule
  | ExponentialSchedule
  | CosineRestartsSchedule
  | CosineWarmupRestartsSchedule;

/** The factor on the base learning rate at `step` (from 0). */
export function scheduleFactor(schedule: Schedule, step: number): number {
  if (schedule.kind === 'cosine-warmup-restarts') return warmupRestarts(schedule, step);
  const { warmupSteps = 0 } = schedule;
  if (step < warmupSteps) return (step + 1) / warmupSteps;
  const since = step - warmupSteps;
  switch (schedule.kind) {
    case 'constant':
      return 1;
    case 'cosine': {
      const { totalSteps, floor } = schedule;
      return halfCosine(Math.min(1, since / Math.max(1, totalSteps - warmupSteps)), floor);
    }
    case 'step':
      requirePositive('stepSize', schedule.stepSize);
      return schedule.gamma ** Math.floor(since / schedule.stepSize);
    case 'multi-step':
      return schedule.gamma ** schedule.milestones.filter((m) => m <= since).length;
    case 'exponential':
      return schedule.gamma ** since;
    case 'cosine-restarts': {
      const { t0, tMult, floor } = schedule;
      requirePositive('t0', t0);
      requirePositive('tMult', tMult);
      let [at, length] = [since, t0];
      while (at >= length) {
        if (tMult === 1) at %= length;
        else {
          at -= length;
          length *= tMult;
        }
      }
      return halfCosine(at / length, floor);
    }
  }
}

function halfCosine(progress: number, floor: number): number {
  return floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

function warmupRestarts(schedule: CosineWarmupRestartsSchedule, step: number): number {
  const { firstCycleSteps, cycleMult, warmupSteps, gamma, floor } = schedule;
  if (!(warmupSteps >= 0 && warmupSteps < firstCycleSteps)) {
    throw bad(
      'warmupSteps',
      `at least 0 and below firstCycleSteps, ${firstCycleSteps}`,
      warmupSteps,
    );
  }
  if (step === 0) return floor;
  let [at, length, peak] = [step, firstCycleSteps, 1];
  while (at >= length) {
    at -= length;
    length = Math.floor((length - warmupSteps) * cycleMult) + warmupSteps;
    if (length <= warmupSteps)
      throw bad('cycleMult', 'cycles that keep at least a step', cycleMult);
    peak *= gamma;
  }
  if (at < warmupSteps) return floor + ((peak - floor) * at) / warmupSteps;
  const progress = (at - warmupSteps) / (length - warmupSteps);
  return floor + (peak - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
}

function requirePositive(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 1)) throw bad(name, 'a whole number from 1', value);
}

function bad(name: string, expected: string, found: number): HistogradError {
  return new HistogradError(
    'option',
    `Schedule: ${name} must be ${expected}, found ${found}.`,
    'Correct the schedule.',
  );
}
