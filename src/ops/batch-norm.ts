import code from '../../shaders/batch-norm.wgsl';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { type GridPlan, rowPlan } from '../tensor/grid.ts';
import { bindPart, type Part, rowParts } from '../tensor/parts.ts';
import { type Shape, sizeOf, Tensor } from '../tensor/tensor.ts';
import { defineOp, formatShape, formatShapes, shapeError } from './op.ts';

const kernel = defineKernel('batch-norm', code);

export interface BatchNormOptions {
  /** Normalise with the statistics of this batch, and move the running ones towards them; else with the running ones. */
  training: boolean;
  /** How far the running statistics move: running ← (1 − momentum) · running + momentum · batch. */
  momentum: number;
  eps: number;
  /** [C]; updated in place in training. Null: none (training only). */
  runningMean: Tensor | null;
  runningVar: Tensor | null;
}

/** `struct Channel` of the kernel. */
const CHANNEL_FLOATS = 5;
const MOMENTS_FLOATS = 4;

/** How x [N, C, ...] is cut: parts that fit a binding, and tasks of the kernel within them. */
interface Plan {
  samples: number;
  channels: number;
  /** Loads (vec4s or floats) of a plane, and how chunks cut it. */
  length: number;
  per: number;
  run: number;
  pieces: number;
  parts: readonly Part[];
  overrides: Record<string, number>;
}

function planOf(x: Tensor): Plan {
  const { device } = x;
  const [samples, channels] = x.shape as [number, number];
  const positions = sizeOf(x.shape.slice(2));
  const vec = positions % 4 === 0;
  const length = vec ? positions / 4 : positions;
  const gpu = device.class === 'gpu';
  // Threads share a plane where it is long; else each has its own channel, so that they read side by side.
  let threads = 1;
  if (gpu && length >= 16) threads = length <= 64 ? 32 : length <= 1024 ? 64 : 256;
  const chunk = threads * (gpu ? (vec ? 16 : 64) : 512);
  const pieces = Math.ceil(length / chunk);
  const perGroup = gpu ? Math.max(1, (threads === 1 ? 64 : 256) / threads) : 8;
  return {
    samples,
    channels,
    length,
    per: Math.max(1, Math.min(samples, Math.floor(chunk / length))),
    run: Math.ceil(length / pieces),
    pieces,
    parts: rowParts(device, samples, [channels * positions]),
    overrides: {
      VEC: vec ? 1 : 0,
      THREADS_PER_ROW: threads,
      ROWS_PER_GROUP: perGroup,
      ROW_THREADS: threads * perGroup,
    },
  };
}

function chunksOf(plan: Plan, part: Part): number {
  return Math.ceil(part.count / plan.per) * plan.pieces;
}

function allChunks(plan: Plan): number {
  return plan.parts.reduce((total, part) => total + chunksOf(plan, part), 0);
}

interface Scalars {
  eps?: number;
  momentum?: number;
  inverseCount?: number;
}

function paramsOf(plan: Plan, scalars: Scalars) {
  const { samples, channels, length, per, run, pieces } = plan;
  const { eps = 0, momentum = 0, inverseCount = 0 } = scalars;
  const grid = { samples, channels, length, per, run, pieces, chunks: 0, first: 0 };
  return { ...grid, eps, momentum, inverse_count: inverseCount };
}

