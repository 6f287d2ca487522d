/** `histograd extract`: whole slides to one feature file each. */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { z } from 'zod';
import { parseCheckpoint } from '../data/checkpoint.ts';
import { SETTINGS_FORMAT } from '../data/feature-settings.ts';
import { writeError } from '../data/node/atomic-write.ts';
import { readBytes } from '../data/node/read-file.ts';
import { sweepTemporaryFiles } from '../data/node/temporary-files.ts';
import { HistogradError } from '../errors.ts';
import { type ExtractJob, extractSlide } from '../extraction/node/extract-slide.ts';
import { findSlides } from '../extraction/node/find-slides.ts';
import { createTilePool } from '../extraction/node/tile-pool.ts';
import { Device } from '../gpu/device.ts';
import type { Extractor } from '../models/extractors/extractor.ts';
import { loadWeights } from '../models/extractors/load-weights.ts';
import {
  createExtractor,
  EXTRACTOR_NAMES,
  type ExtractorName,
  inferExtractor,
} from '../models/extractors/registry.ts';
import { formatCount, formatDuration } from '../report/format.ts';
import { LARGEST_TILE } from '../slides/tiling.ts';
import { Generator } from '../tensor/random.ts';
import { adapterOption } from './adapter-request.ts';
import { checkOptions } from './check-options.ts';
import { interruptible, type Talk, talk } from './progress.ts';
import { selectOptions, withDexiNed } from './select-options.ts';

const schema = z.strictObject({
  out: z.string(),
  weights: z.string(),
  extractor: z.enum(EXTRACTOR_NAMES).optional(),
  mpp: z.number().positive().optional(),
  tileMpp: z.number().positive().default(0.5),
  tileSize: z.int().positive().max(LARGEST_TILE).optional(),
  overlap: z.int().min(0).default(0),
  edge: z.enum(['drop', 'pad']).default('drop'),
  tissue: z.enum(['sequoia', 'otsu', 'none']).default('otsu'),
  minTissue: z.number().min(0).lt(1).optional(),
  selector: z
    .enum(['none', 'shannon', 'ig', 'canny', 'dog', 'log', 'otsu', 'dexined'])
    .default('none'),
  dexinedWeights: z.string().optional(),
  keep: z.string().optional(),
  stain: z.enum(['none', 'macenko']).default('none'),
  batchSize: z.int().min(1).default(32),
  workers: z.int().min(0).max(64).optional(),
  format: z.enum(['h5', 'safetensors']).default('h5'),
  preview: z.string().optional(),
  adapter: adapterOption,
  quiet: z.boolean().optional(),
});
type Options = z.infer<typeof schema>;

export async function extractCommand(
  paths: readonly string[],
  flags: Readonly<Record<string, unknown>>,
): Promise<void> {
  const options = checkOptions(schema, flags, 'The command line');
  const out = talk(options);
  const slides = await findSlides(paths, out.warn);
  const choice = selectOptions(options);
  for (const folder of [options.out, options.preview]) {
    if (folder === undefined) continue;
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw writeError(folder, cause);
    });
  }
  const left = await sweepTemporaryFiles(options.out, (name) => /\.(h5|safetensors)$/.test(name));
  if (left.length > 0) {
    out.say(`Removed what a killed run left unfinished: ${left.join(', ')}`);
  }
  const bytes = await readBytes(options.weights);
  const { dexinedWeights } = options;
  const dexined = dexinedWeights === undefined ? null : await readBytes(dexinedWeights);
  const device = await Device.open(options.adapter ? { adapter: options.adapter } : {});
  const threads = options.workers ?? Math.min(8, Math.max(1, os.availableParallelism() - 1));
  const worker = new URL('../tile-worker.js', import.meta.url);
  const pool = threads > 0 ? createTilePool(threads, worker) : null;
  try {
    const { extractor, name } = await openExtractor(device, bytes, options, out);
    const tiling = {
      mpp: options.tileMpp,
      size: options.tileSize ?? extractor.preprocessing.size,
      overlap: options.overlap,
      edge: options.edge,
    };
    if (tiling.overlap >= tiling.size) {
      throw new HistogradError(
        'usage',
        `--overlap ${tiling.overlap}: expected less than the tile's side, ${tiling.size} pixels.`,
        'Choose a smaller overlap, or larger tiles (--tile-size).',
      );
    }
    const { select, said } = dexined
      ? withDexiNed(device, choice, dexined, dexinedWeights!)
      : { select: choice, said: choice };
    const normalise = options.stain === 'macenko';
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const { preprocessing } = extractor;
    const settings = {
      format: SETTINGS_FORMAT,
      extractor: name,
      weights: sha256,
      tiling,
      select: said,
      stain: options.stain,
      preprocessing,
    };
    const jobs = slides.map(
      ({ id, name, path, bytes }): NamedJob => ({
        name,
        slide: path,
        out: join(options.out, `${id}.${options.format}`),
        format: options.format,
        preview: options.preview ? join(options.preview, `${id}.svg`) : null,
        tiling,
        slideMpp: options.mpp,
        select,
        normalise,
        batch: options.batchSize,
        // Another slide of the same name, from another folder, is not the one that is finished.
        settings: { ...settings, slide: { file: typeof path === 'string' ? name : id, bytes } },
      }),
    );
    out.say(
      `${formatCount(jobs.length, 'slide')} through ${name} (${extractor.width} features per tile) on ${device.adapter.name}`,
    );
    await interruptible(out, 'the slide under way is dropped, finished ones are kept', (signal) =>
      extractAll(jobs, { device, extractor, pool, signal }, out, options),
    );
  } finally {
    await pool?.close();
    device.close();
  }
}

