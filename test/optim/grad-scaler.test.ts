/** Loss scaling: the scale's rule, the bits of training without it, steps left out, replay, resumption. */
import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/gpu/device.ts';
import { Linear } from '../../src/nn/layers.ts';
import { mul } from '../../src/ops/binary.ts';
import { mse } from '../../src/ops/mse.ts';
import { gelu } from '../../src/ops/unary.ts';
import { Adam } from '../../src/optim/adam.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { GradScaler, requireUsableScale } from '../../src/optim/grad-scaler.ts';
import { Sgd } from '../../src/optim/sgd.ts';
import { CapturedStep } from '../../src/tensor/captured-step.ts';
import { Generator } from '../../src/tensor/random.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { parameter } from './parameter.ts';

const OPTIMISERS = {
  Adam: (named: ReadonlyMap<string, Parameter>) => new Adam(named, { lr: 0.02, weightDecay: 0.1 }),
  AdamW: (named: ReadonlyMap<string, Parameter>) => new AdamW(named, { lr: 0.02 }),
  Sgd: (named: ReadonlyMap<string, Parameter>) =>
    new Sgd(named, { lr: 0.05, momentum: 0.9, dampening: 0.3 }),
};
type Kind = keyof typeof OPTIMISERS;
const KINDS: readonly Kind[] = ['Adam', 'AdamW', 'Sgd'];

function numbers(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(1 + seed * 7.3 + i * 1.7));
}

interface Trial {
  kind: Kind;
  /** Data of which steps, in order. */
  steps: readonly number[];
  scaler?: GradScaler;
  /** Steps whose gradients are spoilt, and by what. */
  spoilt?: ReadonlyMap<number, number>;
  maxNorm?: number;
  capture?: boolean;
}

/** Trains a small network; returns what became of it, and the scale after each step. */
async function train(device: Device, { kind, steps, scaler, spoilt, maxNorm, capture }: Trial) {
  const init = { device, generator: new Generator(3) };
  const [hidden, head] = [new Linear(init, 6, 9), new Linear(init, 9, 2)];
  const named = new Map(
    [hidden, head].flatMap((layer, i) =>
      [...layer.namedParameters()].map(([name, p]) => [`${i}.${name}`, p] as const),
    ),
  );
  const optimizer = OPTIMISERS[kind](named);
  const body = ({ x, y, spoil }: { x: Tensor; y: Tensor; spoil: Tensor }) => {
    const loss = mse(head.forward(gelu(hidden.forward(x))), y);
    // The loss itself stays as it is; its gradient is taken through the spoilt one.
    const spoiltLoss = mul(loss, spoil);
    backward(scaler ? scaler.scale(spoiltLoss) : spoiltLoss);
    const clip = scaler
      ? scaler.unscale(named.values(), maxNorm)
      : clipGradNorm(named.values(), maxNorm);
    optimizer.step(clip);
    const status = scaler ? scaler.update(clip) : Tensor.from(device, [1, 0]);
    optimizer.zeroGrad();
    return { loss: loss.view(), clip, status };
  };
  const captured = new CapturedStep(device, body);
  const curve: number[][] = [];
  for (const step of steps) {
    const inputs = {
      x: Tensor.from(device, numbers(step, 24), [4, 6]),
      y: Tensor.from(device, numbers(step + 99, 8), [4, 2]),
      spoil: Tensor.from(device, [spoilt?.get(step) ?? 1]),
    };
    const { loss, clip, status } = scope(() => (capture ? captured.run(inputs) : body(inputs)));
    const [norm, , finite] = await clip.floats();
    curve.push([await loss.item(), norm!, finite!, ...(await status.floats())]);
    for (const tensor of [loss, clip, status, ...Object.values(inputs)]) tensor.dispose();
  }
  const values: Record<string, number[]> = {};
  for (const [name, p] of named) values[name] = [...(await p.floats())];
  const state = Object.fromEntries(
    [...(await optimizer.stateDict())].map(([name, { data }]) => [name, [...data]]),
  );
  const { replays } = captured;
  for (const each of [captured, optimizer, hidden, head]) each.dispose();
  return { curve, values, state, replays };
}

