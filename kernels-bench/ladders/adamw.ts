/** A step of AdamW: how often the numbers are read and written, and how many dispatches many small parameters take. */
import { Parameter } from '../../src/autograd/parameter.ts';
import type { Device } from '../../src/gpu/device.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { add, div, sub } from '../../src/ops/binary.ts';
import { affine, sqrt, square } from '../../src/ops/unary.ts';
import { AdamW } from '../../src/optim/adamw.ts';
import { clipGradNorm } from '../../src/optim/grad-norm.ts';
import { keep, scope } from '../../src/tensor/scope.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { FLOAT } from '../bench.ts';
import { summaryBlockShapes } from '../benches/sequoia.ts';
import { disposeAll } from '../benches/tensors.ts';
import code from './adamw/fused.wgsl';
import type { Ladder } from './ladder.ts';

const kernel = defineKernel('ladder-adamw-fused', code);

const OPTIONS = { lr: 0.1, betas: [0.9, 0.999] as const, eps: 1e-8, weightDecay: 0.1 };
/** Steps that the state pretends to have behind it. */
const BEFORE = 10;

/** A parameter before the first step. */
interface Start {
  readonly shape: Shape;
  readonly p: Float32Array;
  readonly g: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

function start(shape: Shape, seed: number): Start {
  const size = shape.reduce((product, n) => product * n, 1);
  const wave = (k: number) => Float32Array.from({ length: size }, (_, i) => Math.sin(seed + k * i));
  const m = wave(0.7);
  return { shape, p: wave(0.9), g: wave(1.1), m, v: m.map((x) => 0.1 + x * x) };
}

/** A parameter with its state on the GPU. */
type State = Record<'p' | 'g' | 'm' | 'v', Tensor>;

/** What a step number enters. */
function corrections(step: number): { rate: number; root: number } {
  const [beta1, beta2] = OPTIONS.betas;
  return { rate: OPTIONS.lr / (1 - beta1 ** step), root: Math.sqrt(1 - beta2 ** step) };
}

/** The definition, an operation at a time: 13 of them. */
function compose({ p, g, m, v }: State, step: number): State {
  const { lr, betas, eps, weightDecay } = OPTIONS;
  const { rate, root } = corrections(step);
  const mean = add(affine(m, betas[0]), affine(g, 1 - betas[0]));
  const variance = add(affine(v, betas[1]), affine(square(g), 1 - betas[1]));
  const move = affine(div(mean, affine(sqrt(variance), 1 / root, eps)), rate);
  return { p: sub(affine(p, 1 - lr * weightDecay), move), g, m: mean, v: variance };
}

/** All of it in one dispatch, in place: by single floats, or by `vecs` vec4s to a thread. */
function fuse(state: State, step: number, WORKGROUP: number, vecs = 0): State {
  const { lr, betas, eps, weightDecay } = OPTIONS;
  const { p, g, m, v } = state;
  const [pb, gb, mb, vb] = [p.buffer, g.buffer, m.buffer, v.buffer];
  p.device.run(kernel, vecs ? 'vectors' : 'single', {
    buffers: vecs ? { p4: pb, g4: gb, m4: mb, v4: vb } : { p: pb, g: gb, m: mb, v: vb },
    params: {
      count: p.size,
      beta1: betas[0],
      beta2: betas[1],
      rest1: 1 - betas[0],
      rest2: 1 - betas[1],
      eps,
      ...corrections(step),
      keep: 1 - lr * weightDecay,
    },
    overrides: vecs ? { WORKGROUP, VECS: vecs } : { WORKGROUP },
    groups: Math.ceil(p.size / (vecs ? 4 * vecs : 1) / WORKGROUP),
  });
  return state;
}

/** A way of doing it, with parameters and state of its own. */
interface Updater {
  step(): readonly Tensor[];
  dispose(): void;
}

/** Each parameter by itself. */
function oneByOne(
  device: Device,
  starts: readonly Start[],
  update: (state: State, step: number) => State,
): Updater {
  let step = BEFORE;
  const states = starts.map(({ shape, ...data }): State => {
    const tensor = (values: Float32Array) => keep(Tensor.from(device, values, shape));
    return { p: tensor(data.p), g: tensor(data.g), m: tensor(data.m), v: tensor(data.v) };
  });
  return {
    step() {
      step++;
      for (const state of states) {
        const next = scope(() => update(state, step));
        for (const key of ['p', 'm', 'v'] as const) {
          if (next[key] === state[key]) continue;
          state[key].dispose();
          state[key] = keep(next[key]);
        }
      }
      return states.map(({ p }) => p);
    },
    dispose: () => disposeAll(...states.flatMap((state) => Object.values(state))),
  };
}

function product(device: Device, starts: readonly Start[]): Updater {
  const parameters = new Map<string, Parameter>();
  const state = new Map<string, { shape: Shape; data: Float32Array }>();
  for (const [i, { shape, p, g, m, v }] of starts.entries()) {
    const parameter = Parameter.of(Tensor.from(device, p, shape));
    parameter.grad = Tensor.from(device, g, shape);
    parameters.set(`${i}`, parameter);
    state.set(`m.${i}`, { shape, data: m }).set(`v.${i}`, { shape, data: v });
  }
  const all = [...parameters.values()];
  const optimizer = new AdamW(parameters, OPTIONS);
  optimizer.loadStateDict(state, BEFORE);
  const clip = keep(clipGradNorm(all));
  return {
    step() {
      optimizer.step(clip);
      return all;
    },
    dispose() {
      optimizer.dispose();
      disposeAll(clip, ...all);
    },
  };
}

/** Parameters after some steps, in float64. */
function reference({ p, g, m, v }: Start, steps: number): Float64Array {
  const { lr, betas, eps, weightDecay } = OPTIONS;
  return Float64Array.from(p, (_, i) => {
    let [x, mean, variance] = [p[i]!, m[i]!, v[i]!];
    for (let n = 1; n <= steps; n++) {
      mean = betas[0] * mean + (1 - betas[0]) * g[i]!;
      variance = betas[1] * variance + (1 - betas[1]) * g[i]! ** 2;
      const { rate, root } = corrections(BEFORE + n);
      x = x * (1 - lr * weightDecay) - (rate * mean) / (Math.sqrt(variance) / root + eps);
    }
    return x;
  });
}

export const adamwLadder: Ladder = {
  id: 'adamw',
  name: 'AdamW, the 168 parameters of a SEQUOIA block',
  prepare(device, size) {
    const full = size === 'full';
    const starts = (full ? summaryBlockShapes(device) : [[3], [5, 7], [4099], [64], [1]]).map(
      start,
    );
    const count = starts.reduce((sum, { p }) => sum + p.length, 0);
    /** In the test a second step shows what the first one kept. */
    const steps = full ? 1 : 2;
    const updaters: Updater[] = [];
    const rung = (make: () => Updater) => {
      let updater: Updater | null = null;
      return () => {
        if (!updater) {
          updater = make();
          updaters.push(updater);
        }
        for (let n = 1; n < steps; n++) updater.step();
        return updater.step();
      };
    };
    const each = (update: (state: State, step: number) => State) =>
      rung(() => oneByOne(device, starts, update));
    return {
      cost: { flops: 13 * count, bytes: 7 * FLOAT * count },
      rungs: [
        {
          name: 'an operation at a time',
          changed:
            'The definition as a library without a kernel for it computes it: 13 dispatches.',
          on: ['gpu', 'cpu'],
          run: each(compose),
        },
        {
          name: 'a kernel per parameter',
          changed:
            'What 13 operations wrote and read again stays in registers: 7 numbers per element cross memory instead of 30.',
          on: ['gpu', 'cpu'],
          run: each((state, step) => fuse(state, step, 256)),
        },
        {
          name: 'by vec4s',
          changed:
            'A load costs by the instruction: a quarter of them; on CPUs also a workgroup that is one vector.',
          on: ['gpu', 'cpu'],
          run: each((state, step) =>
            device.class === 'gpu' ? fuse(state, step, 256, 1) : fuse(state, step, 8, 64),
          ),
        },
        {
          name: 'product: three small ones to a dispatch',
          changed:
            'A dispatch costs as much as some thousand elements, and most parameters are smaller: a third of them. Step counts and the check of the gradients are on the GPU.',
          on: ['gpu', 'cpu'],
          run: rung(() => product(device, starts)),
        },
      ],
      reference: async () => Float64Array.from(starts.flatMap((s) => [...reference(s, steps)])),
      dispose: () => {
        for (const updater of updaters) updater.dispose();
      },
    };
  },
};
