/**
 * `npm run bench:extract -- <slide> <weights>`: tiles per second when only decoding, only computing, and both
 * overlapped; and the network alone against the adapter's ceilings and against onnxruntime on the same adapter.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { quantile } from 'simple-statistics';
import { noGrad } from '../src/autograd/tape.ts';
import { parseCheckpoint } from '../src/data/checkpoint.ts';
import { HistogradError } from '../src/errors.ts';
import { embedTiles } from '../src/extraction/embed-tiles.ts';
import { createTilePool } from '../src/extraction/node/tile-pool.ts';
import { Device } from '../src/gpu/device.ts';
import type { Extractor } from '../src/models/extractors/extractor.ts';
import { loadWeights } from '../src/models/extractors/load-weights.ts';
import { preprocess } from '../src/models/extractors/preprocess.ts';
import {
  createExtractor,
  EXTRACTOR_NAMES,
  EXTRACTORS,
  type ExtractorName,
  inferExtractor,
} from '../src/models/extractors/registry.ts';
import { openSlide } from '../src/slides/node/open-slide.ts';
import { selectedTiles, selectTiles } from '../src/slides/select-tiles.ts';
import type { RgbImage, Slide } from '../src/slides/slide.ts';
import { type PlannedTile, planTiles, readTile, type TilePlan } from '../src/slides/tiling.ts';
import { Generator } from '../src/tensor/random.ts';
import { scope } from '../src/tensor/scope.ts';
import { Tensor } from '../src/tensor/tensor.ts';
import { measureCeilings } from './ceilings.ts';
import { forgetCompiled } from './cold.ts';
import { forwardCost } from './cost.ts';
import { benchEnvironment } from './environment.ts';
import { type ExtractionRun, extractionTable } from './extraction-run.ts';
import { type Contestant, race } from './measure.ts';
import { onnxGraph } from './onnx-graph.ts';
import { onnxruntimeShares, openOnnxruntime } from './peers.ts';
import { FOLDER, saveResult } from './save-result.ts';
import { traceOps } from './trace.ts';

/** Largest difference of two runtimes' embeddings, relative to the largest value of ours. */
const AGREEMENT = 1e-3;

interface Options {
  batch: number;
  tiles: number;
  threads: number;
  rounds: number;
  save: boolean;
}

interface Subject {
  device: Device;
  extractor: Extractor;
  slide: Slide;
  slidePath: string;
  plan: TilePlan;
  /** Those that are measured. */
  tiles: readonly PlannedTile[];
  /** Another one, for threads to start with. */
  spare: PlannedTile;
  /** The first batch, decoded. */
  images: readonly RgbImage[];
}

async function main(): Promise<void> {
  const program = new Command('npm run bench:extract --')
    .description('Times extraction: decoding, the network, both overlapped; beside onnxruntime.')
    .argument('<slide>')
    .argument('<weights>', 'a file, or the name of an extractor for random weights')
    .option('--batch <n>', 'tiles per pass', Number, 16)
    .option('--tiles <n>', 'how many, at most', Number, 32)
    .option('--threads <n>', 'that decode', Number, 2)
    .option('--rounds <n>', 'of which the median is taken', Number, 3)
    .option('--no-save', 'write no file')
    .parse();
  const [slidePath, weightsPath] = program.args as [string, string];
  const options: Options = program.opts();
  forgetCompiled();
  const device = await Device.open();
  const { name, extractor } = networkOf(device, weightsPath);

  const slide = await openSlide(slidePath);
  const plan = planTiles(slide, { mpp: 0.5, size: extractor.preprocessing.size });
  const kept = selectedTiles(plan, await selectTiles(slide, plan));
  const whole = Math.floor(Math.min(options.tiles, kept.length) / options.batch) * options.batch;
  if (whole === 0) {
    throw new HistogradError(
      'usage',
      `${slidePath} has ${kept.length} tiles of tissue, ${options.tiles} are asked for: less than one batch of ${options.batch}.`,
      'Use a larger slide, or a smaller --batch.',
    );
  }
  const tiles = kept.slice(0, whole);
  const first = tiles.slice(0, options.batch);
  const images = await Promise.all(first.map((tile) => readTile(slide, plan, tile)));
  const spare = kept.at(-1)!;
  const subject = { device, extractor, slide, slidePath, plan, tiles, spare, images };

  const ceilings = await measureCeilings(device);
  const pipeline = await timePipeline(subject, options);
  const network = await timeNetwork(subject, options.rounds);
  const run: ExtractionRun = {
    environment: await benchEnvironment(device),
    ceilings,
    network: EXTRACTORS[name].title,
    slide: basename(slidePath),
    size: plan.size,
    tiles: tiles.length,
    batch: options.batch,
    threads: options.threads,
    pipeline,
    ...network,
  };
  console.log(extractionTable(run));
  if (options.save) saveResult('extraction', run, run.network);
  await slide.close();
  device.close();
}

/** The network of a weights file, or one of random weights by its name. */
function networkOf(device: Device, weights: string): { name: ExtractorName; extractor: Extractor } {
  const init = { device, generator: new Generator(0) };
  const random = EXTRACTOR_NAMES.find((name) => name === weights);
  if (random) return { name: random, extractor: createExtractor(random, init).eval() };
  const checkpoint = parseCheckpoint(readFileSync(weights), weights);
  const name = inferExtractor(checkpoint.tensors);
  const extractor = createExtractor(name, init, checkpoint.tensors).eval();
  loadWeights(extractor, checkpoint);
  return { name, extractor };
}

