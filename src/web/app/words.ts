/** Numbers and states in plain words. */
import { formatDuration, formatFixed, formatSignificant } from '../../report/format.ts';
import type { AdapterCard, DatasetSummary, RunState } from '../protocol.ts';

/** How fast the adapter is, for someone who does not know what a GFLOP is. */
export function describeSpeed({ kind, gflops }: AdapterCard): string {
  if (kind === 'software') {
    return 'No graphics card is in use: the processor stands in for it. Good for trying things out with small data; a graphics card is many times faster.';
  }
  if (gflops < 200) return 'A modest graphics processor: fine for sections and small cohorts.';
  if (gflops < 2000)
    return 'A good graphics processor: cohorts of hundreds of slides are no trouble.';
  return 'A fast graphics processor: large cohorts and all genes at once are no trouble.';
}

export function describeGflops(gflops: number): string {
  return gflops >= 1000
    ? `${formatSignificant(gflops / 1000)} TFLOP/s`
    : `${formatSignificant(gflops)} GFLOP/s`;
}

/** Pearson correlations as they are told aloud. */
export const formatPearson = (r: number | undefined): string =>
  r === undefined ? '–' : formatFixed(r, 3);

/** An estimate: no fractions of a second. */
export function formatTimeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 10 ? `${whole} s` : formatDuration(whole);
}

export function describePhase(run: RunState): string {
  switch (run.phase) {
    case 'preparing':
      return 'Preparing: compiling kernels and loading the data.';
    case 'training':
      return run.step === 0
        ? 'Training has begun.'
        : `Training, epoch ${run.epoch} of ${run.epochs}.`;
    case 'paused':
      return 'Paused. All progress is stored in this browser.';
    case 'recovering':
      return 'The graphics device was lost. Recovering from the last checkpoint…';
    case 'finishing':
      return 'Finishing: scoring on the test part.';
    case 'finished':
      return 'Training is finished. The results are ready.';
    case 'failed':
      return 'Training did not reach its end.';
  }
}

/** What one expression profile belongs to. */
export function sampleNoun(kind: DatasetSummary['kind']): 'slide' | 'spot' {
  return kind === 'spots' ? 'spot' : 'slide';
}

const RELATIVE = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto' });

/** `3 minutes ago`, `yesterday`. */
export function describeAgo(then: number, now: number = Date.now()): string {
  const seconds = Math.min(0, (then - now) / 1000);
  for (const [unit, size] of [
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60],
  ] as const) {
    if (-seconds >= size) return RELATIVE.format(Math.round(seconds / size), unit);
  }
  return 'just now';
}
