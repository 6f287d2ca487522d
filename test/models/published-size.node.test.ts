/**
 * The published size (1,024-d features, a bag of 10,000 patches, 20,530 genes) trains within WebGPU's
 * default limits: no binding above 128 MiB, no buffer above 256 MiB.
 */
import { expect, it } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { DIRECT_ABMIL, DirectAbmil } from '../../src/models/direct-abmil.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { Generator, normal } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';

const PATCHES = 10_000;
const SIZES = { width: 1024, genes: 20_530 };

it('trains Direct-ABMIL on a bag of 10,000 patches for 20,530 genes', {
  timeout: 300_000,
}, async () => {
  const device = await Device.open({ defaultLimits: true });
  expect(device.limits.maxStorageBufferBindingSize).toBe(128 * 2 ** 20);
  const generator = new Generator(1);
  const model = new DirectAbmil({ device, generator }, SIZES, DIRECT_ABMIL);
  const optimizer = new AdamW(model.namedParameters(), { lr: 1e-4 });
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    optimizer.zeroGrad();
    const loss = scope(() => {
      const bag = {
        features: normal(device, [PATCHES, SIZES.width], { seed: [7, 0], offset: 0 }),
        segments: Segments.ofLengths(device, [PATCHES]),
      };
      const targets = normal(device, [1, SIZES.genes], { seed: [8, 0], offset: 0 });
      const loss = model.loss(bag, targets);
      backward(loss);
      optimizer.step(clipGradNorm(model.namedParameters().values()));
      bag.segments.dispose();
      return loss;
    });
    losses.push(await loss.item());
    loss.dispose();
  }
  // One bag, fitted again and again: the loss starts near the targets' variance of 1 and falls.
  expect(losses[0]).toBeGreaterThan(0.9);
  expect(losses[2]).toBeLessThan(losses[0]!);
  console.info(`peak GPU memory ${(device.memory.peak / 2 ** 20).toFixed(0)} MiB`);
  device.close();
});