async function openExtractor(
  device: Device,
  bytes: Uint8Array,
  { extractor: wanted, weights }: Options,
  { say }: Talk,
): Promise<{ extractor: Extractor; name: ExtractorName }> {
  const checkpoint = parseCheckpoint(bytes, weights);
  const name = wanted ?? inferExtractor(checkpoint.tensors);
  const init = { device, generator: new Generator(0) };
  const extractor = createExtractor(name, init, checkpoint.tensors);
  const report = loadWeights(extractor, checkpoint);
  say(
    `${weights}: ${name}, ${formatCount(report.loaded.length, 'tensor')} loaded, ${report.ignored.length} not needed`,
  );
  return { extractor, name };
}

/** A job, and what people call its slide. */
type NamedJob = ExtractJob & { readonly name: string };

/** All slides in turn; one that fails does not keep the others from being done. */
async function extractAll(
  jobs: readonly NamedJob[],
  context: Parameters<typeof extractSlide>[1],
  { say, warn }: Talk,
  { quiet }: Options,
): Promise<void> {
  const failed: string[] = [];
  for (const [i, job] of jobs.entries()) {
    const { name } = job;
    const progress = new TileProgress(`${i + 1}/${jobs.length} ${name}`, !quiet, say);
    const started = performance.now();
    try {
      const outcome = await extractSlide(job, {
        ...context,
        warn,
        onPhase: (phase, total) => progress.phase(phase, total),
        onTiles: (done) => progress.update(done),
      });
      progress.stop();
      if (outcome.state === 'skipped') {
        say(`${name}: finished before`);
        continue;
      }
      const seconds = (performance.now() - started) / 1000;
      const rate = (outcome.tiles / seconds).toPrecision(3);
      say(
        `${name}: ${outcome.tiles} of ${formatCount(outcome.planned, 'tile')} in ${formatDuration(seconds)}, ${rate} tiles/s`,
      );
    } catch (cause) {
      progress.stop();
      if (context.signal?.aborted) {
        throw new HistogradError(
          'interrupted',
          `Interrupted in ${name}; finished slides are kept.`,
          'Run the same command again to go on with the others.',
        );
      }
      // Neither the device nor a full disk nor damaged weights will be better for the next slide.
      if (!(cause instanceof HistogradError) || FATAL.has(cause.code)) throw cause;
      failed.push(name);
      // Most messages name the slide first.
      warn(cause.message.startsWith(name) ? cause.message : `${name}: ${cause.message}`);
    }
  }
  if (failed.length > 0) {
    throw new HistogradError(
      'slides-failed',
      `${failed.length} of ${formatCount(jobs.length, 'slide')} failed: ${failed.join(', ')}.`,
      'See the warnings above; the same command does only what is missing.',
    );
  }
}

const FATAL = new Set([
  'device-lost',
  'device-closed',
  'out-of-memory',
  'disk-full',
  'not-writable',
  'no-folder',
  'non-finite-features',
  'non-finite-score',
]);

/** A log shows a line after so long a silence. */
const QUIET_MS = 30_000;

/** A bar on a terminal; a line now and then in a log. */
class TileProgress {
  readonly #bar: SingleBar | null;
  readonly #name: string;
  readonly #say: Talk['say'];
  #phase = '';
  #started = 0;
  #saidAt = performance.now();
  #total = 0;

  constructor(name: string, visible: boolean, say: Talk['say']) {
    this.#name = name;
    this.#say = say;
    this.#bar =
      visible && process.stderr.isTTY
        ? new SingleBar({
            format:
              '{bar} {percentage}% {name}: {phase}  {value}/{total} tiles  {speed} tiles/s  {left} left',
            stream: process.stderr,
            hideCursor: true,
            clearOnComplete: true,
            barsize: 20,
            fps: 5,
          })
        : null;
  }

  phase(phase: string, total: number): void {
    this.#bar?.stop();
    this.#phase = phase;
    this.#started = performance.now();
    this.#total = total;
    this.#bar?.start(total, 0, { name: this.#name, phase, speed: '-', left: '-' });
  }

  update(done: number): void {
    const now = performance.now();
    const seconds = (now - this.#started) / 1000;
    const speed = (done / seconds).toPrecision(3);
    const left = formatDuration(((this.#total - done) * seconds) / done);
    this.#bar?.update(done, { speed, left });
    if (process.stderr.isTTY || now - this.#saidAt < QUIET_MS) return;
    this.#say(`${this.#name}: ${this.#phase}, ${done} of ${this.#total} tiles, ${left} left`);
    this.#saidAt = now;
  }

  stop(): void {
    this.#bar?.stop();
  }
}