/** Tiles per second of the parts of `histograd extract`, and of all of it. */
async function timePipeline(subject: Subject, { batch, threads, rounds }: Options) {
  const { device, extractor, slidePath, plan, tiles, spare, images } = subject;
  const { tiles: _, ...bare } = plan;
  const worker = new URL('../node/tile-worker.js', import.meta.url);
  /** Runs `work` with threads that have started, but have no decoded tiles yet. */
  const withPool = async (work: (read: (i: number) => Promise<RgbImage>) => Promise<unknown>) => {
    const pool = createTilePool(threads, worker);
    const read = (tile: PlannedTile) =>
      pool.read(slidePath, { plan: bare, tile, normalise: false });
    await Promise.all(Array.from({ length: threads }, () => read(spare)));
    const start = performance.now();
    await work((i) => read(tiles[i]!));
    const perSecond = tiles.length / ((performance.now() - start) / 1000);
    await pool.close();
    return perSecond;
  };
  const embedAll = async (read: (i: number) => Promise<RgbImage>) => {
    const options = { batch, ahead: 2 };
    for await (const part of embedTiles(device, extractor, tiles.length, read, options)) {
      if (part.count === 0) throw new Error('an empty batch');
    }
  };
  const inMemory = async (i: number) => images[i % images.length]!;
  await embedAll(inMemory); // compiles
  const rates: [decode: number, compute: number, both: number][] = [];
  for (let round = 0; round < rounds; round++) {
    rates.push([
      await withPool((read) => Promise.all(tiles.map((__, i) => read(i)))),
      await withPool(() => embedAll(inMemory)),
      await withPool(embedAll),
    ]);
  }
  const median = (i: 0 | 1 | 2) =>
    quantile(
      rates.map((rate) => rate[i]),
      0.5,
    );
  return { decode: median(0), compute: median(1), both: median(2) };
}

/** One batch, from prepared images in memory to embeddings in memory: ours, and onnxruntime's with the same weights. */
async function timeNetwork({ device, extractor, images }: Subject, rounds: number) {
  const side = images[0]!.width;
  const bytes = Uint8Array.from(images.flatMap(({ data }) => [...data]));
  const shape = [images.length, side, side] as const;
  const prepared = preprocess(device, bytes, shape, extractor.preprocessing);
  const input = await prepared.floats();
  const embed = (x: Tensor) => noGrad(() => extractor.forward(x));
  let output: Float32Array = new Float32Array();
  const own: Contestant = {
    name: 'histograd',
    async run(times) {
      for (let i = 0; i < times; i++) {
        const embedded = scope(() => embed(Tensor.from(device, input, prepared.shape)));
        output = await embedded.floats().finally(() => embedded.dispose());
      }
    },
    dispose() {},
  };
  await own.run(1);
  const expected = output;
  let result = prepared;
  const ops = scope(() =>
    traceOps(() => {
      result = embed(prepared);
    }),
  );
  const contestants = [own];
  const differences: Record<string, number> = {};
  const open = await openOnnxruntime(FOLDER);
  if (!open)
    console.log('onnxruntime is not installed: npm ci --ignore-scripts --prefix kernels-bench');
  const shares = onnxruntimeShares(device.adapter);
  if (open && !shares) console.log('onnxruntime WebGPU cannot be pointed at this adapter.');
  if (open) {
    const graph = await onnxGraph(ops, prepared, result);
    for (const provider of shares ? (['cpu', 'webgpu'] as const) : (['cpu'] as const)) {
      const network = await open(graph, provider);
      const difference = relativeDifference(await network.run(input), expected);
      differences[network.name] = difference;
      if (!(difference <= AGREEMENT)) {
        if (provider === 'cpu') throw disagreement(network.name, difference);
        // Its CPU provider agrees with us on this very file.
        console.log(
          `${network.name} gives embeddings that differ by ${difference.toFixed(2)} of the largest value: not timed.`,
        );
        await network.release();
        continue;
      }
      contestants.push({
        name: network.name,
        async run(times) {
          for (let i = 0; i < times; i++) await network.run(input);
        },
        dispose: () => void network.release(),
      });
    }
  }
  const timings = await race(contestants, {
    roundSeconds: 0.2,
    rounds,
    least: rounds,
    budgetSeconds: 60,
  });
  for (const contestant of contestants) contestant.dispose();
  prepared.dispose();
  const named = contestants.map(({ name }, i) => [name, timings[i]!] as const);
  return { cost: forwardCost(ops), differences, timings: Object.fromEntries(named) };
}

function disagreement(name: string, difference: number): HistogradError {
  return new HistogradError(
    'bench-disagreement',
    `${name} and histograd differ by ${difference.toExponential(1)} of the largest value, expected at most ${AGREEMENT}.`,
    'What computes something else must not be compared: check kernels-bench/onnx-graph.ts.',
  );
}

function relativeDifference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Infinity;
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0) / scale
  );
}

await main().catch((error: unknown) => {
  console.error(error instanceof HistogradError ? error.message : error);
  process.exitCode = 1;
});
// onnxruntime's threads keep the process alive.
process.exit();
