/** Whether one of several ways to do a piece of work is truly faster than the pinned one. */
import type { Contestant, Effort } from '../measure.ts';
import { type Timing, workQuartiles, workSeconds } from '../run.ts';

export type Race = (contestants: readonly Contestant[], effort: Effort) => Promise<Timing[]>;

/** A win must be by this much: more than the same kernel differs from itself. */
export const MARGIN = 0.05;
/** Ways that race the pinned one at once: each has a device and tensors of its own, of the large shapes 200 MB. */
export const GROUP = 4;

export interface Choice {
  /** Index of the winner among the ways; null: the pinned one. */
  readonly winner: number | null;
  /** How many times as fast as the pinned one the winner is; from the second race. */
  readonly gain: number;
  /** Of the pinned way, in the first race; null where nobody raced it. */
  readonly pinned: number | null;
  /** Of each way, as if it had been in the first race; null where it could not be opened. Seconds. */
  readonly seconds: readonly (number | null)[];
}

/**
 * Groups of ways in turns with the pinned one, the fastest by its ratio to that; then the fastest and the pinned one alone, in
 * more rounds. It wins when it is ahead by the margin both times, and the middle halves of their times do not overlap; else the
 * pinned one stays.
 *
 * @param open begins a way, which is disposed of in the end; null where that cannot be
 */
export async function choose(
  pinned: Contestant,
  open: readonly (() => Promise<Contestant | null>)[],
  race: Race,
  effort: Effort,
): Promise<Choice> {
  const opened = new Map<number, Contestant>();
  const close = (way: number) => {
    opened.get(way)?.dispose();
    opened.delete(way);
  };
  const ratios = open.map((): number | null => null);
  let first: number | null = null;
  let best = { way: -1, ratio: 1 - MARGIN };
  try {
    for (let from = 0; from < open.length; from += GROUP) {
      const group: [way: number, Contestant][] = [];
      for (let way = from; way < Math.min(from + GROUP, open.length); way++) {
        const contestant = await open[way]!();
        if (!contestant) continue;
        opened.set(way, contestant);
        group.push([way, contestant]);
      }
      if (group.length === 0) continue;
      const share = (group.length + 1) / (open.length + 1);
      const timings = await race([pinned, ...group.map(([, contestant]) => contestant)], {
        ...effort,
        budgetSeconds: share * effort.budgetSeconds,
      });
      const own = workSeconds({ timing: timings[0]! });
      first ??= own;
      for (const [i, [way]] of group.entries()) {
        const ratio = workSeconds({ timing: timings[i + 1]! }) / own;
        ratios[way] = ratio;
        close(ratio < best.ratio ? best.way : way);
        if (ratio < best.ratio) best = { way, ratio };
      }
    }
    const seconds = ratios.map((ratio) => ratio && ratio * first!);
    const fastest = opened.get(best.way);
    const gain = fastest ? await gainOf(pinned, fastest, race, effort) : null;
    return { winner: gain && best.way, gain: gain ?? 1, pinned: first, seconds };
  } finally {
    for (const way of [...opened.keys()]) close(way);
  }
}

/** How many times as fast it is, in a race for two; null unless that is beyond doubt. */
async function gainOf(
  pinned: Contestant,
  fastest: Contestant,
  race: Race,
  effort: Effort,
): Promise<number | null> {
  const [slow, fast] = await race([pinned, fastest], {
    ...effort,
    rounds: 2 * effort.rounds,
    budgetSeconds: 2 * effort.budgetSeconds,
  });
  if (!slow || !fast || Math.min(slow.rounds, fast.rounds) < 3) return null;
  const gain = workSeconds({ timing: slow }) / workSeconds({ timing: fast });
  const apart = workQuartiles(fast)[1] < workQuartiles(slow)[0];
  return gain > 1 / (1 - MARGIN) && apart ? gain : null;
}

/** The quartiles of what `workSeconds` is the median of. */