/** Runs an entry point over all chunks of all parts; `planes` are bound in parts, once as floats and once as vec4s. */
function runChunks(
  entry: string,
  plan: Plan,
  tensors: { planes: Record<string, Tensor>; out?: Tensor; whole: Record<string, Tensor> },
  scalars: Scalars = {},
): void {
  const { channels, overrides } = plan;
  const device = Object.values(tensors.planes)[0]!.device;
  const width = channels * plan.length * (overrides.VEC ? 4 : 1);
  const spare = tensors.out && Tensor.empty(device, [4], 'f32', 'batch-norm, not used');
  let first = 0;
  for (const part of plan.parts) {
    const chunks = chunksOf(plan, part);
    const bindings = Object.entries(tensors.planes).flatMap(([name, tensor]) => {
      const bound = bindPart(tensor, part, width);
      return [
        [name, bound],
        [`${name}4`, bound],
      ];
    });
    const written = tensors.out && bindPart(tensors.out, part, width);
    if (written) {
      bindings.push(['out', overrides.VEC ? spare!.buffer : written]);
      bindings.push(['out4', overrides.VEC ? written : spare!.buffer]);
    }
    device.run(kernel, entry, {
      buffers: { ...Object.fromEntries(bindings), ...buffersOf(tensors.whole) },
      params: { ...paramsOf(plan, scalars), samples: part.count, chunks, first },
      overrides,
      groups: Math.ceil((chunks * channels) / overrides.ROWS_PER_GROUP!),
    });
    first += chunks;
  }
  spare?.dispose();
}

/** Runs an entry point with one row of threads per channel. */
function runChannels(
  entry: string,
  device: Device,
  plan: Plan,
  whole: Record<string, Tensor>,
  scalars: Scalars,
  more: Record<string, number> = {},
): void {
  const chunks = allChunks(plan);
  const grid: GridPlan =
    entry === 'running' ? onePerThread(plan.channels) : rowPlan(device, plan.channels, chunks);
  device.run(kernel, entry, {
    buffers: buffersOf(whole),
    params: { ...paramsOf(plan, scalars), chunks },
    overrides: { ...grid.overrides, ...more },
    groups: grid.groups,
  });
}

function onePerThread(tasks: number): GridPlan {
  const overrides = { THREADS_PER_ROW: 1, ROWS_PER_GROUP: 64, ROW_THREADS: 64 };
  return { groups: Math.ceil(tasks / 64), overrides };
}

function buffersOf(tensors: Record<string, Tensor>) {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.buffer]));
}

/** What normalises each channel: mean, 1 / deviation, weight and bias; moves the running statistics in training. */
function channelTable(inputs: readonly Tensor[], plan: Plan, options: BatchNormOptions): Tensor {
  const [x, weight, bias] = inputs as [Tensor, Tensor?, Tensor?];
  const { device } = x;
  const { training, eps, momentum } = options;
  const { channels } = plan;
  const make = (shape: Shape) => Tensor.empty(device, shape, 'f32', 'batch-norm statistics');
  const table = make([channels, CHANNEL_FLOATS]);
  const noStatistics = [make([channels]), make([channels])] as const;
  const noWeight = make([1]);
  const whole = {
    table,
    weight: weight ?? noWeight,
    bias: bias ?? noWeight,
    running_mean: options.runningMean ?? noStatistics[0],
    running_var: options.runningVar ?? noStatistics[1],
  };
  const affine = { AFFINE: weight ? 1 : 0 };
  if (training) {
    const moments = make([allChunks(plan), channels, MOMENTS_FLOATS]);
    runChunks('statistics', plan, { planes: { x }, whole: { partial_moments: moments } });
    const all = { ...whole, partial_moments: moments };
    runChannels('finish', device, plan, all, { eps, momentum }, affine);
    moments.dispose();
  } else runChannels('running', device, plan, whole, { eps }, affine);
  for (const tensor of [...noStatistics, noWeight]) tensor.dispose();
  return table;
}

