import { describe, expect, it } from 'vitest';
import { Parameter } from '../../src/autograd/parameter.ts';
import { backward } from '../../src/autograd/tape.ts';
import type { Op } from '../../src/ops/op.ts';
import { sum } from '../../src/ops/reduce.ts';
import {
  affineOp,
  exp,
  expOp,
  gelu,
  geluOp,
  log,
  logOp,
  neg,
  relu,
  reluOp,
  sigmoid,
  sigmoidOp,
  sqrt,
  sqrtOp,
  square,
  squareOp,
  tanh,
  tanhOp,
} from '../../src/ops/unary.ts';
import { type Shape, Tensor } from '../../src/tensor/tensor.ts';
import { nd, type Random } from './nd.ts';
import { type Proof, proveOp, TUNINGS } from './prove.ts';

const SHAPES: readonly Shape[] = [[1], [13], [7, 31], [0, 3], [49, 197], [2, 3, 5, 7], []];

type Draw = (random: Random, shape: Shape) => ArrayLike<number>;
const awayFromZero: Draw = (random, shape) => nd(shape, () => random.awayFromZero(0.1)).data;
const positive: Draw = (random, shape) => nd(shape, () => random.uniform(0.3, 6)).data;
const wide: Draw = (random, shape) => nd(shape, () => 2 * random.normal()).data;

/** What differs between the functions: `f`, and how the errors are measured. */
function unary(
  f: (v: number) => number,
  rest: Partial<Proof<Record<string, never>, Record<string, never>>> = {},
) {
  return {
    draw: wide,
    cases: SHAPES.map((shape) => ({ shapes: [shape], options: {} })),
    reference: ([x]: readonly { shape: Shape; data: Float64Array }[]) =>
      nd(x!.shape, (i) => f(x!.data[i]!)),
    ...rest,
  };
}

/** erf in float64: e^(-x²) 2/√π Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)), whose terms all have one sign. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

const logistic = (v: number) => 1 / (1 + Math.exp(-v));

proveOp({ op: reluOp, ...unary((v) => Math.max(v, 0), { draw: awayFromZero }) });
proveOp({ op: geluOp, ...unary((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))) });
proveOp({ op: tanhOp, ...unary(Math.tanh) });
proveOp({ op: sigmoidOp, ...unary(logistic) });
// WGSL allows exp an error of 3 + 2 |x| ulp: 1e-5 at 80, the golden's largest.
proveOp({ op: expOp, ...unary(Math.exp, { elementwise: true, floor: 0, tolerance: 2e-5 }) });
proveOp({ op: logOp, ...unary(Math.log, { draw: positive, elementwise: true }) });
proveOp({ op: sqrtOp, ...unary(Math.sqrt, { draw: positive, elementwise: true, floor: 0 }) });
proveOp({ op: squareOp, ...unary((v) => v * v, { elementwise: true, floor: 0 }) });

const negOp: Op<Record<string, never>> = { name: 'neg', apply: ([x]) => neg(x!) };
proveOp({ op: negOp, ...unary((v) => -v) });

proveOp({
  op: affineOp,
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
});
