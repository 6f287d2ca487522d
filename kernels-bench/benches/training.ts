import { autocast } from '../../src/autograd/autocast.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import type { Module } from '../../src/nn/module.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { GradScaler } from '../../src/optim/grad-scaler.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Bench, Cost, Work } from '../bench.ts';
import { trainingCost } from '../cost.ts';
import { traceOps } from '../trace.ts';

export type Precision = 'float32' | 'mixed';

/** The bench of a step, and that of the same step in mixed precision, which CPU rasterisers only emulate. */
export function bothPrecisions(
  id: string,
  name: string,
  prepare: (device: Device, precision: Precision) => Work,
): Bench[] {
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

/** Whole training steps (forward, backward, gradient norm, AdamW) of `model` on the same data again and again. */
export function training(
  model: Module,
  loss: () => Tensor,
  data: readonly { dispose(): void }[],
  device: Device,
  precision: Precision = 'float32',
): Work {
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  const scaler = precision === 'mixed' ? new GradScaler(device) : null;
  let cost: Cost = { flops: 0, bytes: 0 };
  return {
    get cost() {
      return cost;
    },
    run() {
      const ops = traceOps(() => {
        const value = autocast(loss, scaler !== null);
        backward(scaler?.scale(value) ?? value);
      });
      if (cost.flops === 0) cost = trainingCost(model, ops);
      const parameters = model.namedParameters().values();
      const clip = scaler?.unscale(parameters) ?? clipGradNorm(parameters);
      optimizer.step(clip);
      scaler?.update(clip);
      optimizer.zeroGrad();
    },
    dispose() {
      scaler?.dispose();
      optimizer.dispose();
      model.dispose();
      for (const item of data) item.dispose();
    },
  };
}
