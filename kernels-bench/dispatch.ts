/**
 * What a dispatch costs the processor: a training step of many small dispatches, run as it is and replayed. Encoding and submission
 * count, waiting for the GPU does not.
 */
import { quantile } from 'simple-statistics';
import { z } from 'zod';
import { backward } from '../src/autograd/tape.ts';
import { Device, type DeviceOptions } from '../src/gpu/device.ts';
import { type Init, Linear } from '../src/nn/layers.ts';
import { Module } from '../src/nn/module.ts';
import { mse } from '../src/ops/mse.ts';
import { relu } from '../src/ops/unary.ts';
import { AdamW } from '../src/optim/adamw.ts';
import { clipGradNorm } from '../src/optim/grad-norm.ts';
import { CapturedStep } from '../src/tensor/captured-step.ts';
import { Generator } from '../src/tensor/random.ts';
import { scope } from '../src/tensor/scope.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { random } from './benches/tensors.ts';
import { benchEnvironment } from './environment.ts';
import { parseResult } from './run.ts';

/** Microseconds per dispatch, from the first call of a step to the return of its submission. */
const cost = z.object({
  /** Of all rounds: what it costs when nothing else has the core. */
  least: z.number(),
  median: z.number(),
  quartiles: z.tuple([z.number(), z.number()]),
});

const dispatchRun = z.object({
  environment: z.record(z.string(), z.string()),
  /** Of one step. */
  dispatches: z.number(),
  submissions: z.number(),
  rounds: z.number(),
  eager: cost,
  captured: cost,
});

export type DispatchRun = z.infer<typeof dispatchRun>;

export function parseDispatchRun(text: string, file: string): DispatchRun {
  return parseResult(dispatchRun, text, file);
}

/** Aimed at on lavapipe, per dispatch of a replayed step. */
export const GOAL_MICROSECONDS = 8;

const LAYERS = 16;
const WIDTH = 8;
const ROUNDS = 200;
const STEPS_BEFORE = 3;

class Perceptron extends Module {
  readonly layers: readonly Linear[];

  constructor(init: Init) {
    super();
    this.layers = Array.from({ length: LAYERS }, () => new Linear(init, WIDTH, WIDTH));
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer) => relu(layer.forward(y)), x);
  }
}

export async function measureDispatches(request: DeviceOptions): Promise<DispatchRun> {
  const device = await Device.open(request);
  const environment = await benchEnvironment(device);
  const model = new Perceptron({ device, generator: new Generator(1) });
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-3 });
  const inputs = { x: random(device, [4, WIDTH], 2), targets: random(device, [4, WIDTH], 3) };
  const body = ({ x, targets }: typeof inputs) => {
    const loss = mse(model.forward(x), targets);
    backward(loss);
    optimizer.step(clipGradNorm(model.namedParameters().values()), () => 1);
    optimizer.zeroGrad();
    return { loss };
  };
  const step = new CapturedStep(device, body);
  const run = (capture: boolean) => {
    scope(() => void (capture ? step.run(inputs) : body(inputs)));
    device.flush();
  };
  for (let i = 0; i < 5; i++) for (const capture of [true, false]) run(capture);
  await device.sync();
  const before = device.counts;
  run(true);
  const after = device.counts;
  const dispatches = after.dispatches - before.dispatches;
  const submissions = after.submissions - before.submissions;
  const times = { eager: [] as number[], captured: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const capture of [false, true]) {
      await device.sync(); // nothing is left to do: a driver on the same cores takes little from the step
      // Amid others, as in training: the first step after a wait finds its caches cold.
      for (let i = 0; i < STEPS_BEFORE; i++) run(capture);
      const start = performance.now();
      run(capture);
      times[capture ? 'captured' : 'eager'].push((1000 * (performance.now() - start)) / dispatches);
    }
  }
  device.close();
  return {
    ...{ environment, dispatches, submissions, rounds: ROUNDS },
    eager: costOf(times.eager),
    captured: costOf(times.captured),
  };
}

function costOf(times: number[]): DispatchRun['eager'] {
  return {
    least: Math.min(...times),
    median: quantile(times, 0.5),
    quartiles: [quantile(times, 0.25), quantile(times, 0.75)],
  };
}

export function dispatchLines({ environment, ...run }: DispatchRun): string {
  const { dispatches, submissions } = run;
  const line = (what: 'eager' | 'captured') => {
    const { least, median, quartiles } = run[what];
    const middle = quartiles.map((each) => each.toFixed(1)).join(' … ');
    return `${what}: ${least.toFixed(1)} µs per dispatch (least), ${median.toFixed(1)} µs (median), ${middle} (middle half)`;
  };
  return `${environment.adapter}: a step of ${dispatches} dispatches and ${submissions} submission${submissions === 1 ? '' : 's'}, encoded and submitted\n${line('eager')}\n${line('captured')}`;
}
