import { afterEach, expect, it, vi } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { createModel, MODEL_KINDS } from '../../src/models/registry.ts';
import { Linear } from '../../src/nn/layers.ts';
import { dropout } from '../../src/ops/dropout.ts';
import { reshape } from '../../src/ops/layout.ts';
import { mean } from '../../src/ops/reduce.ts';
import { exp } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { Ema } from '../../src/optim/ema.ts';
import { GradScaler } from '../../src/optim/grad-scaler.ts';
import { Generator } from '../../src/tensor/random.ts';
import { keep, scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';

afterEach(() => vi.restoreAllMocks());

it.each(['direct-abmil', 'direct-patch-level', 'contrastive'] as const)(
  'compiles a step of %s, which then gives the same bits',
  async (kind) => {
    const results = [];
    for (const ahead of [false, true]) {
      const device = await Device.open();
      const context = { device, generator: new Generator(5) };
      const model = createModel(kind, context, { width: 12, genes: 7 });
      const features = Tensor.from(
        device,
        Float32Array.from({ length: 60 }, (_, i) => i % 7),
        [5, 12],
      );
      const targets = Tensor.from(
        device,
        Float32Array.from({ length: 14 }, (_, i) => i % 5),
        [2, 7],
      );
      const step = () =>
        scope(() => {
          const segments = new Segments(device, [0, 2, 5]);
          const loss = model.loss({ features, segments }, targets);
          backward(loss);
          segments.dispose();
          return loss.view();
        });
      const forget = () => {
        for (const parameter of model.namedParameters().values()) parameter.grad = null;
      };
      model.train();
      const { offset } = context.generator;
      const { live } = device.memory;
      if (ahead) {
        const { dispatches } = device.counts;
        await device.compileAhead(() => {
          step().dispose();
          forget();
        });
        expect(device.counts.dispatches).toBe(dispatches);
        expect(device.memory.live).toBe(live);
        expect(context.generator.offset).toBe(offset);
      }
      const compiled = vi.spyOn(device.raw, 'createComputePipeline');
      const loss = step();
      expect(compiled.mock.calls.length > 0).toBe(!ahead);
      const gradients = [...model.namedParameters().values()].map(({ grad }) => grad!.floats());
      results.push([await loss.floats(), ...(await Promise.all(gradients))]);
      device.close();
    }
    expect(results[1]).toEqual(results[0]);
  },
);

it('knows all models that train by gradients', async () => {
  const device = await Device.open();
  const context = { device, generator: new Generator(5) };
  const trainable = MODEL_KINDS.filter(
    (kind) => createModel(kind, context, { width: 3, genes: 2 }).trainable,
  );
  expect(trainable).toEqual(['direct-abmil', 'direct-patch-level', 'contrastive']);
  device.close();
});

it('waits for what another call compiles', async () => {
  const device = await Device.open();
  const x = Tensor.from(device, [0, 1]);
  const body = () => scope(() => void exp(x));
  const first = device.compileAhead(body);
  await device.compileAhead(body);
  const compiled = vi.spyOn(device.raw, 'createComputePipeline');
  body();
  expect(compiled).not.toHaveBeenCalled();
  await first;
  device.close();
});

it('changes nothing that was there before', async () => {
  const device = await Device.open();
  const generator = new Generator(5);
  const model = new Linear({ device, generator }, 3, 2);
  const parameters = model.namedParameters();
  const optimizer = new AdamW(parameters, { lr: 0.1 });
  const scaler = new GradScaler(device, { growthInterval: 1 });
  const average = new Ema(parameters, 0.5);
  const x = Tensor.from(device, [1, 2, 3], [1, 3]);
  const given = Tensor.from(device, [4, 5, 6], [1, 3]);
  const step = () =>
    scope(() => {
      x.assign(Float32Array.of(7, 8, 9));
      device.copy(given.buffer, x.buffer, 12);
      device.clear(given.buffer);
      const loss = mean(dropout(model.forward(x), 0.5, generator.next()));
      backward(scaler.scale(loss));
      const clip = scaler.unscale(parameters.values());
      optimizer.step(clip, () => 1);
      optimizer.zeroGrad();
      scaler.update(clip);
      average.update();
    });
  const state = async () => ({
    model: await model.stateDict(),
    optimizer: await optimizer.stateDict(),
    average: await average.stateDict(),
    scaler: await scaler.stateDict(),
    tensors: [await x.floats(), await given.floats()],
    counts: [optimizer.steps, generator.offset, x.version, model.weight.version],
  });
  const before = await state();
  await device.compileAhead(step);
  expect(await state()).toEqual(before);
  await expect(
    device.compileAhead(() => {
      step();
      throw new Error('thrown within');
    }),
  ).rejects.toThrow('thrown within');
  expect(await state()).toEqual(before);
  step();
  const after = await state();
  for (const key of ['model', 'optimizer', 'average', 'scaler', 'tensors', 'counts'] as const)
    expect(after[key]).not.toEqual(before[key]);
  device.close();
});

it('refuses what keeps a result that was never computed, and goes on', async () => {
  const device = await Device.open();
  const x = Tensor.from(device, [0, 1]);
  const expected = await scope(() => exp(x)).floats();
  let kept: Tensor | undefined;
  const keeping = device.compileAhead(() => {
    kept = keep(exp(x));
  });
  await expect(keeping).rejects.toThrow(/keeps a result, which was never computed/);
  kept?.dispose();
  // Copies of what was not computed are as little computed, and do not reach what was there before.
  const copied = device.compileAhead(() => {
    kept = keep(scope(() => reshape(exp(x), [1, 2])));
  });
  await expect(copied).rejects.toThrow(/keeps a result/);
  kept?.dispose();
  let values: Promise<unknown> | undefined;
  await device.compileAhead(() => scope(() => device.copy(exp(x).buffer, x.buffer, 8)));
  await device.compileAhead(() => {
    const y = exp(x);
    values = y.floats();
    values.catch(() => {});
    y.dispose();
  });
  await expect(values).rejects.toThrow(/reads a result, which was never computed/);
  expect(await x.floats()).toEqual(Float32Array.of(0, 1));
  expect(await exp(x).floats()).toEqual(expected);
  await expect(
    device.compileAhead(() => {
      throw new Error('thrown within');
    }),
  ).rejects.toThrow('thrown within');
  expect((await exp(x).floats())[0]).toBe(1);
  device.close();
});
