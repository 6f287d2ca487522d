/** The results of one `npm run bench`, as stored. */
import { z } from 'zod';
import { HistogradError } from '../src/errors.ts';
import type { Cost } from './bench.ts';

export const timing = z.object({
  /** Seconds per run: median and quartiles over the rounds. */
  median: z.number(),
  quartiles: z.tuple([z.number(), z.number()]),
  rounds: z.number(),
  /** Runs per round, between two waits. */
  runs: z.number(),
  /** The first run, with compilation; seconds. */
  first: z.number(),
  /** Median GPU time per run by timestamps; null where there are none. */
  gpu: z.number().nullable(),
  /** Of the GPU times. */
  gpuQuartiles: z.tuple([z.number(), z.number()]).optional(),
});

export const ceilingsSchema = z.object({
  flops: z.number(),
  bandwidth: z.number(),
  matrixFlops: z.number().nullable().default(null),
});

const benchResult = z.object({
  id: z.string(),
  name: z.string(),
  flops: z.number(),
  bytes: z.number(),
  timing,
  peers: z.record(z.string(), timing),
  dispatches: z.number(),
  submissions: z.number(),
  liveBytes: z.number(),
  peakBytes: z.number(),
  liveBytesFlat: z.boolean(),
});

const run = z.object({
  environment: z.record(z.string(), z.string()),
  tuning: z.enum(['cpu', 'gpu']),
  ceilings: ceilingsSchema,
  results: z.array(benchResult),
});

export type Timing = z.infer<typeof timing>;
export type BenchResult = z.infer<typeof benchResult>;
export type Run = z.infer<typeof run>;

/** @throws HistogradError `bench-file` when the text is no result of this command */
export function parseRun(text: string, file: string): Run {
  return parseResult(run, text, file);
}

/** @throws HistogradError `bench-file` when the text is not what the schema says */
export function parseResult<T>(schema: z.ZodType<T>, text: string, file: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    const problem = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new HistogradError(
      'bench-file',
      `${file} is not a result of the benches: ${problem}`,
      'Give a file of kernels-bench/results/.',
    );
  }
}

/** The least time this work can take on an adapter with these ceilings, in seconds. */
export function floorOf(work: Work, ceilings: Run['ceilings']): number {
  return Math.max(work.flops / rateFor(work, ceilings), work.bytes / ceilings.bandwidth);
}

type Work = Cost & { readonly id?: string };

/** Products of halves, and steps made of them, may use the matrix unit. */
function rateFor({ id }: Work, { flops, matrixFlops }: Run['ceilings']): number {
  return /-half$|-mixed-step$/.test(id ?? '') ? Math.max(flops, matrixFlops ?? 0) : flops;
}

/** Whether it is a training step, not a kernel. */
export function isStep({ id }: { readonly id?: string | undefined }): boolean {
  return id?.endsWith('-step') ?? false;
}

/**
 * Seconds that rates and shares of the floor are taken of: of a kernel its GPU time, where timestamps give it, since what waiting
 * costs is not the kernel's; of a training step what the clock says. Ratios to others are those of the clock.
 */
export function workSeconds({
  timing,
  id,
}: {
  readonly timing: Timing;
  readonly id?: string | undefined;
}): number {
  const { gpu, median } = timing;
  return isStep({ id }) ? median : (gpu ?? median);
}

/** The middle half of these seconds of a kernel. */
export function workQuartiles({ gpuQuartiles, quartiles }: Timing): readonly [number, number] {
  return gpuQuartiles ?? quartiles;
}

/** Which of the two ceilings the floor is. */
export function boundBy(work: BenchResult, ceilings: Run['ceilings']): 'compute' | 'memory' {
  const compute = work.flops / rateFor(work, ceilings);
  return compute > work.bytes / ceilings.bandwidth ? 'compute' : 'memory';
}