export const batchNormOp = defineOp<BatchNormOptions>({
  name: 'batch-norm',
  inputs: 'x [N, C, ...], weight [C]?, bias [C]?',
  output: '[N, C, ...]',
  cost: '7·N',
  shape([x, weight, bias], options) {
    const channels = x![1];
    const fits = (s: Shape | undefined) => s?.length === 1 && s[0] === channels;
    if (channels === undefined || Boolean(weight) !== Boolean(bias)) {
      const found = formatShapes([x!, ...(weight ? [weight] : [])]);
      throw shapeError('batch-norm', 'x [N, C, ...], and weight and bias [C] or neither', found);
    }
    if (weight && !(fits(weight) && fits(bias))) {
      const found = formatShapes([x!, weight, bias!]);
      throw shapeError('batch-norm', 'x [N, C, ...] with weight [C] and bias [C]', found);
    }
    checkStatistics(options, fits, channels);
    if (options.training && sizeOf(x!) === channels && channels > 0) {
      throw shapeError(
        'batch-norm',
        'more than 1 value per channel when training',
        formatShape(x!),
      );
    }
    return x!;
  },
  forward(inputs, options, output) {
    const [x] = inputs as [Tensor];
    if (x.size === 0) return;
    const plan = planOf(x);
    const table = channelTable(inputs, plan, options);
    runChunks('normalise', plan, { planes: { x }, out: output, whole: { channel_of: table } });
    return [table];
  },
  gradient({ grad: dy, inputs, saved: [table], options: { training }, needs }) {
    const [x, weight] = inputs as [Tensor, Tensor?];
    const { device } = x;
    const affine = (tensor: Tensor) => (weight ? [tensor] : []);
    if (!table) {
      const none = () => Tensor.zeros(device, [x.shape[1]!]);
      return [Tensor.zeros(device, x.shape), ...(weight ? [none(), none()] : [])];
    }
    const plan = planOf(x);
    const { channels } = plan;
    const make = (shape: Shape) => Tensor.empty(device, shape, 'f32', 'batch-norm gradient');
    const planes = { x, dy };
    const inverseCount = training ? channels / x.size : 0;
    const [dweight, dbias, means] = [make([channels]), make([channels]), make([channels, 2])];
    const wanted = training || needs[1] || needs[2];
    if (wanted) {
      const partial = make([allChunks(plan), channels, 2]);
      const whole = { channel_of: table, partial_sums: partial };
      runChunks('sums', plan, { planes, whole });
      const outputs = { partial_sums: partial, dweight, dbias, means };
      runChannels('finish_sums', device, plan, outputs, { inverseCount });
    }
    let dx: Tensor | null = null;
    if (needs[0]) {
      dx = make(x.shape);
      const whole = { channel_of: table, mean_of: means };
      runChunks('backward', plan, { planes, out: dx, whole }, { inverseCount });
    }
    if (!wanted) return [dx, ...affine(dweight).flatMap(() => [null, null])];
    return [dx, ...affine(dweight), ...affine(dbias)];
  },
});

function checkStatistics(
  { training, runningMean, runningVar }: BatchNormOptions,
  fits: (shape: Shape) => boolean,
  channels: number,
): void {
  if (!training && !(runningMean && runningVar)) {
    throw new HistogradError(
      'option',
      'batch-norm: without running statistics there is nothing to normalise with in evaluation.',
      'Give runningMean and runningVar, or training: true.',
    );
  }
  for (const statistic of [runningMean, runningVar]) {
    if (statistic && !fits(statistic.shape)) {
      const found = formatShape(statistic.shape);
      throw shapeError('batch-norm', `running statistics of shape [${channels}]`, found);
    }
  }
}

/**
 * Batch normalisation over all axes of x [N, C, ...] but the second (Ioffe & Szegedy 2015; torch.nn.functional.batch_norm),
 * with weight [C] and bias [C], or without both. In training it uses the batch's statistics, moves the running ones
 * (variance with Bessel's correction) in place, and needs more than one value per channel.
 */
export function batchNorm(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  options: Partial<BatchNormOptions>,
): Tensor {
  const all = { runningMean: null, runningVar: null, training: false, momentum: 0.1, eps: 1e-5 };
  const affine = [weight, bias].filter((tensor) => tensor !== null);
  return batchNormOp.apply([x, ...affine], { ...all, ...options });
}
