/** Captured steps: the same bits as the steps themselves, nothing frozen, memory flat, misuse refused. */
import { describe, expect, it } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { Attention } from '../../src/nn/attention.ts';
import { BatchNorm1d } from '../../src/nn/batch-norm.ts';
import { SummaryMixing } from '../../src/nn/blocks/summary-mixing.ts';
import { DropPath } from '../../src/nn/drop-path.ts';
import { Dropout, type Init, LayerNorm, Linear } from '../../src/nn/layers.ts';
import { Module } from '../../src/nn/module.ts';
import { add } from '../../src/ops/binary.ts';
import { mse } from '../../src/ops/mse.ts';
import { mean } from '../../src/ops/reduce.ts';
import { affine, relu, tanh } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { Ema } from '../../src/optim/ema.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { Sgd } from '../../src/optim/sgd.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';

const STEPS = 30;

/** All that may change from step to step: draws, statistics, schedules, step counts. */
class Network extends Module {
  readonly hidden: Linear;
  readonly norm: BatchNorm1d;
  readonly drop: Dropout;
  readonly path: DropPath;
  readonly head: Linear;

  constructor(init: Init) {
    super();
    this.hidden = new Linear(init, 6, 8);
    this.norm = new BatchNorm1d(init, 8);
    this.drop = new Dropout(init, 0.25);
    this.path = new DropPath(init, 0.5);
    this.head = new Linear(init, 8, 3);
  }

  forward(x: Tensor): Tensor {
    const h = this.drop.forward(relu(this.norm.forward(this.hidden.forward(x))));
    return this.head.forward(add(h, this.path.forward(h)));
  }
}

function numbers(step: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(1 + step * 7.3 + i * 1.7));
}

function setUp(device: Device, optimiser: 'adamw' | 'sgd') {
  const generator = new Generator(5);
  const model = new Network({ device, generator });
  const parameters = model.namedParameters();
  const optimizer =
    optimiser === 'adamw'
      ? new AdamW(parameters, { lr: 0.02 })
      : new Sgd(parameters, { lr: 0.02, momentum: 0.9, dampening: 0.5 });
  const average = new Ema(parameters, 0.9);
  let now = 0;
  const factor = () => 1 / (1 + now);
  const body = ({ x, targets }: { x: Tensor; targets: Tensor }) => {
    const loss = mse(model.forward(x), targets);
    backward(loss);
    const clip = clipGradNorm(parameters.values(), 0.5);
    optimizer.step(clip, factor);
    optimizer.zeroGrad();
    average.update();
    return { loss, clip };
  };
  const captured = new CapturedStep(device, body);
  /** Loss and norm of step `step`, on rows of its own. */
  const step = async (capture: boolean, rows = 4) => {
    now++;
    const found = scope(() => {
      const inputs = {
        x: Tensor.from(device, numbers(now, rows * 6), [rows, 6]),
        targets: Tensor.from(device, numbers(-now, rows * 3), [rows, 3]),
      };
      return capture ? captured.run(inputs) : body(inputs);
    });
    device.flush();
    const values = [...(await found.loss.data()), ...(await found.clip.data())];
    for (const tensor of Object.values(found)) tensor.dispose();
    return values;
  };
  const state = async () => {
    const dicts = [await model.stateDict(), await optimizer.stateDict(), await average.stateDict()];
    return dicts.flatMap((dict) => [...dict].map(([name, { data }]) => [name, [...data]]));
  };
  const dispose = () => {
    for (const each of [captured, average, optimizer, model]) each.dispose();
  };
  return { step, state, captured, generator, optimizer, dispose };
}

