import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Op } from '../../src/ops/op.ts';
import { sum } from '../../src/ops/reduce.ts';
import {
  abs,
  absOp,
  affineOp,
  clamp,
  clampOp,
  erf,
  erfOp,
  exp,
  expm1,
  expm1Op,
  expOp,
  gelu,
  geluOp,
  geluTanhOp,
  hardsigmoid,
  hardsigmoidOp,
  hardswish,
  hardswishOp,
  leakyRelu,
  leakyReluOp,
  lgamma,
  lgammaOp,
  log,
  log1p,
  log1pOp,
  logOp,
  neg,
  pow,
  powOp,
  reciprocal,
  reciprocalOp,
  relu,
  reluOp,
  rsqrt,
  rsqrtOp,
  sigmoid,
  sigmoidOp,
  silu,
  siluOp,
  softplus,
  softplusOp,
  sqrt,
  sqrtOp,
  square,
  squareOp,
  tanh,
  tanhOp,
} from '../../src/ops/unary.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { expectError } from '../data/expect-error.ts';
import { testDevice } from '../device.ts';
import { nd, type Random } from './nd.ts';
import { type Proof, proveOp, TUNINGS } from './prove.ts';

const SHAPES: readonly Shape[] = [
  [1],
  [13],
  [7, 31],
  [0, 3],
  [49, 197],
  [2, 3, 5, 7],
  [],
  [25_761],
];

type Draw = (random: Random, shape: Shape) => ArrayLike<number>;
const awayFromZero: Draw = (random, shape) => nd(shape, () => random.awayFromZero(0.1)).data;
const positive: Draw = (random, shape) => nd(shape, () => random.uniform(0.3, 6)).data;
const aboveMinusOne: Draw = (random, shape) => nd(shape, () => random.uniform(-0.9, 4)).data;
const awayFromThree: Draw = (random, shape) =>
  nd(shape, () => 3 * (random.integer(3) - 1) + random.uniform(0.1, 2.9)).data;
const aboveOne: Draw = (random, shape) => nd(shape, () => random.uniform(1, 6)).data;
const wide: Draw = (random, shape) => nd(shape, () => 2 * random.normal()).data;

/** What differs between the functions: `f`, and how the errors are measured. */
function unary(
  f: (v: number) => number,
  rest: Partial<Proof<Record<string, never>, Record<string, never>>> = {},
) {
  return {
    draw: wide,
    splits: true as const,
    cases: SHAPES.map((shape) => ({ shapes: [shape], options: {} })),
    reference: ([x]: readonly { shape: Shape; data: Float64Array }[]) =>
      nd(x!.shape, (i) => f(x!.data[i]!)),
    ...rest,
  };
}

/** erf in float64: e^(-x²) 2/√π Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)), whose terms all have one sign. */
function erfOf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

/** log Γ by the recurrence up to 20, then Stirling's series. */
function lgammaOf(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 20; y++) shift += Math.log(y);
  const stirling =
    (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * y) - 1 / (360 * y ** 3);
  return stirling + 1 / (1260 * y ** 5) - shift;
}

const geluTanhOf = (v: number) =>
  0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
const hardsigmoidOf = (v: number) => Math.min(Math.max(v + 3, 0), 6) / 6;
const logistic = (v: number) => 1 / (1 + Math.exp(-v));

proveOp({ op: reluOp, ...unary((v) => Math.max(v, 0), { draw: awayFromZero }) });
proveOp({ op: geluOp, ...unary((v) => 0.5 * v * (1 + erfOf(v / Math.SQRT2))) });
proveOp({ op: tanhOp, ...unary(Math.tanh) });
proveOp({ op: sigmoidOp, ...unary(logistic) });
// WGSL allows exp an error of 3 + 2 |x| ulp: 1e-5 at 80, the golden's largest.
proveOp({ op: expOp, ...unary(Math.exp, { elementwise: true, floor: 0, tolerance: 2e-5 }) });
proveOp({ op: logOp, ...unary(Math.log, { draw: positive, elementwise: true }) });
proveOp({ op: sqrtOp, ...unary(Math.sqrt, { draw: positive, elementwise: true, floor: 0 }) });
proveOp({ op: squareOp, ...unary((v) => v * v, { elementwise: true, floor: 0 }) });

const negOp: Op<Record<string, never>> = { name: 'neg', apply: ([x]) => neg(x!) };
proveOp({ op: negOp, ...unary((v) => -v) });

