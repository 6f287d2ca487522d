import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import { Device } from '../../src/gpu/device.ts';
import type { StateTensor } from '../../src/nn/module.ts';
import { sum } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { Adam } from '../../src/optim/adam.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradValue } from '../../src/optim/clip-value.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { decayGroups } from '../../src/optim/optimizer.ts';
import { scheduleFactor } from '../../src/optim/schedule.ts';
import { Sgd } from '../../src/optim/sgd.ts';
import { scope } from '../../src/tensor/scope.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice, tightDevice } from '../device.ts';
import { Random } from '../ops/nd.ts';
import { difference, TUNINGS } from '../ops/prove.ts';
import golden from '../reference/optim/optimisers.json';
import { parameter } from './parameter.ts';

const CLASSES = { Adam, AdamW, Sgd };

interface GoldenCase {
  kind: keyof typeof CLASSES;
  options: Record<string, never>;
  variant: {
    groups?: Record<string, never>[];
    clipNorm?: number;
    clipValue?: number;
    late?: number;
    stepSize?: number;
    gamma?: number;
  };
  after: Record<string, number[][]>;
}

const cases = golden.cases as unknown as GoldenCase[];

async function follow(device: Device, { kind, options, variant, after }: GoldenCase) {
  const all = golden.start.map((values, i) =>
    Parameter.of(Tensor.from(device, values, golden.shapes[i]!)),
  );
  const groups = ['w', 'b'].map((name, i) => ({
    parameters: new Map([[name, all[i]!]]),
    ...variant.groups?.[i],
  }));
  const optimizer = new CLASSES[kind](groups, options);
  const { stepSize = 1000, gamma = 1 } = variant;
  const wrong: string[] = [];
  for (const [step, pair] of golden.grads.entries()) {
    pair.forEach((values, i) => {
      const missing = i === 1 && step < (variant.late ?? 0);
      all[i]!.grad = missing ? null : Tensor.from(device, values, golden.shapes[i]!);
    });
    if (variant.clipValue) clipGradValue(all, variant.clipValue);
    const factor = scheduleFactor({ kind: 'step', stepSize, gamma }, step);
    scope(() =>
      optimizer.step(variant.clipNorm ? clipGradNorm(all, variant.clipNorm) : null, factor),
    );
    for (const [i, expected] of (after[step + 1] ?? []).entries()) {
      // Rounding of up to 30 steps in float32: measured 1e-6, and GPUs may divide less exactly.
      const problem = difference(await all[i]!.floats(), expected, { relative: 5e-6, floor: 0 });
      const name = `${kind} ${JSON.stringify(options)} ${JSON.stringify(variant)}`;
      if (problem) wrong.push(`${name}, parameter ${i} after step ${step + 1}: ${problem}`);
    }
  }
  optimizer.dispose();
  for (const p of all) p.dispose();
  return wrong;
}

describe.each(TUNINGS)('optimisers, $tuning', ({ open }) => {
  it.each(['Adam', 'AdamW', 'Sgd'])('%s takes the 30 steps that PyTorch takes', async (kind) => {
    const device = await open();
    const wrong: string[] = [];
    const own = cases.filter((c) => c.kind === kind);
    expect(own.length).toBeGreaterThan(5);
    for (const c of own) wrong.push(...(await follow(device, c)));
    expect(wrong).toEqual([]);
  });
});

/** 30 steps in float64, as the definitions read. */
const definitions = {
  Adam(p: number, grads: readonly number[]): number {
    let [x, m, v] = [p, 0, 0];
    grads.forEach((grad, i) => {
      const g = grad + 0.1 * x;
      m = 0.9 * m + 0.1 * g;
      v = 0.99 * v + 0.01 * g * g;
      const [mean, variance] = [m / (1 - 0.9 ** (i + 1)), v / (1 - 0.99 ** (i + 1))];
      x -= (0.02 * mean) / (Math.sqrt(variance) + 1e-3);
    });
    return x;
  },
  Sgd(p: number, grads: readonly number[]): number {
    let [x, b] = [p, 0];
    for (const grad of grads) {
      const g = grad + 0.1 * x;
      b = 0.8 * b + g;
      x -= 0.02 * (g + 0.8 * b);
    }
    return x;
  },
};

