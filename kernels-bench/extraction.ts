/** `npm run bench:extract -- <slide> <weights>`: tiles per second when only decoding, only computing, and both overlapped. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { parseCheckpoint } from '../src/data/checkpoint.ts';
import { embedTiles } from '../src/extraction/embed-tiles.ts';
import { createTilePool } from '../src/extraction/node/tile-pool.ts';
import { Device } from '../src/gpu/device.ts';
import { loadWeights } from '../src/models/extractors/load-weights.ts';
import { createExtractor, inferExtractor } from '../src/models/extractors/registry.ts';
import { openSlide } from '../src/slides/node/open-slide.ts';
import { selectedTiles, selectTiles } from '../src/slides/select-tiles.ts';
import type { RgbImage } from '../src/slides/slide.ts';
import { type PlannedTile, planTiles, readTile } from '../src/slides/tiling.ts';
import { Generator } from '../src/tensor/random.ts';

const program = new Command('npm run bench:extract --')
  .argument('<slide>')
  .argument('<weights>')
  .option('--batch <n>', 'tiles per pass', Number, 16)
  .option('--tiles <n>', 'how many, at most', Number, 64)
  .option('--threads <n>', 'that decode', Number, 2)
  .parse();
const [slidePath, weightsPath] = program.args as [string, string];
const { batch, tiles: most, threads } = program.opts();

const device = await Device.open();
const checkpoint = parseCheckpoint(readFileSync(weightsPath), weightsPath);
const name = inferExtractor(checkpoint.tensors);
const init = { device, generator: new Generator(0) };
const extractor = createExtractor(name, init, checkpoint.tensors);
loadWeights(extractor, checkpoint);

const slide = await openSlide(slidePath);
const plan = planTiles(slide, { mpp: 0.5, size: extractor.preprocessing.size });
const kept = selectedTiles(plan, await selectTiles(slide, plan));
const tiles = kept.slice(0, most);
const count = tiles.length;
const { tiles: _, ...bare } = plan;
const worker = new URL('../node/tile-worker.js', import.meta.url);

/** Runs `work` with threads that have started, but have no decoded tiles yet. */
async function withPool(work: (read: (i: number) => Promise<RgbImage>) => Promise<unknown>) {
  const pool = createTilePool(threads, worker);
  const read = (tile: PlannedTile) => pool.read(slidePath, { plan: bare, tile, normalise: false });
  await Promise.all(Array.from({ length: threads }, () => read(kept.at(-1)!)));
  const start = performance.now();
  await work((i) => read(tiles[i]!));
  const perSecond = count / ((performance.now() - start) / 1000);
  await pool.close();
  return perSecond;
}

const images = await Promise.all(tiles.slice(0, batch).map((tile) => readTile(slide, plan, tile)));
const inMemory = async (i: number) => images[i % images.length]!;

async function embedAll(read: (i: number) => Promise<RgbImage>): Promise<void> {
  for await (const part of embedTiles(device, extractor, count, read, { batch, ahead: 2 })) {
    if (part.count === 0) throw new Error('an empty batch');
  }
}

await embedAll(inMemory); // compiles
const rounds: { decode: number; compute: number; both: number }[] = [];
for (let round = 0; round < 3; round++) {
  rounds.push({
    decode: await withPool((read) => Promise.all(tiles.map((_, i) => read(i)))),
    compute: await withPool(() => embedAll(inMemory)),
    both: await withPool(embedAll),
  });
}
const median = (key: 'decode' | 'compute' | 'both') =>
  rounds.map((round) => round[key]).sort((a, b) => a - b)[1]!;
console.log(
  `${name} on ${device.adapter.name}, ${count} tiles of ${plan.size} pixels, batch ${batch}, ${threads} threads; medians of 3, tiles/s:`,
);
console.log(
  `decode only ${median('decode').toFixed(1)}, extract only ${median('compute').toFixed(1)}, overlapped ${median('both').toFixed(1)}`,
);
await slide.close();
device.close();
