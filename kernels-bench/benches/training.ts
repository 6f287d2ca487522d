import { autocast } from '../../src/autograd/autocast.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import type { Module } from '../../src/nn/module.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { GradScaler } from '../../src/optim/grad-scaler.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Bench, Cost, Work } from '../bench.ts';
import { trainingCost } from '../cost.ts';
import { traceOps } from '../trace.ts';

/** How a step is done: in float32, in mixed precision, or in float32, recorded once and replayed. */
export type Way = 'float32' | 'mixed' | 'captured';

type Data = Readonly<Record<string, Tensor>>;

interface Step<D extends Data> {
  readonly model: Module;
  /** The same again and again. */
  readonly data: D;
  loss(data: D): Tensor;
  /** What it needs besides. */
  readonly others?: readonly { dispose(): void }[];
}

/** The bench of a step, and that of the same step in mixed precision, which CPU rasterisers only emulate. */
export function bothPrecisions(
  id: string,
  name: string,
  prepare: (device: Device, way: Way) => Work,
): [Bench, Bench] {
  const quick = false;
  return [
    { id: `${id}-step`, name, quick, prepare: (device) => prepare(device, 'float32') },
    {
      id: `${id}-mixed-step`,
      name: `${name}, mixed precision`,
      quick,
      on: 'gpu',
      prepare: (device) => prepare(device, 'mixed'),
    },
  ];
}

/** Beside the step as it is, the step as `train` does it where its memory allows. */
export function alsoCaptured(step: Bench, prepare: (device: Device, way: Way) => Work): Bench {
  const captured = {
    id: step.id.replace(/step$/, 'captured-step'),
    name: `${step.name}, captured`,
    quick: step.quick,
    prepare: (device: Device) => prepare(device, 'captured'),
  };
  return { ...step, others: [captured] };
}

/** Whole training steps: forward, backward, gradient norm, AdamW. */
export function training<D extends Data>(
  device: Device,
  { model, data, loss, others = [] }: Step<D>,
  way: Way,
): Work {
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  const scaler = way === 'mixed' ? new GradScaler(device) : null;
  let cost: Cost = { flops: 0, bytes: 0 };
  const body = (inputs: D) => {
    let value: Tensor | undefined;
    const ops = traceOps(() => {
      value = autocast(() => loss(inputs), scaler !== null);
      backward(scaler?.scale(value) ?? value);
    });
    if (cost.flops === 0) cost = trainingCost(model, ops);
    const parameters = model.namedParameters().values();
    const clip = scaler?.unscale(parameters) ?? clipGradNorm(parameters);
    optimizer.step(clip);
    scaler?.update(clip);
    optimizer.zeroGrad();
    return { loss: value! };
  };
  const step = way === 'captured' ? new CapturedStep(device, body) : null;
  return {
    get cost() {
      return cost;
    },
    warmUps: step ? 3 : 1, // the second and the third call record, all later ones replay
    run: () => void (step?.run(data) ?? body(data)),
    dispose() {
      step?.dispose();
      scaler?.dispose();
      optimizer.dispose();
      model.dispose();
      for (const item of [...Object.values(data), ...others]) item.dispose();
    },
  };
}
