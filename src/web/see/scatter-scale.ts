/** Geometry of the scatter plot: one range for both axes, so that the diagonal is a perfect prediction. */
import type { GeneScatter } from '../protocol.ts';
import { tickLabels, ticks } from './colour-scale.ts';

export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly { value: number; label: string }[];
}

export function scatterAxis({ observed, predicted }: GeneScatter): Axis {
  let [low, high] = [Infinity, -Infinity];
  for (const values of [observed, predicted]) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) [low, high] = [0, 1];
  const margin = (high - low) * 0.05 || 0.5;
  const from = low - margin;
  const to = high + margin;
  const values = ticks(from, to, 5);
  const labels = tickLabels(values);
  return {
    low: from,
    high: to,
    ticks: values.map((value, i) => ({ value, label: labels[i]! })),
  };
}

/** The sample whose point is nearest to (x, y), both in shares of the axis, within `reach`; else -1. */
export function nearestSample(
  { observed, predicted }: GeneScatter,
  axis: Axis,
  x: number,
  y: number,
  reach: number,
): number {
  const span = axis.high - axis.low;
  let best = -1;
  let bestDistance = reach * reach;
  for (let i = 0; i < observed.length; i++) {
    const dx = (observed[i]! - axis.low) / span - x;
    const dy = (predicted[i]! - axis.low) / span - y;
    const distance = dx * dx + dy * dy;
    if (distance <= bestDistance) {
      best = i;
      bestDistance = distance;
    }
  }
  return best;
}

/** Samples in the order of their measured values: the way of the arrow keys. */
export function byObserved({ observed }: GeneScatter): Uint32Array {
  return Uint32Array.from(observed.keys()).sort((a, b) => observed[a]! - observed[b]!);
}
