/** The results of one `npm run bench:extract`, as stored and as printed. */
import { z } from 'zod';
import { parseResult, timing } from './run.ts';
import { milliseconds, plainTable, spread } from './table.ts';

const extractionRun = z.object({
  environment: z.record(z.string(), z.string()),
  ceilings: z.object({ flops: z.number(), bandwidth: z.number() }),
  network: z.string(),
  slide: z.string(),
  /** Side of a tile in pixels. */
  size: z.number(),
  tiles: z.number(),
  /** Tiles per pass. */
  batch: z.number(),
  threads: z.number(),
  /** Tiles per second: decoding alone, the extractor alone, both overlapped. */
  pipeline: z.object({ decode: z.number(), compute: z.number(), both: z.number() }),
  /** Of one pass through the network. */
  cost: z.object({ flops: z.number(), bytes: z.number() }),
  /** Of one pass: ours under 'histograd', and other runtimes'. */
  timings: z.record(z.string(), timing),
  /** Largest difference of other runtimes' embeddings to ours, relative to our largest value. */
  differences: z.record(z.string(), z.number()),
});

export type ExtractionRun = z.infer<typeof extractionRun>;

export function parseExtractionRun(text: string, file: string): ExtractionRun {
  return parseResult(extractionRun, text, file);
}

/** The least time of a pass through the network on this adapter, in seconds. */
export function passFloor({ cost, ceilings }: ExtractionRun): number {
  return Math.max(cost.flops / ceilings.flops, cost.bytes / ceilings.bandwidth);
}

export function extractionTable(run: ExtractionRun): string {
  const { network, size, tiles, batch, threads, pipeline, cost, ceilings } = run;
  const floor = passFloor(run);
  const table = plainTable([
    'network alone',
    'a pass',
    'quartiles',
    'tiles/s',
    'rate',
    'of floor',
    'differs by',
  ]);
  for (const [name, timing] of Object.entries(run.timings)) {
    const { median } = timing;
    table.push([
      name,
      milliseconds(median),
      spread(timing),
      (batch / median).toFixed(1),
      `${(cost.flops / median / 1e9).toFixed(1)} GFLOP/s`,
      name.endsWith('CPU') ? '' : `${((100 * floor) / median).toFixed(0)} %`,
      run.differences[name]?.toExponential(1) ?? '',
    ]);
  }
  for (const [name, difference] of Object.entries(run.differences)) {
    if (!run.timings[name])
      table.push([name, 'not timed', '', '', '', '', difference.toExponential(1)]);
  }
  const { decode, compute, both } = pipeline;
  return [
    `${network} on ${run.environment.adapter}; ${tiles} tiles of ${size} pixels, batch ${batch}, ${threads} threads that decode`,
    `tiles/s: decode only ${decode.toFixed(1)}, extract only ${compute.toFixed(1)}, overlapped ${both.toFixed(1)}`,
    `a pass: ${(cost.flops / 2e9).toFixed(2)} G multiply-adds, ${(cost.bytes / 1e6).toFixed(0)} MB; ceilings ${(ceilings.flops / 1e9).toFixed(1)} GFLOP/s, ${(ceilings.bandwidth / 1e9).toFixed(1)} GB/s; floor ${milliseconds(floor)}`,
    table.toString(),
  ].join('\n');
}
