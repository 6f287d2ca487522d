/** A model trained in mixed precision: as good as in float32, in half the memory for its features, and replayed bit by bit. */
import { describe, expect, it } from 'vitest';
import { autocast } from '../../src/autograd/autocast.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { DIRECT_ABMIL, DirectAbmil } from '../../src/models/direct-abmil.ts';
import { affine } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Segments } from '../../src/tensor/segments.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { testDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';

const [WIDTH, GENES, BAGS, PATCHES] = [16, 5, 6, 9];
/** A power of two: nothing is rounded, and AdamW takes the same steps. */
const SCALE = 2 ** 12;

interface Way {
  mixed: boolean;
  /** Features that are float16 already. */
  half?: boolean;
  captured?: boolean;
}

/** Losses of so many steps, and what live bytes were after the second and the last. */
async function train(device: Device, steps: number, { mixed, half, captured }: Way) {
  const random = new Random(2);
  const values = Array.from({ length: BAGS * PATCHES * WIDTH }, () => random.normal());
  const features = half
    ? Tensor.half(device, values, [BAGS * PATCHES, WIDTH])
    : Tensor.from(device, values, [BAGS * PATCHES, WIDTH]);
  const targets = Tensor.from(
    device,
    Array.from({ length: BAGS * GENES }, () => random.normal()),
    [BAGS, GENES],
  );
  const segments = new Segments(
    device,
    Array.from({ length: BAGS + 1 }, (_, b) => b * PATCHES),
  );
  const context = { device, generator: new Generator(4) };
  const options = { ...DIRECT_ABMIL, hidden: 24, attention: 12 };
  const model = new DirectAbmil(context, { width: WIDTH, genes: GENES }, options);
  const optimizer = new AdamW(model.namedParameters(), {
    lr: 5e-3,
    eps: mixed ? 1e-8 * SCALE : 1e-8,
  });
  const body = (inputs: { features: Tensor; targets: Tensor }) => {
    const bags = { features: inputs.features, segments };
    const loss = autocast(() => model.loss(bags, inputs.targets), mixed);
    backward(mixed ? affine(loss, SCALE, 0) : loss);
    optimizer.step();
    optimizer.zeroGrad();
    return { loss };
  };
  const step = new CapturedStep(device, body);
  const losses: number[] = [];
  const live: number[] = [];
  for (let i = 0; i < steps; i++) {
    const { loss } = scope(() =>
      captured ? step.run({ features, targets }) : body({ features, targets }),
    );
    losses.push(await loss.item());
    loss.dispose();
    live.push(device.memory.live);
  }
  const { replays } = step;
  for (const each of [step, optimizer, model, segments, features, targets]) each.dispose();
  return { losses, live, replays };
}

describe('mixed precision', () => {
  it('trains as float32 does', async () => {
    const device = await testDevice();
    const { losses: single } = await train(device, 60, { mixed: false });
    const { losses: mixed } = await train(device, 60, { mixed: true });
    // The same dropout and the same start: the first loss differs by rounding only, and both learn.
    expect(mixed[0]! / single[0]!).toBeCloseTo(1, 3);
    expect(mixed[0]).not.toBe(single[0]);
    const last = (losses: number[]) => losses.slice(-10).reduce((sum, loss) => sum + loss, 0) / 10;
    expect(last(single)).toBeLessThan(single[0]! / 3);
    expect(last(mixed) / last(single)).toBeCloseTo(1, 1);
  });

  it('takes features in float16, with the same bits as rounding them on the way', async () => {
    const device = await testDevice();
    const { losses: rounded } = await train(device, 5, { mixed: true });
    const { losses: stored } = await train(device, 5, { mixed: true, half: true });
    expect(stored).toEqual(rounded);
  });

  it('is replayed with the bits of steps that just run, in flat memory', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const eager = await train(device, 30, { mixed: true, half: true });
    const captured = await train(device, 30, { mixed: true, half: true, captured: true });
    expect(captured.losses).toEqual(eager.losses);
    expect(captured.replays).toBe(27);
    for (const { live } of [eager, captured]) expect(new Set(live.slice(5)).size).toBe(1);
    expect(device.memory.live).toBe(before);
  });
});