describe('captured steps', () => {
  it.each(['adamw', 'sgd'] as const)(
    'give the bits of %s steps that just run',
    async (optimiser) => {
      const device = await testDevice();
      const results = [];
      for (const capture of [false, true]) {
        const { step, state, captured, generator, optimizer, dispose } = setUp(device, optimiser);
        const curve = [];
        for (let i = 0; i < STEPS; i++) curve.push(await step(capture));
        expect(captured.replays).toBe(capture ? STEPS - 3 : 0);
        results.push({
          curve,
          state: await state(),
          draws: generator.offset,
          steps: optimizer.steps,
        });
        dispose();
      }
      expect(results[1]).toEqual(results[0]);
      expect(new Set(results[0]!.curve.map(([loss]) => loss)).size).toBe(STEPS);
    },
  );

  it('take a learning rate that is changed by hand', async () => {
    const device = await testDevice();
    const { step, state, optimizer, dispose } = setUp(device, 'sgd');
    for (let i = 0; i < 4; i++) await step(true);
    const group = optimizer.groups[0]!;
    group.lr = 0;
    const before = (await state()).filter(([name]) => name === 'head.weight')[0];
    await step(true);
    expect((await state()).filter(([name]) => name === 'head.weight')[0]).toEqual(before);
    dispose();
  });

  it('are told apart by the shapes of their inputs, and keep to four of them', async () => {
    const device = await testDevice();
    const results = [];
    for (const capture of [false, true]) {
      const { step, captured, dispose } = setUp(device, 'adamw');
      const curve = [];
      for (let i = 0; i < 24; i++) curve.push(await step(capture, 2 + (i % 6)));
      results.push(curve);
      expect(captured.replays).toBe(capture ? 4 : 0);
      dispose();
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('take one submission, keep live bytes flat, and give all memory back', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const { step, captured, dispose } = setUp(device, 'adamw');
    for (let i = 0; i < 4; i++) await step(true);
    const { live } = device.memory;
    const { submissions } = device.counts;
    await step(true);
    expect(captured.replays).toBe(2);
    // One for the step, one for each of the two results read back.
    expect(device.counts.submissions - submissions).toBe(3);
    for (let i = 0; i < 3; i++) await step(true);
    expect(device.memory.live).toBe(live);
    dispose();
    expect(device.memory.live).toBe(before);
  });

  it('leave their memory to nobody else', async () => {
    const device = await testDevice();
    const { step, dispose } = setUp(device, 'adamw');
    const alone = setUp(device, 'adamw');
    for (let i = 0; i < 6; i++) {
      const other = Tensor.from(device, numbers(i, 24), [4, 6]);
      const expected = await alone.step(false);
      expect(await step(true)).toEqual(expected);
      expect(await other.floats()).toEqual(numbers(i, 24));
      other.dispose();
    }
    dispose();
    alone.dispose();
  });
});

/** Token mixers as of SEQUOIA: a SummaryMixing block, and one of attention. */
class Mixers extends Module {
  readonly summary: SummaryMixing;
  readonly norm: LayerNorm;
  readonly attention: Attention;
  readonly head: Linear;

  constructor(init: Init) {
    super();
    this.summary = new SummaryMixing(init, 8, 2, 4);
    this.norm = new LayerNorm(init, 8);
    this.attention = new Attention(init, 8, 2);
    this.head = new Linear(init, 8, 3);
  }

  forward(x: Tensor): Tensor {
    const y = add(x, this.summary.forward(x));
    const z = add(y, this.attention.forward(this.norm.forward(y)));
    return this.head.forward(mean(z, 1));
  }
}

it('SummaryMixing and attention train to the same bits', async () => {
  const device = await testDevice();
  const results = [];
  for (const capture of [false, true]) {
    const model = new Mixers({ device, generator: new Generator(3) });
    const optimizer = new AdamW(model.namedParameters(), { lr: 0.01 });
    const body = ({ x, targets }: { x: Tensor; targets: Tensor }) => {
      const loss = mse(model.forward(x), targets);
      backward(loss);
      optimizer.step(null, () => 1);
      optimizer.zeroGrad();
      return { loss };
    };
    const captured = new CapturedStep(device, body);
    const losses = [];
    for (let i = 0; i < 8; i++) {
      const { loss } = scope(() => {
        const inputs = {
          x: Tensor.from(device, numbers(i, 80), [2, 5, 8]),
          targets: Tensor.from(device, numbers(-i, 6), [2, 3]),
        };
        return capture ? captured.run(inputs) : body(inputs);
      });
      losses.push(await loss.item());
      loss.dispose();
    }
    expect(captured.replays).toBe(capture ? 5 : 0);
    const state = [...(await model.stateDict())].map(([name, { data }]) => [name, [...data]]);
    results.push({ losses, state });
    for (const each of [captured, optimizer, model]) each.dispose();
  }
  expect(results[1]).toEqual(results[0]);
});

describe('what is captured', () => {
  it('tells variants of a step apart', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2, 3]);
    let scale = 0;
    const step = new CapturedStep(device, (inputs: { x: Tensor }) => ({
      y: affine(inputs.x, scale, 0),
    }));
    for (let i = 0; i < 12; i++) {
      scale = 1 + (i % 2);
      const { y } = step.run({ x }, `times ${scale}`);
      expect([...(await y.floats())]).toEqual([scale, 2 * scale, 3 * scale]);
      y.dispose();
    }
    expect(step.replays).toBe(6);
    step.dispose();
    x.dispose();
  });

  it('is what comes again, not what comes first', async () => {
    const device = await testDevice();
    const step = new CapturedStep(device, ({ x }: { x: Tensor }) => ({ y: relu(x) }));
    const run = (size: number) => {
      const x = Tensor.from(device, new Float32Array(size));
      step.run({ x }).y.dispose();
      x.dispose();
    };
    for (let size = 10; size < 30; size++) run(size);
    for (let i = 0; i < 5; i++) run(4);
    expect(step.replays).toBe(2);
    step.dispose();
  });

  it('keeps to its memory: larger steps just run', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const step = new CapturedStep(
      device,
      ({ x }: { x: Tensor }) => ({ y: relu(affine(relu(x), 2, 1)) }),
      { mostBytes: 64 * 1024 },
    );
    const live = [];
    for (let i = 0; i < 5; i++) {
      for (const size of [64, 64 * 1024]) {
        const x = Tensor.from(device, new Float32Array(size).fill(i));
        const { y } = step.run({ x });
        expect(new Set(await y.floats())).toEqual(new Set([2 * i + 1]));
        x.dispose();
        y.dispose();
      }
      live.push(device.memory.live - before);
    }
    expect(step.replays).toBe(2); // of the small one
    expect(Math.max(...live)).toBeLessThanOrEqual(64 * 1024);
    step.dispose();
    expect(device.memory.live).toBe(before);
  });

  it('just runs where it cannot be replayed, for those who want to be told so', async () => {
    const device = await testDevice();
    const before = device.memory.live;
    const told: string[] = [];
    const x = Tensor.from(device, [1]);
    let calls = 0;
    const step = new CapturedStep(device, () => ({ y: affine(x, ++calls, 0) }), {
      onRefused: ({ message }) => told.push(message),
    });
    for (let i = 1; i < 7; i++) {
      const { y } = step.run({});
      expect(await y.item()).toBe(i);
      y.dispose();
    }
    expect(calls).toBe(6);
    expect(told).toEqual([expect.stringMatching(/had other values/)]);
    step.dispose();
    x.dispose();
    expect(device.memory.live).toBe(before);
  });
});

