/** `npm run bench -- --patches`: what a training step costs from 10³ to 10⁶ patches per slide, whole and in pieces. */
import { linearRegression, quantile } from 'simple-statistics';
import { z } from 'zod';
import { backward } from '../src/autograd/tape.ts';
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import { DIRECT_ABMIL, DirectAbmil } from '../src/models/direct-abmil.ts';
import { streamedBackward } from '../src/models/streamed-abmil.ts';
import { AdamW } from '../src/optim/adamw.ts';
import { clipGradNorm } from '../src/optim/grad-norm.ts';
import { Generator } from '../src/tensor/random.ts';
import { scope } from '../src/tensor/scope.ts';
import { Segments } from '../src/tensor/segments.ts';
import { Tensor } from '../src/tensor/tensor.ts';
import { ceilingsSchema, parseResult } from './run.ts';

const MODES = ['whole', 'streamed'] as const;
type Mode = (typeof MODES)[number];

const patchRun = z.object({
  environment: z.record(z.string(), z.string()),
  ceilings: ceilingsSchema,
  width: z.number(),
  genes: z.number(),
  /** Patches of a piece, where the slide is streamed. */
  piece: z.number(),
  points: z.array(
    z.object({
      patches: z.number(),
      mode: z.enum(MODES),
      /** Of one training step, uploads included: median, shortest and longest, in seconds. */
      seconds: z.object({ median: z.number(), least: z.number(), most: z.number() }),
      /** Of which these are. */
      steps: z.number(),
      peakBytes: z.number(),
    }),
  ),
});

export type PatchRun = z.infer<typeof patchRun>;
export type PatchPoint = PatchRun['points'][number];

export function parsePatchRun(text: string, file: string): PatchRun {
  return parseResult(patchRun, text, file);
}

/** The e of time ~ patchesᵉ, by least squares of the logarithms; NaN of fewer than two sizes. */
export function exponentOf(points: readonly PatchPoint[]): number {
  return linearRegression(
    points.map(({ patches, seconds }) => [Math.log(patches), Math.log(seconds.median)]),
  ).m;
}

const SIZES = { width: 1024, genes: 20530 };
const PIECE = 8192;
/** Beyond this, a whole slide's activations take gigabytes. */
const MOST_WHOLE = 30_000;
const COUNTS = [1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
/** Steps that are timed: more of the short ones. */
const [LEAST_STEPS, MOST_STEPS, ENOUGH_SECONDS] = [3, 7, 5];

/** Direct-ABMIL's step at each size up to `most` patches, on a device of its own. */
export async function measurePatches(
  request: DeviceOptions,
  most: number,
  progress: (line: string) => void,
): Promise<Omit<PatchRun, 'environment' | 'ceilings'>> {
  const points: PatchPoint[] = [];
  for (const patches of COUNTS.filter((count) => count <= most)) {
    for (const mode of MODES) {
      if (mode === 'whole' && patches > MOST_WHOLE) continue;
      const device = await Device.open(request);
      const point = await measure(device, mode, patches);
      device.close();
      points.push(point);
      progress(
        `${patches} patches, ${mode}: ${point.seconds.median.toFixed(2)} s (${point.steps} steps), ${(point.peakBytes / 1e6).toFixed(0)} MB`,
      );
    }
  }
  return { ...SIZES, piece: PIECE, points };
}

async function measure(device: Device, mode: Mode, patches: number): Promise<PatchPoint> {
  const model = new DirectAbmil({ device, generator: new Generator(1) }, SIZES, DIRECT_ABMIL);
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  const targets = Tensor.from(device, new Float32Array(SIZES.genes).fill(0.5), [1, SIZES.genes]);
  // Made once: drawing numbers is no part of a step.
  const features = rows(mode === 'whole' ? patches : Math.min(patches, PIECE));
  const step = async (count: number) => {
    if (mode === 'whole') wholeBackward(model, features, targets);
    else await streamedBackward(model, () => pieces(features, count), targets);
    scope(() => optimizer.step(clipGradNorm(model.namedParameters().values())));
    optimizer.zeroGrad();
    await device.sync();
  };
  await step(Math.min(patches, mode === 'whole' ? patches : PIECE)); // compiles
  const times: number[] = [];
  const start = performance.now();
  const since = (from: number) => (performance.now() - from) / 1000;
  while (
    times.length < LEAST_STEPS ||
    (times.length < MOST_STEPS && since(start) < ENOUGH_SECONDS)
  ) {
    const began = performance.now();
    await step(patches);
    times.push(since(began));
  }
  const seconds = {
    median: quantile(times, 0.5),
    least: Math.min(...times),
    most: Math.max(...times),
  };
  return { patches, mode, seconds, steps: times.length, peakBytes: device.memory.peak };
}

function wholeBackward(model: DirectAbmil, features: Float32Array, targets: Tensor): void {
  const { device } = targets;
  const count = features.length / SIZES.width;
  const segments = new Segments(device, [0, count]);
  scope(() => {
    const x = Tensor.from(device, features, [count, SIZES.width]);
    backward(model.loss({ features: x, segments }, targets));
  });
  segments.dispose();
}

/** The slide, in memory only as far as it is asked for: the rows of `piece` again and again. */
function* pieces(piece: Float32Array, patches: number): Iterable<Float32Array> {
  for (let left = patches; left > 0; left -= PIECE) {
    yield piece.subarray(0, Math.min(left, PIECE) * SIZES.width);
  }
}

function rows(count: number): Float32Array {
  const step = 0.618_033_988_75; // evenly spread, and no two rows alike
  return Float32Array.from({ length: count * SIZES.width }, (_, i) => ((i * step) % 1) - 0.5);
}