// Special functions, to 2e-6 of each value: one polynomial or logarithm, and a few roundings.
const exact = { elementwise: true, floor: 0, tolerance: 2e-6 };
proveOp({ op: log1pOp, ...unary(Math.log1p, { ...exact, draw: aboveMinusOne }) });
proveOp({ op: erfOp, ...unary(erfOf, { ...exact, floor: 1e-12 }) }); // its slope goes to 0 by exp(−x²)
// exp, as above
proveOp({ op: expm1Op, ...unary(Math.expm1, { ...exact, tolerance: 2e-5, floor: 1e-12 }) });
proveOp({ op: rsqrtOp, ...unary((v) => 1 / Math.sqrt(v), { ...exact, draw: positive }) });
proveOp({
  op: reciprocalOp,
  ...unary((v) => 1 / v, { ...exact, draw: aboveOne }),
});
// Near its root, 1.46, digamma (the gradient) has the absolute accuracy of a float32 only.
proveOp({ op: lgammaOp, ...unary(lgammaOf, { ...exact, draw: positive, floor: 2e-7 }) });

proveOp({ op: geluTanhOp, ...unary(geluTanhOf) });
proveOp({ op: siluOp, ...unary((v) => v * logistic(v)) });
proveOp({ op: hardswishOp, ...unary((v) => v * hardsigmoidOf(v), { draw: awayFromThree }) });
proveOp({ op: hardsigmoidOp, ...unary(hardsigmoidOf, { draw: awayFromThree }) });
proveOp({ op: softplusOp, ...unary((v) => Math.log1p(Math.exp(-Math.abs(v))) + Math.max(v, 0)) });
proveOp({ op: absOp, ...unary(Math.abs, { draw: awayFromZero }) });

proveOp({
  op: leakyReluOp,
  draw: awayFromZero,
  cases: SHAPES.map((shape, i) => ({ shapes: [shape], options: { negativeSlope: 0.1 * i } })),
  reference: ([x], { negativeSlope }) =>
    nd(x!.shape, (i) => (x!.data[i]! > 0 ? 1 : negativeSlope) * x!.data[i]!),
});

proveOp({
  op: powOp,
  draw: positive,
  // exp and log: 2e-6 for the sizes met here.
  tolerance: 1e-5,
  elementwise: true,
  floor: 0,
  cases: [-3, -0.5, 0, 0.5, 1, 2.7, 4].map((exponent, i) => ({
    shapes: [SHAPES[i]!],
    options: { exponent },
  })),
  reference: ([x], { exponent }) => nd(x!.shape, (i) => x!.data[i]! ** exponent),
});

proveOp<{ min?: number; max?: number }>({
  op: clampOp,
  // On the grid of 0.1, moved off the limits by half a step.
  draw: (random, shape) => nd(shape, () => 0.1 * random.integer(40) - 1.95).data,
  cases: SHAPES.map((shape, i) => ({
    shapes: [shape],
    options: [{ min: -1, max: 1 }, { min: 0.5 }, { max: 0.5 }][i % 3]!,
  })),
  reference: ([x], { min = -Infinity, max = Infinity }) =>
    nd(x!.shape, (i) => Math.min(Math.max(x!.data[i]!, min), max)),
});

proveOp({
  op: affineOp,
  splits: true,
  cases: SHAPES.map((shape, i) => ({ shapes: [shape], options: { scale: i - 2.5, shift: 0.75 } })),
  reference: ([x], { scale, shift }) => nd(x!.shape, (i) => scale * x!.data[i]! + shift),
});