/** 8 storage buffers to a kernel, as WebGPU promises. */
function atDefaultLimits(): Promise<Device> {
  return Device.open({ defaultLimits: true });
}

describe('optimisers', () => {
  it.each([1, 49, 197, 1031])('follow their definitions on %i elements', async (size) => {
    const device = await testDevice();
    const random = new Random(size);
    const draw = () => Float32Array.from({ length: size }, () => random.normal());
    const start = draw();
    const grads = Array.from({ length: 30 }, draw);
    const run = async (optimizer: Adam | Sgd, p: Parameter) => {
      for (const values of grads) {
        p.grad = Tensor.from(device, values);
        optimizer.step();
      }
      optimizer.dispose();
      return p.floats();
    };
    const make = () => Parameter.of(Tensor.from(device, start));
    const common = { lr: 0.02, weightDecay: 0.1 };
    const [a, s] = [make(), make()];
    const adam = new Adam(new Map([['p', a]]), { ...common, betas: [0.9, 0.99], eps: 1e-3 });
    const sgd = new Sgd(new Map([['p', s]]), { ...common, momentum: 0.8, nesterov: true });
    const at = (i: number) => grads.map((g) => g[i]!);
    const allowed = { relative: 5e-6, floor: 0 };
    const expect64 = (define: (p: number, g: number[]) => number) =>
      Array.from(start, (p, i) => define(p, at(i)));
    expect(difference(await run(adam, a), expect64(definitions.Adam), allowed)).toBeNull();
    expect(difference(await run(sgd, s), expect64(definitions.Sgd), allowed)).toBeNull();
    a.dispose();
    s.dispose();
  });

  it('update a parameter larger than a binding in parts', async () => {
    const whole = await testDevice();
    const split = await Device.open({ bindingBytes: 1024 });
    const random = new Random(5);
    const size = 1000;
    const draw = () => Float32Array.from({ length: size }, () => random.normal());
    const [start, ...grads] = [draw(), draw(), draw()];
    const run = async (device: Device, kind: keyof typeof CLASSES, options: object) => {
      const p = Parameter.of(Tensor.from(device, start!, [10, 100]));
      const optimizer = new CLASSES[kind](new Map([['p', p]]), options);
      for (const values of grads) {
        p.grad = Tensor.from(device, values, [10, 100]);
        clipGradValue([p], 1.5);
        scope(() => optimizer.step(clipGradNorm([p], 1)));
      }
      const result = await p.floats();
      const state = await optimizer.stateDict();
      return [result, ...[...state.values()].map(({ data }) => data)];
    };
    for (const [kind, options] of [
      ['AdamW', {}],
      ['Adam', { weightDecay: 0.1 }],
      ['Sgd', { momentum: 0.9 }],
      ['Sgd', {}],
    ] as const) {
      // Not the same bits of the norm: its partial sums are cut elsewhere.
      const [found, expected] = [await run(split, kind, options), await run(whole, kind, options)];
      expect(found.length).toBe(expected.length);
      found.forEach((values, i) => {
        expect(difference(values, expected[i]!, { relative: 1e-6, floor: 0 })).toBeNull();
      });
    }
    split.close();
  });

  it.each([
    ...TUNINGS,
    { tuning: 'limits of any adapter', open: atDefaultLimits },
    { tuning: 'in parts of a binding', open: () => tightDevice() },
  ])('give the same bits to parameters together as to each alone, $tuning', async ({ open }) => {
    const device = await open();
    const sizes = [[5], [70, 61], [1], [33, 70], [512], [7], [1000], [2, 3], [], [64]];
    const draw = (seed: number, shape: number[]) => {
      const random = new Random(seed);
      const length = shape.reduce((product, n) => product * n, 1);
      return Tensor.from(
        device,
        Float32Array.from({ length }, () => random.normal()),
        shape,
      );
    };
    const run = async (kind: keyof typeof CLASSES, momentum: number, together: boolean) => {
      const all = sizes.map((shape, i) => Parameter.of(draw(i, shape)));
      const options = { lr: 0.01, weightDecay: 0.1, momentum, dampening: 0.2 };
      const named = all.map((p, i) => [`p${i}`, p] as const);
      const optimizers = (together ? [named] : named.map((each) => [each])).map(
        (each) => new CLASSES[kind](new Map(each), options),
      );
      for (let step = 0; step < 4; step++) {
        all.forEach((p, i) => {
          p.grad = (i + step) % 5 === 3 ? null : draw(100 * step + i, sizes[i]!);
        });
        const clip = clipGradNorm(all, 0.5);
        for (const optimizer of optimizers) optimizer.step(clip, 1 / (1 + step));
        clip.dispose();
      }
      const found: unknown[] = [];
      for (const p of all) found.push(await p.floats());
      for (const optimizer of optimizers) {
        const dict = await optimizer.stateDict();
        for (const [name, { shape, data }] of dict) found.push([name, shape, [...data]]);
        optimizer.dispose();
      }
      for (const p of all) p.dispose();
      return found;
    };
    for (const [kind, momentum] of [
      ['Adam', 0],
      ['AdamW', 0],
      ['Sgd', 0.9],
      ['Sgd', 0],
    ] as const) {
      // Alone, a parameter's steps are those that its optimiser took; together, they are told apart.
      const alone = await run(kind, momentum, false);
      const together = (await run(kind, momentum, true)).filter(
        (entry) => !(Array.isArray(entry) && String(entry[0]).startsWith('step.')),
      );
      expect(together).toEqual(alone);
    }
    if (open === atDefaultLimits) device.close();
  });

  it('take few dispatches for many small parameters, and any that share their memory', async () => {
    const device = await testDevice();
    const all = Array.from({ length: 60 }, (_, i) => Parameter.of(Tensor.zeros(device, [i + 1])));
    // As small as p0, so that one dispatch would take all three.
    const shared = Tensor.from(device, [1]);
    const twins = [shared, shared.view()].map((tensor) => Parameter.of(tensor));
    const named = new Map([...all, ...twins].map((p, i) => [`p${i}`, p]));
    const optimizer = new Sgd(named, { lr: 0.5 });
    for (const p of named.values()) {
      p.grad = Tensor.from(device, new Float32Array(p.size).fill(1), p.shape);
    }
    const before = device.counts.dispatches;
    scope(() => optimizer.step(clipGradNorm(named.values())));
    // 16 + 1 for the norm, 1 for the counts, 21 or 22 for the updates.
    expect(device.counts.dispatches - before).toBeLessThanOrEqual(40);
    expect(await twins[0]!.floats()).toEqual(Float32Array.of(0));
    expect(await all[59]!.floats()).toEqual(new Float32Array(60).fill(-0.5));
    optimizer.dispose();
    for (const p of named.values()) p.dispose();
  });

  it.each([
    ['Adam', 0],
    ['AdamW', 0],
    ['Sgd', 0.9],
    ['Sgd', 0],
  ] as const)(
    'change nothing where a gradient is not finite: %s, momentum %d',
    async (kind, momentum) => {
      const p = await parameter([1, 2]);
      const q = await parameter([3]);
      // Alone and together: different kernels.
      for (const given of [{ p }, { p, q }]) {
        const named = new Map(Object.entries(given));
        const optimizer = new CLASSES[kind](named, { lr: 0.1, weightDecay: 0.1, momentum });
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
          p.grad = Tensor.from(p.device, [1, bad]);
          q.grad = Tensor.from(p.device, [1]);
          scope(() => optimizer.step(clipGradNorm(named.values())));
          optimizer.step();
        }
        expect(await p.floats()).toEqual(Float32Array.of(1, 2));
        expect(await q.floats()).toEqual(Float32Array.of(3));
        for (const { data } of (await optimizer.stateDict()).values()) {
          expect(new Set(data)).toEqual(new Set([0]));
        }
        optimizer.dispose();
      }
      for (const each of [p, q]) each.dispose();
    },
  );

  it('go on from a saved state with the same bits, also of a parameter that came late', async () => {
    const device = await testDevice();
    const random = new Random(9);
    const grads = Array.from({ length: 6 }, () => [random.normal(), random.normal()]);
    for (const kind of ['Adam', 'AdamW', 'Sgd'] as const) {
      const options = { lr: 0.01, momentum: 0.9, dampening: 0.2 };
      const train = async (values: readonly number[], from: number, to: number, state?: object) => {
        const ps = values.map((v) => Parameter.of(Tensor.from(device, [v])));
        const named = new Map(ps.map((p, i) => [`p${i}`, p]));
        const optimizer = new CLASSES[kind](named, options);
        if (state) optimizer.loadStateDict(state as Map<string, StateTensor>, from);
        for (let step = from; step < to; step++) {
          ps.forEach((p, i) => {
            p.grad = i === 1 && step < 2 ? null : Tensor.from(device, [grads[step]![i]!]);
          });
          optimizer.step();
        }
        const dict = await optimizer.stateDict();
        const result = [(await ps[0]!.floats())[0]!, (await ps[1]!.floats())[0]!];
        return { result, dict, steps: optimizer.steps };
      };
      const whole = await train([1, -2], 0, 6);
      const first = await train([1, -2], 0, 3);
      expect(first.steps).toBe(3);
      expect(first.dict.get('step.p1')?.data).toEqual(Float32Array.of(1));
      const rest = await train(first.result, 3, 6, first.dict);
      expect([rest.result, rest.steps]).toEqual([whole.result, 6]);
    }
  });

  it('look up the corrections of a step by the options of the group', async () => {
    const device = await testDevice();
    const groups = [
      { betas: [0.5, 0.9] as const, dampening: 0.4, momentum: 0.9 },
      { betas: [0.9, 0.99] as const, dampening: 0, momentum: 0.8 },
    ];
    for (const kind of ['Adam', 'Sgd'] as const) {
      const run = async (together: boolean) => {
        const ps = groups.map(() => Parameter.of(Tensor.from(device, [1, -2])));
        const each = groups.map((options, i) => ({
          parameters: new Map([[`p${i}`, ps[i]!]]),
          ...options,
        }));
        const optimizers = (together ? [each] : each.map((group) => [group])).map(
          (given) => new CLASSES[kind](given, { lr: 0.1 }),
        );
        for (const g of [0.3, -1, 2]) {
          for (const p of ps) p.grad = Tensor.from(device, [g, 1]);
          for (const optimizer of optimizers) optimizer.step();
        }
        const values = await Promise.all(ps.map((p) => p.floats()));
        for (const tensor of [...optimizers, ...ps]) tensor.dispose();
        return values;
      };
      expect(await run(true)).toEqual(await run(false));
    }
  });

  it('mark what they move as overwritten: no gradient comes of older values', async () => {
    const p = await parameter([1, 2]);
    const optimizer = new Sgd(new Map([['p', p]]), { lr: 0.1 });
    const loss = sum(square(p));
    p.grad = Tensor.from(p.device, [1, 1]);
    optimizer.step();
    await expectError(() => backward(loss), 'modified-in-place', /input 0 of square/);
    for (const each of [loss, optimizer, p]) each.dispose();
  });

  it('take parameters without elements, and free all that they keep', async () => {
    const device = await testDevice();
    const shapes = [[0], [0, 3], [5], [70], [3], [2]];
    const all = shapes.map((shape) => Parameter.of(Tensor.zeros(device, shape)));
    for (const kind of ['Adam', 'AdamW', 'Sgd'] as const) {
      for (const given of [all.slice(0, 2), all]) {
        const { live } = device.memory;
        const named = new Map(given.map((p, i) => [`p${i}`, p]));
        const optimizer = new CLASSES[kind](named, { momentum: 0.9 });
        const kept = device.memory.live;
        for (let step = 0; step < 2; step++) {
          for (const p of given) {
            p.grad = Tensor.from(device, new Float32Array(p.size).fill(1), p.shape);
          }
          optimizer.step();
          optimizer.zeroGrad();
          expect(device.memory.live).toBe(kept);
        }
        const state = await optimizer.stateDict();
        const states = kind === 'Sgd' ? ['momentum_buffer'] : ['m', 'v'];
        const expected = [...named].flatMap(([name, { shape, size }]) =>
          states.map((key) => [`${key}.${name}`, shape, size]),
        );
        expect([...state].map(([key, { shape, data }]) => [key, shape, data.length])).toEqual(
          expected,
        );
        optimizer.loadStateDict(state, optimizer.steps);
        expect(await optimizer.stateDict()).toEqual(state);
        optimizer.dispose();
        expect(device.memory.live).toBe(live);
      }
    }
    for (const p of all) p.dispose();
  });

  it('name their state, and do nothing without gradients', async () => {
    const p = await parameter([1, 2]);
    const named = new Map([['layer.weight', p]]);
    const names = async (optimizer: Adam | Sgd) => [...(await optimizer.stateDict()).keys()];
    expect(await names(new Adam(named))).toEqual(['m.layer.weight', 'v.layer.weight']);
    expect(await names(new Sgd(named))).toEqual([]);
    const sgd = new Sgd(named, { momentum: 0.5 });
    expect(await names(sgd)).toEqual(['momentum_buffer.layer.weight']);
    sgd.step();
    expect(sgd.steps).toBe(0);
    expect(await p.floats()).toEqual(Float32Array.of(1, 2));
    await expectError(
      () => sgd.loadStateDict(new Map(), 3),
      'checkpoint-mismatch',
      /no momentum_buffer\.layer\.weight of 2 values/,
    );
    p.grad = Tensor.from(p.device, [1, 1]);
    sgd.zeroGrad();
    expect(p.grad).toBeNull();
  });

  it.each([1, 2])('refuse a step after one of %i parameters was disposed', async (count) => {
    const all = await Promise.all(Array.from({ length: count }, () => parameter([1])));
    const optimizer = new Sgd(new Map(all.map((p, i) => [`p${i}`, p])), { lr: 1 });
    for (const p of all) p.grad = Tensor.from(p.device, [1]);
    all[0]!.dispose();
    await expectError(() => optimizer.step(), 'use-after-free', /parameter p0 was disposed/);
    if (all[1]) expect(await all[1].floats()).toEqual(Float32Array.of(1));
    optimizer.dispose();
    all[1]?.dispose();
  });

  it('refuse options that make no sense', async () => {
    const p = await parameter([1]);
    const named = new Map([['p', p]]);
    await expectError(() => new Adam(named, { lr: -1 }), 'option', /lr: expected .* found -1/);
    await expectError(() => new AdamW(named, { betas: [0.9, 1] }), 'option', /betas/);
    await expectError(() => new AdamW([{ parameters: named, eps: -1 }]), 'option', /eps/);
    await expectError(() => new Sgd(named, { nesterov: true }), 'option', /nesterov/);
    await expectError(() => new Sgd(named, { weightDecay: Number.NaN }), 'option', /weightDecay/);
    const twice = [{ parameters: named }, { parameters: new Map([['q', p]]) }];
    await expectError(() => new Sgd(twice), 'option', /q is given twice/);
  });

  it('decay weights, but not biases and norms', async () => {
    const device = await testDevice();
    const of = (...shape: number[]) => Parameter.of(Tensor.zeros(device, shape));
    const all = { 'a.weight': of(2, 3), 'a.bias': of(2), 'norm.weight': of(3), 'c.bias': of(1, 2) };
    const groups = decayGroups(new Map(Object.entries(all)), 0.05);
    expect(groups.map((g) => [g.weightDecay, [...g.parameters.keys()]])).toEqual([
      [0.05, ['a.weight']],
      [0, ['a.bias', 'norm.weight', 'c.bias']],
    ]);
    expect(new AdamW(groups, { lr: 0.5 }).groups.map((g) => [g.lr, g.weightDecay])).toEqual([
      [0.5, 0.05],
      [0.5, 0],
    ]);
  });
});

describe('clipGradValue', () => {
  it('cuts both ways, infinities too, and lets a NaN through', async () => {
    const p = await parameter(Array<number>(6).fill(0));
    p.grad = Tensor.from(p.device, [0.5, -3, 2, Number.NaN, Infinity, -Infinity]);
    clipGradValue([p, await parameter([0])], 1);
    expect(await p.grad.floats()).toEqual(Float32Array.of(0.5, -1, 1, Number.NaN, 1, -1));
    await expectError(() => clipGradValue([p], -1), 'option', /at least 0, found -1/);
  });
});