describe('what would freeze is refused', () => {
  it('numbers and data that differ between the recorded steps', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2, 3]);
    let calls = 0;
    const scaled = new CapturedStep(device, () => ({ y: affine(x, ++calls, 0) }));
    const loaded = new CapturedStep(device, () => ({ y: Tensor.from(device, [++calls]) }));
    const grown = new CapturedStep(device, () => ({
      y: ++calls < 9 ? relu(x) : relu(relu(relu(x))),
    }));
    const other = new CapturedStep(device, () => ({ y: ++calls % 2 ? relu(x) : tanh(x) }));
    const third = (step: typeof scaled) => {
      for (let i = 0; i < 2; i++) step.run({}).y.dispose();
      return () => step.run({});
    };
    await expectError(third(scaled), 'capture', /unary\/forward .*of 1 x 1 x 1.*had other values/);
    await expectError(third(loaded), 'capture', /a write of 4 B had other values/);
    calls = 6;
    await expectError(third(grown), 'capture', /the end became unary\/forward/);
    await expectError(third(other), 'capture', /OP=\d+ of 1 x 1 x 1.* became .*OP=\d+/);
    for (const each of [scaled, loaded, grown, other, x]) each.dispose();
  });

  it('tensors that are not inputs and take turns, or change places', async () => {
    const device = await testDevice();
    const [a, b] = [Tensor.from(device, [1]), Tensor.from(device, [2])];
    let calls = 0;
    const turns = new CapturedStep(device, () => ({ y: relu(++calls % 2 ? a : b) }));
    const places = new CapturedStep(device, () => {
      const [x, y] = ++calls % 2 ? [a, b] : [b, a];
      device.copy(x.buffer, y.buffer, 4);
      return { y: relu(y) };
    });
    for (const step of [turns, places]) {
      for (let i = 0; i < 2; i++) step.run({}).y.dispose();
      await expectError(() => step.run({}), 'capture', /(unary|a copy of 4 B).* had other tensors/);
    }
    for (const each of [turns, places, a, b]) each.dispose();
  });

  it('a factor given as a number', async () => {
    const device = await testDevice();
    const model = new Linear({ device, generator: new Generator(1) }, 2, 1);
    const optimizer = new AdamW(model.namedParameters());
    const step = new CapturedStep(device, ({ x }: { x: Tensor }) => {
      const loss = mean(model.forward(x));
      backward(loss);
      optimizer.step(null, 0.5);
      optimizer.zeroGrad();
      return { loss };
    });
    const x = Tensor.from(device, [1, 2], [1, 2]);
    step.run({ x }).loss.dispose();
    await expectError(() => step.run({ x }), 'capture', /factor .* was the number 0.5/);
    for (const each of [step, x, optimizer, model]) each.dispose();
  });

  it('a tensor freed after the recording, and a step within a step', async () => {
    const device = await testDevice();
    const x = Tensor.from(device, [1, 2, 3]);
    const step = new CapturedStep(device, () => ({ y: relu(x) }));
    for (let i = 0; i < 4; i++) step.run({}).y.dispose();
    x.dispose();
    await expectError(() => step.run({}), 'use-after-free', /captured step was replayed after/);
    step.dispose();

    const one = Tensor.from(device, [1]);
    const inner = new CapturedStep(device, () => ({ y: relu(one) }));
    const outer = new CapturedStep(device, () => inner.run({}));
    outer.run({}).y.dispose();
    const live = device.memory.live;
    await expectError(() => outer.run({}), 'capture', /inside another one/);
    expect(device.memory.live).toBe(live);
    for (const each of [inner, outer, one]) each.dispose();
  });
});
