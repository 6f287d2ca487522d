import { afterEach, expect, it, vi } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import { createModel, MODEL_KINDS } from '../../src/models/registry.ts';
import { exp } from '../../src/ops/unary.ts';
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
        context.generator.seek(offset);
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
  expect(await exp(x).floats()).toEqual(expected);
  await expect(
    device.compileAhead(() => {
      throw new Error('thrown within');
    }),
  ).rejects.toThrow('thrown within');
  expect((await exp(x).floats())[0]).toBe(1);
  device.close();
});
