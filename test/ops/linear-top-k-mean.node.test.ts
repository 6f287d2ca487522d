/**
 * tRNAsformer's published head (64 bags of 49 tokens, 31,793 genes) trains without its 399 MB of scores. Its width of 384
 * is cut to 32 here, so that the test takes seconds; the scores' size does not depend on it.
 */
import { expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { linearTopKMean } from '../../src/ops/linear-top-k-mean.ts';
import { mean } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { normal } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';

const [BAGS, TOKENS, WIDTH, GENES] = [64, 49, 32, 31_793];
const SCORE_BYTES = 4 * BAGS * TOKENS * GENES;

it('trains at the published number of genes within WebGPU’s default limits', {
  timeout: 300_000,
}, async () => {
  const device = await Device.open({ defaultLimits: true });
  expect(SCORE_BYTES).toBeGreaterThan(2.9 * device.bindingBytes);
  const draw = (offset: number, shape: number[], deviation: number) =>
    Parameter.of(normal(device, shape, { seed: [5, 0], offset }, 0, deviation));
  const x = draw(0, [BAGS, TOKENS, WIDTH], 1);
  const weight = draw(1, [GENES, WIDTH], WIDTH ** -0.5);
  const bias = draw(2, [GENES], 0.1);
  const loss = scope(() => {
    const predictions = linearTopKMean(x, weight, bias, { ks: [1, 2, 5, 10, 20, 49] });
    const loss = mean(square(predictions));
    backward(loss);
    return loss;
  });
  // Predictions are means of the largest of 49 scores, themselves about N(0, 1).
  expect(await loss.item()).toBeGreaterThan(1);
  expect(await loss.item()).toBeLessThan(4);
  for (const parameter of [x, weight, bias]) {
    const grad = await parameter.grad!.floats();
    expect(grad.every(Number.isFinite)).toBe(true);
    expect(grad.filter((v) => v !== 0).length).toBeGreaterThan(0.9 * grad.length);
  }
  console.info(`peak GPU memory ${(device.memory.peak / 2 ** 20).toFixed(0)} MiB`);
  expect(device.memory.peak).toBeLessThan(SCORE_BYTES / 3);
  device.close();
});