/** torch._amp_update_scale_ (ATen/native/cuda/AmpKernels.cu), as it reads. */
function scales(
  start: number,
  flags: readonly boolean[],
  [grow, back]: [number, number],
  n: number,
) {
  let [scale, tracker] = [start, 0];
  return flags.map((finite) => {
    if (!finite) [scale, tracker] = [scale * back, 0];
    else if (++tracker === n) {
      const grown = Math.fround(scale * grow);
      if (Number.isFinite(grown)) scale = grown;
      tracker = 0;
    }
    return scale;
  });
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('GradScaler', () => {
  it.each([
    [65536, 2, 0.5, 3],
    [1, 1.5, 0.25, 1],
    [2 ** 126, 2, 0.5, 2],
  ])('moves a scale of %d as PyTorch does (x%d, x%d, every %i)', async (start, grow, back, n) => {
    const device = await testDevice();
    // Growth at the third, a fall before it, falls in a row, and one more than a round of growth.
    const flags = [...'111110110001111111111011111111110111'].map((c) => c === '1');
    const options = {
      initScale: start,
      growthFactor: grow,
      backoffFactor: back,
      growthInterval: n,
    };
    const scaler = new GradScaler(device, options);
    const found: number[][] = [];
    for (const finite of flags) {
      const clip = Tensor.from(device, [1, 1, finite ? 1 : 0]);
      const status = scaler.update(clip);
      found.push([...(await status.floats())]);
      for (const tensor of [clip, status]) tensor.dispose();
    }
    expect(found.map(([scale]) => scale)).toEqual(scales(start, flags, [grow, back], n));
    let row = 0;
    const inARow = flags.map((finite) => {
      row = finite ? 0 : row + 1;
      return row;
    });
    expect(found.map(([, left]) => left)).toEqual(inARow);
    scaler.dispose();
  });

  it.each(KINDS)('gives the bits of %s without it, clipped or not', async (kind) => {
    const device = await testDevice();
    for (const maxNorm of [undefined, 0.5]) {
      const scaler = new GradScaler(device, { growthInterval: 4 });
      const trial = { kind, steps: range(30), ...(maxNorm && { maxNorm }) };
      const plain = await train(device, trial);
      const scaled = await train(device, { ...trial, scaler });
      expect(scaled.values).toEqual(plain.values);
      expect(scaled.state).toEqual(plain.state);
      expect(scaled.curve.map((row) => row.slice(0, 3))).toEqual(
        plain.curve.map((row) => row.slice(0, 3)),
      );
      expect(scaled.curve.at(-1)![3]).toBe(65536 * 2 ** 7);
      scaler.dispose();
    }
  });

  it.each(KINDS)(
    'leaves out the steps of %s that are not finite, as if never taken',
    async (kind) => {
      const device = await testDevice();
      const spoilt = new Map([
        [0, Number.POSITIVE_INFINITY],
        [7, Number.NaN],
        [8, Number.NEGATIVE_INFINITY],
        [20, 3e38], // finite itself: its gradient overflows
      ]);
      const scaler = new GradScaler(device, { growthInterval: 5 });
      const trial = { kind, maxNorm: 0.5 };
      const scaled = await train(device, { ...trial, steps: range(30), spoilt, scaler });
      const steps = range(30).filter((step) => !spoilt.has(step));
      const plain = await train(device, { ...trial, steps });
      expect(scaled.values).toEqual(plain.values);
      const { state } = scaled;
      for (const name of Object.keys(scaled.values)) {
        expect(state[`step.${name}`]).toEqual([26]);
        delete state[`step.${name}`];
      }
      expect(state).toEqual(plain.state);
      const flags = range(30).map((step) => !spoilt.has(step));
      expect(scaled.curve.map((row) => row[3])).toEqual(scales(65536, flags, [2, 0.5], 5));
      scaler.dispose();
    },
  );

  it.each(['AdamW', 'Sgd'] as const)(
    'is captured with %s, steps left out included',
    async (kind) => {
      const device = await testDevice();
      const spoilt = new Map([
        [1, Number.NaN],
        [12, Number.POSITIVE_INFINITY],
        [13, Number.POSITIVE_INFINITY],
      ]);
      const results = [];
      for (const capture of [false, true]) {
        const scaler = new GradScaler(device, { growthInterval: 4 });
        const run = await train(device, {
          kind,
          steps: range(30),
          spoilt,
          scaler,
          capture,
          maxNorm: 1,
        });
        expect(run.replays).toBe(capture ? 27 : 0);
        results.push({ ...run, replays: 0, scaler: await scaler.stateDict() });
        scaler.dispose();
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[0]!.state['step.0.weight']).toEqual([27]);
      expect(results[0]!.curve[13]!.slice(2)).toEqual([0, 2 ** 15, 2]);
    },
  );

  it('counts the steps of a parameter that has no gradient at times by themselves', async () => {
    const [a, b] = [await parameter([1]), await parameter([2])];
    const optimizer = new AdamW(new Map(Object.entries({ a, b })), { lr: 0.1 });
    const scaler = new GradScaler(a.device);
    // Step 1 is left out, and b has no gradient in 0 and 4.
    for (const step of range(5)) {
      a.grad = Tensor.from(a.device, [step === 1 ? Number.NaN : 65536]);
      b.grad = step % 4 === 0 ? null : Tensor.from(a.device, [65536]);
      scope(() => optimizer.step(scaler.unscale([a, b])));
    }
    const state = await optimizer.stateDict();
    expect(optimizer.steps).toBe(5);
    expect(state.get('step.a')?.data).toEqual(Float32Array.of(4));
    expect(state.get('step.b')?.data).toEqual(Float32Array.of(2));
    // Of a gradient of 1 the bias correction makes steps of lr, however many there were.
    const moved = async (p: Parameter, start: number, steps: number) => {
      let expected = start;
      for (let i = 0; i < steps; i++) expected = expected * (1 - 0.1 * 0.01) - 0.1;
      expect((await p.floats())[0]).toBeCloseTo(expected, 5);
    };
    await moved(a, 1, 4);
    await moved(b, 2, 2);
    for (const each of [a, b, optimizer, scaler]) each.dispose();
  });

  it('goes on from a saved state with the same scales', async () => {
    const device = await testDevice();
    const scalesAfter = async (scaler: GradScaler, flags: string) => {
      const found = [];
      for (const finite of flags) {
        const clip = Tensor.from(device, [1, 1, Number(finite)]);
        const status = scaler.update(clip);
        found.push((await status.floats())[0]);
        for (const tensor of [clip, status]) tensor.dispose();
      }
      return found;
    };
    const options = { initScale: 1024, growthFactor: 4, backoffFactor: 0.25, growthInterval: 3 };
    const whole = new GradScaler(device, options);
    const all = await scalesAfter(whole, '1110111111');
    const half = new GradScaler(device, options);
    await scalesAfter(half, '11101');
    const saved = await half.stateDict();
    expect(saved).toEqual({
      scale: 1024,
      growth_factor: 4,
      backoff_factor: 0.25,
      growth_interval: 3,
      _growth_tracker: 1,
    });
    const rest = new GradScaler(device);
    rest.loadStateDict(JSON.parse(JSON.stringify(saved)));
    expect(await scalesAfter(rest, '11111')).toEqual(all.slice(5));
    const load = (change: object) => () => rest.loadStateDict({ ...saved, ...change });
    await expectError(load({ scale: undefined }), 'checkpoint-mismatch', /scale: .*undefined/);
    await expectError(load({ scale: 'x' }), 'checkpoint-mismatch', /scale: .* found x/);
    await expectError(load({ _growth_tracker: -1 }), 'checkpoint-mismatch', /a count, found -1/);
    await expectError(load({ scale: 0 }), 'option', /float32 number above 0, found 0/);
    for (const each of [whole, half, rest]) each.dispose();
  });

  it('does no harm however often a step is left out, and says when no scale helps', async () => {
    const p = await parameter([1, 2]);
    const optimizer = new AdamW(new Map([['p', p]]));
    const scaler = new GradScaler(p.device);
    let stopped = 0;
    let status = [65536, 0];
    for (const step of range(200)) {
      p.grad = Tensor.from(p.device, [Number.NaN, 1]);
      const tensor = scope(() => {
        const clip = scaler.unscale([p]);
        optimizer.step(clip);
        return scaler.update(clip);
      });
      status = [...(await tensor.floats())];
      tensor.dispose();
      const [scale, skipped] = [status[0]!, status[1]!];
      try {
        requireUsableScale({ scale, skipped, step: step + 1 });
      } catch (error) {
        if (stopped === 0) expect(String(error)).toMatch(/step 30 .* is 0\.000061.*last 30 steps/);
        stopped ||= step + 1;
      }
    }
    expect(stopped).toBe(30);
    expect(status[1]).toBe(200);
    // The scale has vanished: nothing can be unscaled by it.
    p.grad = Tensor.from(p.device, [1, 1]);
    scope(() => optimizer.step(scaler.unscale([p])));
    expect(await p.floats()).toEqual(Float32Array.of(1, 2));
    for (const each of [p, optimizer, scaler]) each.dispose();
  });

  it('keeps the shape of the loss, and refuses what makes no sense', async () => {
    const device = await testDevice();
    const scaler = new GradScaler(device, { initScale: 8 });
    for (const shape of [[], [1], [1, 1]]) {
      const loss = Parameter.of(Tensor.from(device, [3], shape));
      const scaled = scaler.scale(loss);
      expect(scaled.shape).toEqual(shape);
      expect(await scaled.item()).toBe(24);
      backward(scaled);
      expect(await loss.grad!.item()).toBe(8);
      loss.dispose();
    }
    const loss = Parameter.of(Tensor.from(device, [3]));
    const early = scaler.scale(loss);
    scaler.update(Tensor.from(device, [1, 1, 0])).dispose();
    await expectError(() => backward(early), 'modified-in-place', /input 1 of mul/);
    loss.dispose();
    const two = Tensor.from(device, [1, 2]);
    await expectError(() => scaler.scale(two), 'shape', /one element, found \[2\]/);
    const none = /GradScaler.unscale: no parameter has a gradient/;
    await expectError(() => scaler.unscale([]), 'no-gradient', none);
    const make = (options: object) => () => new GradScaler(device, options);
    await expectError(make({ initScale: 0 }), 'option', /initScale.* found 0/);
    await expectError(make({ initScale: 1e39 }), 'option', /initScale/);
    await expectError(make({ growthFactor: 1 }), 'option', /growthFactor.* above 1, found 1/);
    await expectError(make({ backoffFactor: 1 }), 'option', /backoffFactor/);
    await expectError(make({ growthInterval: 0.5 }), 'option', /growthInterval/);
    scaler.dispose();
  });
});