describe.each(TUNINGS)('extreme inputs, $tuning', ({ open }) => {
  const F = Math.fround;
  it.each([
    ['relu', relu, [F(-1e30), -0, F(1e30)], [0, 0, F(1e30)]],
    ['gelu', gelu, [-1e4, 0, 1e4], [0, 0, 1e4]],
    ['tanh', tanh, [-1e4, 0, 1e-8, 1e4], [-1, 0, F(1e-8), 1]],
    ['sigmoid', sigmoid, [-1e4, 0, 1e4], [0, 0.5, 1]],
    ['exp', exp, [-1e4, 0], [0, 1]],
    ['sqrt', sqrt, [0, 4], [0, 2]],
    ['square', square, [-3, 0], [9, 0]],
    ['log', log, [0, 1, Infinity], [-Infinity, 0, Infinity]],
    ['leakyRelu', (x: Tensor) => leakyRelu(x, 0.25), [-8, 0, F(1e30)], [-2, 0, F(1e30)]],
    ['gelu by tanh', (x: Tensor) => gelu(x, 'tanh'), [F(-1e30), 0, F(1e30)], [0, 0, F(1e30)]],
    ['silu', silu, [-1e4, 0, 1e4], [0, 0, 1e4]],
    ['hardswish', hardswish, [-1e30, 0, 3, F(1e30)].map(F), [0, 0, 3, F(1e30)]],
    ['hardsigmoid', hardsigmoid, [F(-1e30), 0, F(1e30)], [0, 0.5, 1]],
    ['softplus', softplus, [-1e4, 1e4, F(1e30)], [0, 1e4, F(1e30)]],
    ['rsqrt', rsqrt, [0, 4], [Infinity, 0.5]],
    ['pow 0.5', (x: Tensor) => pow(x, 0.5), [0, 4], [0, 2]],
    ['pow -1.5', (x: Tensor) => pow(x, -1.5), [0, 1], [Infinity, 1]],
    ['pow 3', (x: Tensor) => pow(x, 3), [-2, 0, F(1e20)], [-8, 0, Infinity]],
    ['pow -2', (x: Tensor) => pow(x, -2), [-2, 0], [0.25, Infinity]],
    ['clamp', (x: Tensor) => clamp(x, -1, 2), [-Infinity, 0.5, Infinity], [-1, 0.5, 2]],
    ['clamp from below', (x: Tensor) => clamp(x, 0), [F(-1e30), 0, Infinity], [0, 0, Infinity]],
    ['abs', abs, [F(-1e30), -0, 2], [F(1e30), 0, 2]],
    ['erf', erf, [-1e4, 0, F(1e30)], [-1, 0, 1]],
    ['lgamma', lgamma, [0, 1, 2, Infinity], [Infinity, 0, 0, Infinity]],
    ['reciprocal', reciprocal, [0, -4], [Infinity, -0.25]],
    ['log1p', log1p, [-1, 0, F(1e-30)], [-Infinity, 0, F(1e-30)]],
    ['expm1', expm1, [-1e4, 0, F(1e-30)], [-1, 0, F(1e-30)]],
  ] as const)('%s stays finite and right', async (_name, f, inputs, expected) => {
    const x = Tensor.from(await open(), inputs);
    const found = await f(x).floats();
    expect([...found].map((v) => v + 0)).toEqual([...expected].map((v) => v + 0));
  });

  it.each([
    ['relu', relu],
    ['gelu', gelu],
    ['tanh', tanh],
    ['sigmoid', sigmoid],
    ['exp', exp],
    ['log', log],
    ['sqrt', sqrt],
    ['square', square],
    ['leakyRelu', leakyRelu],
    ['gelu by tanh', (x: Tensor) => gelu(x, 'tanh')],
    ['silu', silu],
    ['hardswish', hardswish],
    ['hardsigmoid', hardsigmoid],
    ['softplus', softplus],
    ['rsqrt', rsqrt],
    ['pow 3', (x: Tensor) => pow(x, 3)],
    ['pow 0.5', (x: Tensor) => pow(x, 0.5)],
    ['clamp', (x: Tensor) => clamp(x, 0, 2)],
    ['abs', abs],
    ['erf', erf],
    ['lgamma', lgamma],
    ['reciprocal', reciprocal],
    ['log1p', log1p],
    ['expm1', expm1],
  ] as const)('%s passes a NaN on, so that divergence stays visible', async (_name, f) => {
    const x = Tensor.from(await open(), [1, Number.NaN, 2]);
    const [before, at, after] = await f(x).floats();
    expect([before, at, after].map((v) => Number.isNaN(v))).toEqual([false, true, false]);
  });

  it.each([
    ['gelu', gelu],
    ['tanh', tanh],
    ['sigmoid', sigmoid],
    ['exp', exp],
    ['log', log],
    ['sqrt', sqrt],
    ['square', square],
  ] as const)('%s passes a NaN on to its gradient', async (_name, f) => {
    const x = Parameter.of(Tensor.from(await open(), [1, Number.NaN, 2]));
    backward(sum(f(x)));
    const grad = [...(await x.grad!.floats())];
    expect(grad.map((v) => Number.isNaN(v))).toEqual([false, true, false]);
  });

  it.each([
    ['clamp', (x: Tensor) => clamp(x, -1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]],
    ['abs', abs, [-2, 0, 3], [-1, 0, 1]],
    ['leakyRelu', (x: Tensor) => leakyRelu(x, 0.5), [-2, 0, 3], [0.5, 0.5, 1]],
    ['pow 0', (x: Tensor) => pow(x, 0), [-2, 0, 3], [0, 0, 0]],
    ['pow 1', (x: Tensor) => pow(x, 1), [-2, 0, 3], [1, 1, 1]],
  ] as const)('%s has the gradient of PyTorch at its kinks', async (_name, f, inputs, expected) => {
    const x = Parameter.of(Tensor.from(await open(), inputs));
    backward(sum(f(x)));
    expect([...(await x.grad!.floats())].map((v) => v + 0)).toEqual(expected);
  });

  it.each([
    ['log', log],
    ['lgamma', lgamma],
    ['pow 0.5', (x: Tensor) => pow(x, 0.5)],
    ['log1p', log1p],
  ] as const)('%s is NaN outside its domain', async (_name, f) => {
    const x = Tensor.from(await open(), [-2, -1.5, -1e9]);
    expect([...(await f(x).floats())]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });
});

describe('clamp', () => {
  it('wants a limit', async () => {
    const x = Tensor.zeros(await testDevice(), [1]);
    await expectError(() => clamp(x), 'option', /clamp: expected a minimum or a maximum/);
    await expectError(() => clamp(x, Number.NaN), 'option', /found NaN and undefined/);
  });
});
