import { backward } from '../../src/autograd/tape.ts';
import type { Module } from '../../src/nn/module.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Cost, Work } from '../bench.ts';
import { trainingCost } from '../cost.ts';
import { traceOps } from '../trace.ts';

/** Whole training steps (forward, backward, gradient norm, AdamW) of `model` on the same data again and again. */
export function training(
  model: Module,
  loss: () => Tensor,
  data: readonly { dispose(): void }[],
): Work {
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  let cost: Cost = { flops: 0, bytes: 0 };
  return {
    get cost() {
      return cost;
    },
    run() {
      const ops = traceOps(() => backward(loss()));
      if (cost.flops === 0) cost = trainingCost(model, ops);
      optimizer.step(clipGradNorm(model.namedParameters().values()));
      optimizer.zeroGrad();
    },
    dispose() {
      optimizer.dispose();
      model.dispose();
      for (const item of data) item.dispose();
    },
  };
}
