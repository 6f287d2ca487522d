/** Whether one of several ways to do a piece of work is truly faster than the pinned one. */
import type { Contestant, Effort } from '../measure.ts';
import type { Timing } from '../run.ts';

export type Race = (contestants: readonly Contestant[], effort: Effort) => Promise<Timing[]>;

/** A win must be by this much: more than the same kernel differs from itself. */
export const MARGIN = 0.05;

export interface Choice {
  /** Index of the winner among the contestants, of which 0 is the pinned one. */
  readonly winner: number;
  /** How many times as fast as the pinned one the winner is; from the second race. */
  readonly gain: number;
  /** Of the race of all. */
  readonly timings: readonly Timing[];
}

/** GPU time where there is one: what waiting costs is not the kernel's. */
function secondsOf({ gpu, median }: Timing): number {
  return gpu ?? median;
}

/**
 * All in turns; then the fastest against the pinned one alone, in more rounds. It wins when it is ahead by the margin both
 * times, and the middle halves of their times do not overlap; else the pinned one stays.
 */
export async function choose(
  contestants: readonly Contestant[],
  race: Race,
  effort: Effort,
): Promise<Choice> {
  const timings = await race(contestants, effort);
  const kept: Choice = { winner: 0, gain: 1, timings };
  const times = timings.map(secondsOf);
  const best = times.indexOf(Math.min(...times));
  if (best <= 0 || !(times[best]! < (1 - MARGIN) * times[0]!)) return kept;
  const [pinned, fastest] = await race([contestants[0]!, contestants[best]!], {
    ...effort,
    rounds: 2 * effort.rounds,
    budgetSeconds: 2 * effort.budgetSeconds,
  });
  if (!pinned || !fastest || Math.min(pinned.rounds, fastest.rounds) < 3) return kept;
  const gain = secondsOf(pinned) / secondsOf(fastest);
  const apart = fastest.quartiles[1] < pinned.quartiles[0];
  return gain > 1 / (1 - MARGIN) && apart ? { winner: best, gain, timings } : kept;
}
