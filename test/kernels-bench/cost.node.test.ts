/** What the benches count as the least work of a network, against formulas. */
import { expect, it } from 'vitest';
import { forwardCost, trainingCost } from '../../kernels-bench/cost.ts';
import { traceOps } from '../../kernels-bench/trace.ts';
import { autocast } from '../../src/autograd/autocast.ts';
import { noGrad } from '../../src/autograd/tape.ts';
import { DirectAbmil } from '../../src/models/direct-abmil.ts';
import { Attention } from '../../src/nn/attention.ts';
import { Conv2d } from '../../src/nn/conv.ts';
import { attention } from '../../src/ops/attention.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';

it('counts products, convolutions and attention, and what they read and write', async () => {
  const device = await testDevice();
  const init = { device, generator: new Generator(1) };
  const zeros = (...shape: number[]) => Tensor.zeros(device, shape);
  const flopsOf = (body: () => unknown) =>
    scope(() => forwardCost(traceOps(() => noGrad(body))).flops);
  const conv = new Conv2d(init, 8, 12, 3, { groups: 4, padding: 1, stride: 2 });
  const block = new Attention(init, 24, 3);
  const a = zeros(2, 5, 7);
  expect(flopsOf(() => matmul(a, zeros(2, 7, 3)))).toBeCloseTo(2 * 2 * 5 * 7 * 3, 6);
  expect(flopsOf(() => matmul(a, zeros(2, 5, 4), { transposeA: true }))).toBeCloseTo(
    2 * 2 * 7 * 5 * 4,
    6,
  );
  expect(flopsOf(() => conv.forward(zeros(2, 8, 9, 9)))).toBe(2 * 2 * 12 * 5 * 5 * 2 * 9);
  const [q, k, v] = [zeros(2, 3, 5, 4), zeros(2, 3, 7, 4), zeros(2, 3, 7, 6)];
  expect(flopsOf(() => attention(q, k, v))).toBe(2 * 2 * 3 * 5 * 7 * (4 + 6));
  const projections = 2 * 2 * 11 * 24 * (72 + 24);
  expect(flopsOf(() => block.forward(zeros(2, 11, 24)))).toBe(projections + 4 * 2 * 11 * 11 * 24);
  const { bytes } = scope(() => forwardCost(traceOps(() => matmul(a, zeros(2, 7, 3)))));
  expect(bytes).toBe(4 * 2 * (5 * 7 + 7 * 3 + 5 * 3));
  const [c, d] = [zeros(6, 8), zeros(8, 4)];
  const mixed = () => autocast(() => matmul(c, d), true);
  expect(scope(() => forwardCost(traceOps(mixed))).bytes).toBe(2 * (6 * 8 + 8 * 4) + 4 * 6 * 4);
  for (const each of [conv, block, a, q, k, v, c, d]) each.dispose();
});

it('counts both passes of a training step, without the gradient of the features', async () => {
  const device = await testDevice();
  const [patches, width, hidden, inner, genes] = [10, 16, 8, 4, 20];
  const options = { hidden, attention: inner, gated: true, dropout: 0.25 };
  const model = new DirectAbmil({ device, generator: new Generator(1) }, { width, genes }, options);
  const segments = new Segments(device, [0, patches]);
  const features = Tensor.zeros(device, [patches, width]);
  const targets = Tensor.zeros(device, [1, genes]);
  const ops = scope(() => traceOps(() => model.loss({ features, segments }, targets)));
  const perPatch = width * hidden + 2 * hidden * inner + inner;
  const forward = 2 * (patches * perPatch + hidden * genes);
  expect(trainingCost(model, ops).flops).toBe(3 * forward - 2 * patches * width * hidden);
  expect(forwardCost(ops).flops).toBe(forward);
  segments.dispose();
  for (const each of [model, features, targets]) each.dispose();
});
