/** Batches of bags, read ahead of the training loop, in bounded memory. */
import { HistogradError } from '../errors.ts';
import type { PatchFeatures } from './features.ts';
import type { PackedBags } from './packed-bags.ts';
import { sampleSorted } from './shuffle.ts';

/** A bag that can be read. */
export interface StreamedBag {
  /** Where it comes from, for messages. */
  readonly path: string;
  readonly rows: number;
  readonly width: number;
}

/** How to stream. */
export interface BagStreamOptions<Slide extends StreamedBag> {
  /** Batches to have ready or in work besides the one in use; default 2. */
  readonly prefetch?: number | undefined;
  /** At most this many patches per bag, drawn at random without replacement; all by default. */
  readonly maxPatches?: number | undefined;
  /** With `epoch` and the slide's index, decides which patches are drawn: a resumed run draws the same. Default 0. */
  readonly sampleSeed?: number | undefined;
  /** Default 0. */
  readonly epoch?: number | undefined;
  /** Reads one bag. */
  readonly read: (slide: Slide) => Promise<PatchFeatures>;
}

/**
 * Streams the batches that `order` lists, each a list of indices into `slides`. Never more than `prefetch` + 1 batches
 * (the one in use included) and one bag are in memory; bags are read one after another.
 *
 * @throws HistogradError `bad-batch` (an empty batch, an index that is no slide, a `prefetch` or `maxPatches` that is no
 *   positive integer), `features-changed` (a file has another shape than when the cohort was loaded), and those of
 *   `read`
 */
export async function* streamBags<Slide extends StreamedBag>(
  slides: readonly Slide[],
  order: Iterable<readonly number[]>,
  options: BagStreamOptions<Slide>,
): AsyncGenerator<PackedBags, void, undefined> {
  const { prefetch = 2, maxPatches } = options;
  if (!isPositive(prefetch) || (maxPatches !== undefined && !isPositive(maxPatches))) {
    throw bad(
      `prefetch is ${prefetch} and maxPatches is ${maxPatches}; expected positive integers`,
    );
  }
  const batches = order[Symbol.iterator]();
  const queue: Promise<PackedBags>[] = [];
  let previous: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const enqueue = (): void => {
    const next = batches.next();
    if (next.done) return;
    // After the one before, whether or not that worked: reading bags side by side only makes the first one later.
    const batch = previous.then(() => {
      if (stopped) throw bad('the stream was stopped');
      return loadBatch(slides, next.value, options);
    });
    previous = batch.catch(() => undefined);
    queue.push(batch);
  };

  try {
    for (let i = 0; i <= prefetch; i++) enqueue();
    while (queue.length > 0) {
      const batch = await queue.shift();
      if (batch) yield batch;
      // Only now has the consumer given the batch back.
      enqueue();
    }
  } finally {
    stopped = true;
  }
}

async function loadBatch<Slide extends StreamedBag>(
  slides: readonly Slide[],
  indices: readonly number[],
  options: BagStreamOptions<Slide>,
): Promise<PackedBags> {
  const { maxPatches = Number.POSITIVE_INFINITY, sampleSeed = 0, epoch = 0 } = options;
  const bags = indices.map((index) => {
    const slide = slides[index];
    if (slide === undefined) throw bad(`${index} is not one of the ${slides.length} slides`);
    return { index, slide, rows: Math.min(slide.rows, maxPatches) };
  });
  const [first] = bags;
  if (first === undefined) throw bad('a batch is empty');

  const { width } = first.slide;
  const offsets = new Uint32Array(bags.length + 1);
  for (const [b, { rows }] of bags.entries()) offsets[b + 1] = offsets[b]! + rows;
  const features = new Float32Array(offsets[bags.length]! * width);

  for (const [b, { index, slide, rows }] of bags.entries()) {
    const bag = await options.read(slide);
    requireSameShape({ path: slide.path, rows: slide.rows, width }, bag);
    const start = offsets[b]! * width;
    if (rows === bag.rows) {
      features.set(bag.features, start);
    } else {
      const chosen = sampleSorted(bag.rows, rows, sampleSeed, epoch, index);
      for (const [i, row] of chosen.entries()) {
        const patch = bag.features.subarray(row * width, (row + 1) * width);
        features.set(patch, start + i * width);
      }
    }
  }
  return { indices: [...indices], features, offsets };
}

/** Throws `features-changed` where a bag has not the shape that its header had. */
export function requireSameShape(
  { path, rows, width }: Pick<StreamedBag, 'path' | 'rows' | 'width'>,
  found: { readonly rows: number; readonly width: number },
): void {
  if (found.rows === rows && found.width === width) return;
  throw new HistogradError(
    'features-changed',
    `${path} has shape [${found.rows}, ${found.width}]; [${rows}, ${width}] was expected from its header.`,
    'Do not change feature files during a run; start again.',
  );
}

function isPositive(value: number): boolean {
  return Number.isInteger(value) && value > 0;
}

function bad(problem: string): HistogradError {
  return new HistogradError(
    'bad-batch',
    `Bags cannot be streamed: ${problem}.`,
    'Pass batches of slide indices, none of them empty.',
  );
}
